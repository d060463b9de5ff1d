// A session as text for people: what it is, where it stands, what it runs and waits for, how it came there. Pure.

import type { SessionEntry } from '../listing.js'
import type { Child, SessionState } from '../state.js'
import type { Transition } from '../transition.js'
import type { DeadLetter } from '../trouble.js'
import { oneLine, printable, type Style } from './style.js'
import { table } from './table.js'
import { attributesText, stateText, timeText, valueText } from './values.js'

/** A value of the context is cut off after this many characters; `-o json` has it whole. */
const LONGEST_VALUE = 100

/** A session below another one: its child, or a child's child. */
export interface Relative {
  /** 0 for a child. */
  readonly depth: number
  readonly session: SessionEntry
}

/** What a session is shown with. */
export interface Surroundings {
  readonly transitions: readonly Transition[]
  readonly family: readonly Relative[]
  /** Tells which timers are overdue. */
  readonly nowMs: number
  /** Why it cannot run. */
  readonly parked: { readonly code: string; readonly message: string } | undefined
  /** With rows of its own, a kind shows its context in its own way. */
  readonly own: readonly (readonly string[])[] | undefined
}

export function sessionText(
  session: SessionState,
  { transitions, family, nowMs, parked, own }: Surroundings,
  style: Style,
): string {
  const sections = [
    table([...heads(session, parked, style), ...(own ?? [])]),
    section('context', own ? [] : contextRows(session.context), style),
    section('steps', stepRows(session), style),
    section('dead letters', letterRows(session.trouble?.letters ?? []), style),
    section('child sessions', familyRows(family), style),
    section('timers', timerRows(session, nowMs, style), style),
    section(
      'waiting messages',
      session.messages.map(({ type }) => [printable(type)]),
      style,
    ),
    section(`transitions, ${countText(transitions, session)}`, transitionRows(transitions), style),
  ]
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')
}

function section(title: string, rows: readonly (readonly string[])[], style: Style): string[] {
  return rows.length === 0 ? [] : [style.bold(title), ...table(rows, '  ')]
}

function heads(session: SessionState, parked: Surroundings['parked'], { bold, cyan, red }: Style): string[][] {
  const { id, kind, version, value, status, createdAt, updatedAt, attributes, origin, parent, output, error } = session
  const quarantine = session.trouble?.quarantine
  const rows = [
    ['session', bold(printable(id))],
    ['kind', `${printable(kind)}, version ${version}`],
    ['state', cyan(printable(stateText(value)))],
    ...(status === 'active' ? [] : [['status', status === 'error' ? red(status) : status]]),
    ...(parked ? [['parked', red(oneLine(`${parked.code}: ${parked.message}`))]] : []),
    ...(quarantine ? [['quarantined', red(`${timeText(quarantine.at)}: ${oneLine(quarantine.reason)}`)]] : []),
    ['created', timeText(createdAt)],
    ['updated', timeText(updatedAt)],
  ]
  if (parent) rows.push(['child', `${printable(parent.child)} of ${printable(parent.session)}`])
  if (origin) rows.push(['forked from', `${printable(origin.session)} at ${origin.seq}`])
  if (Object.keys(attributes).length > 0) rows.push(['attributes', attributesText(attributes)])
  if (output !== undefined) rows.push(['output', valueText(output, LONGEST_VALUE)])
  if (error !== undefined) rows.push(['error', red(errorText(error))])
  return rows
}

function errorText(error: unknown): string {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  if (typeof message !== 'string') return valueText(error, LONGEST_VALUE)
  return printable(code === undefined ? message : `${message} (${String(code)})`)
}

function contextRows(context: unknown): string[][] {
  if (typeof context !== 'object' || context === null) return [[valueText(context, LONGEST_VALUE)]]
  return Object.entries(context).map(([name, value]) => [printable(name), valueText(value, LONGEST_VALUE)])
}

const stepRows = ({ children }: SessionState): string[][] =>
  Object.entries(children)
    .filter(([, { session }]) => session === undefined)
    .map(([id, child]) => [printable(id), child.status, attemptText(child)])

/** Child sessions, each under the one that started it. */
const familyRows = (family: readonly Relative[]): string[][] =>
  family.map(({ depth, session: { id, kind, value, status, parent } }) => [
    `${'  '.repeat(depth)}${printable(parent?.child ?? '')}`,
    printable(id),
    printable(kind),
    status === 'active' ? printable(stateText(value)) : `${printable(stateText(value))} (${status})`,
  ])

export const letterRows = (letters: readonly DeadLetter[]): string[][] =>
  letters.map(({ id, at, event, attempts, error }) => [
    ...[String(id), timeText(at), printable(event.type)],
    oneLine(`${attempts === 1 ? '1 attempt' : `${attempts} attempts, the last`}: ${errorText(error)}`),
  ])

function attemptText({ attempt, failures, notBefore }: Child): string {
  if (attempt === 0) return 'not begun'
  const failed = failures > 0 ? `, ${failures} failed` : ''
  return `attempt ${attempt}${failed}${notBefore === undefined ? '' : `, next at ${timeText(notBefore)}`}`
}

const timerRows = ({ timers }: SessionState, nowMs: number, { yellow }: Style): string[][] =>
  timers.map(({ at, event }) => [
    ...[timeText(at), printable(event.type)],
    Date.parse(at) <= nowMs ? yellow('overdue') : '',
  ])

const countText = (shown: readonly Transition[], { seq }: SessionState): string =>
  shown.length === seq ? `all ${seq}` : `the last ${shown.length} of ${seq}`

export const transitionRows = (transitions: readonly Transition[]): string[][] =>
  transitions.map(({ seq, at, event, from, to }) => {
    const [before, after] = [stateText(from), stateText(to)]
    const move = before === after ? after : `${before} → ${after}`
    return [String(seq), timeText(at), printable(event.type), printable(move)]
  })
