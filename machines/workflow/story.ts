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

/** The events of a session in pages, one an iteration, so that one more costs no more however many there are. */
export type Log = readonly (readonly TimestampedEvent[])[]

export const eventsIn = (log: Log): TimestampedEvent[] => log.flat()

export const logOf = (events: readonly TimestampedEvent[]): Log => events.reduce<Log>(withEvent, [])

/** The log with one event more. */
export function withEvent(log: Log, stamped: TimestampedEvent): Log {
  const last = log.at(-1)
  if (!last || stamped.event.type === 'IterationStarted') return [...log, [stamped]]
  return [...log.slice(0, -1), [...last, stamped]]
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

/** What is under way, told from the last page. */
export function iterationIn(log: Log): { number: number; begun: boolean; commandsRun: string[]; changed: boolean } {
  const page = log.at(-1) ?? []
  const [number] = page.flatMap(({ event }) => (event.type === 'IterationStarted' ? [event.number] : []))
  const ended = page.flatMap(({ event }) => (event.type === 'IterationCompleted' ? [event.changes] : [])).at(-1)
  const commandsRun = page.flatMap(({ event }) =>
    event.type === 'CommandExecuted' && !event.handler ? [event.command] : [],
  )
  const changed = !ended || ended.files_modified.length > 0 || ended.git_commits.length > 0
  return { number: number ?? 0, begun: number !== undefined && !ended, commandsRun, changed }
}
