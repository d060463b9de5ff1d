// A planning session as a plan: what it makes of its document, for people and for `-o json`. Pure.
// It reads a recorded context without the kind's code, so it takes nothing for granted and leaves out what is not there.

import type { SessionState, StateValue } from '../state.js'
import type { Transition } from '../transition.js'
import { oneLine, printable, type Style } from './style.js'
import { table } from './table.js'
import { type Branch, treeLines } from './tree.js'

export type ItemType = 'epic' | 'feature' | 'story' | 'enabler'

/** An item of a plan, with what stands under it. */
export interface PlanItem {
  readonly type: ItemType
  /** Its planning id. */
  readonly id: string
  readonly title: string
  /** Its issue in the tracker; absent until it is made. */
  readonly issue?: string
  readonly storyPoints?: number
  readonly priority?: string
  readonly items: readonly PlanItem[]
}

export interface PlanMessage {
  readonly message: string
  readonly code?: string
}

export interface Plan {
  readonly title: string
  readonly source: string
  readonly status: string
  readonly progress: number
  readonly progressMessage?: string
  /** The forest: epics first, then what has no parent. */
  readonly items: readonly PlanItem[]
  readonly warnings: readonly PlanMessage[]
  readonly errors: readonly PlanMessage[]
  /** The file of the local tracker, if that is used. */
  readonly trackerFile?: string
}

type Fields = { readonly [name: string]: unknown }

/**
 * The plan that a session and its history tell of, or undefined when the session is of another kind. The document's items
 * are in the output of the step that found them, their issues in the context.
 */
export function planOf(session: SessionState, history: Iterable<Transition>): Plan | undefined {
  if (session.kind !== 'planning') return undefined
  const context = fieldsOf(session.context)
  const message = text(context.progressMessage)
  const trackerFile = text(fieldsOf(context.tracker).file)
  return {
    title: text(context.title) ?? '',
    source: text(context.source) ?? '',
    status: phaseOf(session.value),
    progress: number(context.progress) ?? 0,
    ...(message !== undefined && { progressMessage: message }),
    items: forest(documentIn(history), fieldsOf(context.result)),
    warnings: listOf(context.warnings).map(messageOf),
    errors: listOf(context.errors).map(messageOf),
    ...(trackerFile !== undefined && { trackerFile }),
  }
}

/** `pending`, `processing`, `completed` or `failed`. */
const phaseOf = (value: StateValue): string => (typeof value === 'string' ? value : (Object.keys(value)[0] ?? ''))

/** The document that the steps found last; empty when they have not come so far. */
function documentIn(history: Iterable<Transition>): Fields {
  let document: Fields = {}
  for (const { event } of history) {
    if (event.type === 'xstate.done.actor.extract') document = fieldsOf(fieldsOf(event.output).plan)
  }
  return document
}

const LISTS: readonly (readonly [list: string, type: ItemType])[] = [
  ['epics', 'epic'],
  ['features', 'feature'],
  ['stories', 'story'],
  ['enablers', 'enabler'],
]

interface Placed {
  readonly item: PlanItem & { readonly items: PlanItem[] }
  readonly parent: string | undefined
}

/** Every item under its parent, in the order of the document; those whose parent is not there stand for themselves. */
function forest(document: Fields, result: Fields): PlanItem[] {
  const placed = LISTS.flatMap(([list, type]) => {
    const issues = fieldsOf(result[list])
    return listOf(document[list]).map((item) => placedOf(type, item, issues))
  })
  const byId = new Map(placed.map(({ item }) => [item.id, item]))
  const roots: PlanItem[] = []
  for (const { item, parent } of placed) {
    const above = parent === undefined ? undefined : byId.get(parent)
    if (above && above !== item) above.items.push(item)
    else roots.push(item)
  }
  return roots
}

function placedOf(type: ItemType, item: Fields, issues: Fields): Placed {
  const id = text(item.id) ?? ''
  const [issue, points, priority] = [text(issues[id]), number(item.storyPoints), text(item.priority)]
  return {
    item: {
      ...{ type, id, title: text(item.title) ?? '' },
      ...(issue !== undefined && { issue }),
      ...(points !== undefined && { storyPoints: points }),
      ...(priority !== undefined && { priority }),
      items: [],
    },
    parent: text(item.parent),
  }
}

function messageOf(fields: Fields): PlanMessage {
  const code = text(fields.code)
  return { message: text(fields.message) ?? '', ...(code !== undefined && { code }) }
}

/** What a plan has to say of itself beside its tree. */
export function planRows({ source, progress, progressMessage = '' }: Plan): string[][] {
  return [
    ['document', printable(source)],
    ['progress', `${progress}%  ${oneLine(progressMessage)}`.trimEnd()],
  ]
}

/** The plan as text: the tree, then what was doubtful, then what went wrong. */
export function planText(plan: Plan, style: Style): string {
  const { bold, yellow, red } = style
  const sections = [
    [bold(oneLine(plan.title)), ...treeLines(plan.items.map((item) => branchOf(item, plan, style)))],
    plan.warnings.length > 0 ? [yellow('warnings'), ...messageLines(plan.warnings)] : [],
    plan.errors.length > 0 ? [red('errors'), ...messageLines(plan.errors)] : [],
    whereIssuesAre(plan).map(style.dim),
  ]
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')
}

/** A session hears of its issues when all of them are made; the tracker has each as soon as it is. */
function whereIssuesAre({ items, status, trackerFile }: Plan): string[] {
  if (items.every(({ issue }) => issue !== undefined) || trackerFile === undefined) return []
  const file = printable(trackerFile)
  if (status === 'processing')
    return [`issues are recorded here once all of them are made; until then those that are made are in ${file}`]
  return [`issues that were made before it ended are in ${file}`]
}

function branchOf(item: PlanItem, plan: Plan, style: Style): Branch {
  const { type, id, title, issue, storyPoints, priority, items } = item
  const facts = [
    ...(storyPoints === undefined ? [] : [`${storyPoints} ${storyPoints === 1 ? 'point' : 'points'}`]),
    ...(priority === undefined ? [] : [priority]),
  ]
  const missing = plan.status === 'processing' ? 'not recorded yet' : 'no issue recorded'
  const issueText = issue === undefined ? style.dim(missing) : style.green(printable(issue))
  const tail = [issueText, ...facts.map((fact) => style.dim(printable(fact)))].join(', ')
  return {
    label: `${style.cyan(type)} ${oneLine(title, 100)}  ${style.dim(`${printable(id)} →`)} ${tail}`,
    branches: items.map((inner) => branchOf(inner, plan, style)),
  }
}

const messageLines = (messages: readonly PlanMessage[]): string[] =>
  table(
    messages.map(({ code = '', message }) => [printable(code), printable(message)]),
    '  ',
  )

const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {})
const listOf = (value: unknown): Fields[] => (Array.isArray(value) ? value.map(fieldsOf) : [])
const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)
