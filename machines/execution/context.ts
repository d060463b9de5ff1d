// What an execution session holds, and how each event changes it: pure functions from a context to what is other in the next.
// Modifications are numbered from 1 in the order of their arrival and never leave; counts are kept, so that no question about
// a session needs to look at all of them. What is on its way to a service stands in `current`, with the mark that tells
// whether it has got there.

import type { ChannelConfig } from './channel.js'
import type { ExecutionEvent, ModificationFields } from './events.js'
import type { ModificationAction } from './fields.js'
import type { ExecutionInput } from './input.js'
import type { Change, DailyPlan, Mark, Outcome, TrackerConfig } from './tracker.js'
import { uuidOf } from './uuid.js'

/** A modification as it is kept. */
export interface KeptModification {
  readonly ticketId: string
  readonly userId: string
  readonly action: ModificationAction
  readonly value: string
  readonly timestamp: string
  /** It waits for its turn, if it is not processed. */
  readonly requested?: true
  readonly processed: boolean
  readonly processedAt?: string
  readonly error?: string
  readonly code?: string
  /** How it was applied; `outside`: somebody has said so. */
  readonly outcome?: Outcome | 'outside'
}

export interface Counts {
  readonly processed: number
  readonly errors: number
  /** Those that wait for their turn, or have it. */
  readonly queued: number
  readonly actions: { readonly [A in ModificationAction]: number }
}

/** Something that the channel is to hear. */
export interface News {
  readonly kind: 'created' | 'completed' | 'cancelled'
  readonly at: string
  /** An attempt may have said it already. */
  readonly again?: true
}

/** What went wrong beside modifications. */
export interface Problem {
  readonly step: string
  readonly message: string
  readonly code?: string
  readonly at?: string
}

/** A modification that is being applied. */
export interface Current {
  readonly number: number
  /** Absent until the ticket was looked at. */
  readonly mark?: Mark
  /** An attempt may have applied it already. */
  readonly again?: true
}

/** A plan, and where it is once it is stored. */
export interface KeptPlan extends DailyPlan {
  readonly issueId?: string
}

export interface ExecutionContext {
  readonly id: string
  readonly generatedAt: string
  readonly adminUserId: string
  readonly teamId: string
  readonly organizationId: string
  readonly planCount: number
  readonly tracker: TrackerConfig
  readonly channel: ChannelConfig
  readonly modifications: readonly KeptModification[]
  readonly counts: Counts
  /** Everything before this number is processed. */
  readonly next: number
  readonly current: readonly Current[]
  /** `wanted`: the tickets are to be read; `gathered`: the plans are to be stored. */
  readonly planning?: 'wanted' | 'gathered'
  readonly plans: readonly KeptPlan[]
  readonly news: readonly News[]
  /** How many announcements were made. */
  readonly announced: number
  readonly problems: readonly Problem[]
  /** How long the tracker and the channel have asked to wait, in ms. */
  readonly waitMs: { readonly tickets: number; readonly news: number }
  readonly confirmedAt?: string
  readonly completedAt?: string
  readonly cancelledAt?: string
  readonly reason?: string
}

/** How many tickets are changed at a time. */
const AT_A_TIME = 25
/** How many modifications are looked at for that; what is further behind waits. */
const MOST_LOOKED_AT = 1_000
/** The oldest go when there are more. */
const MOST_PROBLEMS = 50

const NO_TIME = '1970-01-01T00:00:00.000Z'

/** The door has stamped it; where a machine is run without one, nothing is known of the time. */
const timeOf = ({ at = NO_TIME }: { readonly at?: string | undefined }): string => at

export function contextOf(input: ExecutionInput): ExecutionContext {
  const { id = 'session_0', adminUserId, teamId, organizationId = '', planCount = 0, generatedAt = NO_TIME } = input
  return {
    ...{ id, generatedAt, adminUserId, teamId, organizationId, planCount },
    tracker: input.tracker ?? { kind: 'local', file: 'tickets.jsonl' },
    channel: input.channel ?? { kind: 'log' },
    modifications: [],
    counts: { processed: 0, errors: 0, queued: 0, actions: { status_change: 0, reassign: 0, comment: 0 } },
    ...{ next: 1, current: [] },
    ...(input.plan && { planning: 'wanted' as const }),
    ...{ plans: [], news: [], announced: 0, problems: [], waitMs: { tickets: 0, news: 0 } },
  }
}

type Of<T extends ExecutionEvent['type']> = Extract<ExecutionEvent, { type: T }>
type Next = Partial<ExecutionContext>

const modificationAt = ({ modifications }: ExecutionContext, number: number): KeptModification | undefined =>
  modifications[number - 1]

export const isProcessed = (context: ExecutionContext, number: number): boolean =>
  modificationAt(context, number)?.processed !== false

export function withModifications(context: ExecutionContext, event: Of<'modify'>): Next {
  const { modifications, counts } = context
  const { process = false } = event
  const added = event.modifications.map((fields) => keptOf(fields, process, timeOf(event)))
  const actions = { ...counts.actions }
  for (const { action } of added) actions[action]++
  return {
    modifications: [...modifications, ...added],
    counts: { ...counts, actions, queued: counts.queued + (process ? added.length : 0) },
  }
}

const keptOf = (
  { ticketId, userId, action, value, timestamp }: ModificationFields,
  process: boolean,
  at: string,
): KeptModification => ({
  ...{ ticketId, userId, action, value, timestamp: timestamp ?? at, processed: false },
  ...(process && { requested: true }),
})

/** Of those numbers, or of all: what is neither processed nor requested. */
export function unrequested(context: ExecutionContext, numbers?: readonly number[]): number[] {
  const all = numbers ?? Array.from({ length: context.modifications.length }, (_, index) => index + 1)
  return [...new Set(all)].filter((number) => {
    const kept = modificationAt(context, number)
    return kept !== undefined && !kept.processed && !kept.requested
  })
}

export function withRequests(context: ExecutionContext, numbers?: readonly number[]): Next {
  const asked = unrequested(context, numbers)
  if (asked.length === 0) return {}
  const modifications = [...context.modifications]
  for (const number of asked) {
    modifications[number - 1] = { ...(modifications[number - 1] as KeptModification), requested: true }
  }
  return { modifications, counts: { ...context.counts, queued: context.counts.queued + asked.length } }
}

/** What became of a modification. */
export interface Result {
  readonly number: number
  readonly at: string
  readonly outcome?: Outcome | 'outside'
  readonly error?: string
  readonly code?: string
}

/** What was processed already stays as it is. */
export function withResults(context: ExecutionContext, results: readonly Result[]): Next {
  const modifications = [...context.modifications]
  let { processed, errors, queued } = context.counts
  for (const { number, at, ...result } of results) {
    const kept = modifications[number - 1]
    if (!kept || kept.processed) continue
    modifications[number - 1] = { ...kept, ...result, processed: true, processedAt: at }
    processed++
    if (result.error !== undefined) errors++
    if (kept.requested) queued--
  }
  let { next } = context
  while (modifications[next - 1]?.processed) next++
  const done = new Set(results.map(({ number }) => number))
  return {
    ...{ modifications, next },
    counts: { ...context.counts, processed, errors, queued },
    current: context.current.filter(({ number }) => !done.has(number)),
  }
}

/** The next to be applied: in order, and of each ticket the first alone, for the later ones come after it. */
export function chosen({ modifications, next }: ExecutionContext): Current[] {
  const tickets = new Set<string>()
  const current: Current[] = []
  const end = Math.min(modifications.length, next - 1 + MOST_LOOKED_AT)
  for (let number = next; number <= end && current.length < AT_A_TIME; number++) {
    const { ticketId, requested, processed } = modifications[number - 1] as KeptModification
    if (!requested || processed || tickets.has(ticketId)) continue
    tickets.add(ticketId)
    current.push({ number })
  }
  return current
}

/** As the tracker is told of it. */
export function changeOf(context: ExecutionContext, number: number): Change & { readonly number: number } {
  const { ticketId, userId, action, value } = modificationAt(context, number) as KeptModification
  return { number, clientId: uuidOf(`${context.id}/${number}`), ticketId, userId, action, value }
}

export const markOf = ({ number, at, error }: Of<'markProcessed'>): Result => ({
  ...{ number, at: at ?? NO_TIME },
  ...(error === undefined ? { outcome: 'outside' as const } : { error }),
})

export const confirmed = (context: ExecutionContext, event: Of<'confirm'>): Next => ({
  ...(event.process && withRequests(context)),
  confirmedAt: timeOf(event),
})

export const completed = ({ news }: ExecutionContext, event: Of<'complete'>): Next => ({
  completedAt: timeOf(event),
  news: [...news, { kind: 'completed', at: timeOf(event) }],
})

/** What waits for its turn is never applied. */
export const cancelled = ({ news }: ExecutionContext, event: Of<'cancel'>): Next => ({
  cancelledAt: timeOf(event),
  planning: undefined,
  ...(event.reason !== undefined && { reason: event.reason }),
  news: [...news, { kind: 'cancelled', at: timeOf(event) }],
})

export const withProblem = ({ problems }: ExecutionContext, step: string, error: unknown): readonly Problem[] => {
  const { message, code, at } = error as { message: string; code?: string | number; at?: string }
  const problem = { step, message, ...(code !== undefined && { code: String(code) }), ...(at !== undefined && { at }) }
  return [...problems, problem].slice(-MOST_PROBLEMS)
}

/** A step that failed for good fails all that it was about. */
export function failed(context: ExecutionContext, error: unknown): Next {
  const { message, code, at = NO_TIME } = error as { message: string; code?: string | number; at?: string }
  const why = { error: message, ...(code !== undefined && { code: String(code) }) }
  return withResults(
    context,
    context.current.map(({ number }) => ({ number, at, ...why })),
  )
}
