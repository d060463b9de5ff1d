// What the events of a session add up to: its state, its progress, its summary. A pure fold: whoever has the events has the
// session, whether they come from the machine, a file or a stream.

import type {
  CommandExecuted,
  IterationChanges,
  Merge,
  SessionEvent,
  StopReason,
  TimestampedEvent,
} from './session-events.js'

export type SessionState =
  | { readonly type: 'Created' }
  | { readonly type: 'Running'; readonly iteration: number }
  | { readonly type: 'Paused'; readonly reason: string }
  | { readonly type: 'Completed'; readonly summary: SessionSummary }
  | { readonly type: 'Failed'; readonly error: string }
  | { readonly type: 'Cancelled'; readonly reason: string }

export interface SessionSummary {
  readonly iterations: number
  readonly files_changed: number
  readonly lines_added: number
  readonly lines_removed: number
  readonly commits: number
  readonly commands: number
  readonly failed_commands: number
  readonly stopped_because: StopReason
  readonly merge?: Merge
}

export interface ExecutedCommand extends Omit<CommandExecuted, 'type'> {
  readonly iteration: number
  readonly timestamp: string
}

export interface Story {
  readonly state: SessionState
  /** The one that runs, or ran last; 0 before the first. */
  readonly iteration: number
  readonly iterations_completed: number
  readonly changes: readonly IterationChanges[]
  readonly commands_executed: readonly ExecutedCommand[]
  readonly analyses: readonly unknown[]
  readonly started_at?: string
  readonly ended_at?: string
}

const NO_STORY: Story = {
  ...{ state: { type: 'Created' }, iteration: 0, iterations_completed: 0 },
  ...{ changes: [], commands_executed: [], analyses: [] },
}

/** The story so far, from its events. */
export function replay(events: readonly TimestampedEvent[]): Story {
  const commands_executed: ExecutedCommand[] = []
  const changes: IterationChanges[] = []
  const analyses: unknown[] = []
  let story: Story = { ...NO_STORY, commands_executed, changes, analyses }
  for (const { event, timestamp } of events) {
    if (event.type === 'CommandExecuted') {
      const { type: _, ...command } = event
      commands_executed.push({ ...command, iteration: story.iteration, timestamp })
    }
    if (event.type === 'IterationCompleted') changes.push(event.changes)
    if (event.type === 'AnalysisCompleted') analyses.push(event.results)
    story = { ...story, ...after(story, event, timestamp) }
  }
  return story
}

function after(story: Story, event: SessionEvent, timestamp: string): Partial<Story> {
  const { iteration } = story
  switch (event.type) {
    case 'Started':
      return { state: { type: 'Running', iteration: 0 }, started_at: timestamp }
    case 'IterationStarted':
      return { state: { type: 'Running', iteration: event.number }, iteration: event.number }
    case 'IterationCompleted':
      return { iterations_completed: story.iterations_completed + 1 }
    case 'Paused':
      return { state: { type: 'Paused', reason: event.reason } }
    case 'Resumed':
      return { state: { type: 'Running', iteration } }
    case 'Completed':
      return { state: { type: 'Completed', summary: summaryOf(story, event) }, ended_at: timestamp }
    case 'Failed':
      return { state: endOf(event), ended_at: timestamp }
    case 'AnalysisCompleted':
    case 'CommandExecuted':
      return {}
  }
}

const endOf = ({ error, cancelled }: Extract<SessionEvent, { type: 'Failed' }>): SessionState =>
  cancelled ? { type: 'Cancelled', reason: error } : { type: 'Failed', error }

function summaryOf(story: Story, { stopped_because, merge }: Extract<SessionEvent, { type: 'Completed' }>) {
  const { changes, commands_executed, iterations_completed } = story
  const sum = (of: (change: IterationChanges) => number): number => changes.reduce((all, one) => all + of(one), 0)
  return {
    iterations: iterations_completed,
    files_changed: filesOf(story).length,
    lines_added: sum((change) => change.lines_added),
    lines_removed: sum((change) => change.lines_removed),
    commits: sum((change) => change.git_commits.length),
    commands: commands_executed.length,
    failed_commands: commands_executed.filter(({ success }) => !success).length,
    stopped_because,
    ...(merge && { merge }),
  }
}

/** Every file that an iteration has changed, in order. */
export const filesOf = ({ changes }: Story): string[] =>
  [...new Set(changes.flatMap(({ files_modified }) => files_modified))].sort()

/** The events of a session in pages, so that one more costs no more however many there are. An iteration begins one. */
export type Log = readonly (readonly TimestampedEvent[])[]

/** How many events a page holds. In logs that were kept before there was such a number, one has a whole iteration. */
const PAGE = 32

export const eventsIn = (log: Log): TimestampedEvent[] => log.flat()

export const logOf = (events: readonly TimestampedEvent[]): Log => events.reduce<Log>(withEvent, [])

/** The log with one event more. */
export function withEvent(log: Log, stamped: TimestampedEvent): Log {
  const last = log.at(-1)
  const begins = !last || last.length >= PAGE || stamped.event.type === 'IterationStarted'
  const longer = begins ? [...log, [stamped]] : [...log.slice(0, -1), [...last, stamped]]
  iterations.set(longer, iterationAfter(iterationIn(log), stamped.event))
  return longer
}

/** The state after one event more; `log` has it already. */
export function stateAfter(
  state: SessionState,
  iteration: number,
  log: Log,
  { event, timestamp }: TimestampedEvent,
): SessionState {
  if (event.type === 'Completed') return replay(eventsIn(log)).state
  return after({ ...NO_STORY, state, iteration }, event, timestamp).state ?? state
}

/** What is under way. */
interface Iteration {
  /** 0 before the first. */
  readonly number: number
  readonly begun: boolean
  /** False when it has ended and nothing was other than before. */
  readonly changed: boolean
}

const NO_ITERATION: Iteration = { number: 0, begun: false, changed: true }

function iterationAfter(iteration: Iteration, event: SessionEvent): Iteration {
  if (event.type === 'IterationStarted') return { number: event.number, begun: true, changed: true }
  if (event.type !== 'IterationCompleted') return iteration
  const { files_modified, git_commits } = event.changes
  return { ...iteration, begun: false, changed: files_modified.length + git_commits.length > 0 }
}

/** What is known of logs, which never change: that of a longer one follows from that of the one before. */
const iterations: WeakMap<Log, Iteration> = new WeakMap()

export function iterationIn(log: Log): Iteration {
  const known = iterations.get(log)
  if (known) return known
  const iteration = eventsIn(log).reduce((before, { event }) => iterationAfter(before, event), NO_ITERATION)
  iterations.set(log, iteration)
  return iteration
}

/** The commands that the iteration has run so far, without what was run because one failed. */
export function commandsIn(log: Log): string[] {
  const began = log.findLastIndex((page) => page[0]?.event.type === 'IterationStarted')
  return log
    .slice(Math.max(began, 0))
    .flat()
    .flatMap(({ event }) => (event.type === 'CommandExecuted' && !event.handler ? [event.command] : []))
}
