// What a workflow session keeps, and how that moves: an event more and the state that follows, a checkpoint, what an event says
// of its time. Pure.

import type { AdmittedInput, SessionConfig } from './config.js'
import type { WorkflowEvent } from './events.js'
import type { SessionCheckpoint } from './restored.js'
import type { SessionEvent, StopReason } from './session-events.js'
import type { Mark, Place } from './steps.js'
import { commandsIn, iterationIn, type Log, logOf, replay, type SessionState, stateAfter, withEvent } from './story.js'

export interface WorkflowContext {
  readonly config: SessionConfig
  readonly state: SessionState
  readonly log: Log
  readonly checkpoints: readonly SessionCheckpoint[]
  /** Where its commands run, once that is prepared. */
  readonly place?: Place
  /** What was there when the iteration began. */
  readonly mark?: Mark
  /** Which command of the iteration comes next, from 0. */
  readonly index: number
  /** How often the command was run again because its handler wanted it. */
  readonly retries: number
  /** What is to happen at the next boundary. */
  readonly wish?: { readonly type: 'complete' } | { readonly type: 'pause'; readonly reason: string }
  /** Why it is stopping. */
  readonly ending?: Ending
}

export interface Ending {
  readonly error: string
  readonly cancelled?: true
}

export const isDriven = ({ config }: WorkflowContext): boolean => config.workflow.commands.length === 0

/** The door has filled in what was left out. */
export function contextOf({ config, restored }: AdmittedInput): WorkflowContext {
  const events = restored?.events ?? []
  const log = logOf(events)
  const { begun } = iterationIn(log)
  return {
    ...{ config, log, state: replay(events).state, checkpoints: restored?.checkpoints ?? [] },
    ...{ index: begun ? commandsIn(log).length : 0, retries: 0 },
  }
}

/** Why there is no further iteration, if there is none; asked between iterations. */
export function stopReasonOf({ log, config, wish }: WorkflowContext): StopReason | undefined {
  const { number, changed } = iterationIn(log)
  if (number > 0 && !changed) return 'no changes'
  if (number >= config.max_iterations) return 'max_iterations'
  return wish?.type === 'complete' ? 'asked' : undefined
}

/** Whether an event from outside leads on from where a driven session is. */
export function follows({ log, config }: WorkflowContext, event: SessionEvent): boolean {
  const { number, begun } = iterationIn(log)
  if (event.type === 'IterationStarted') {
    return !begun && event.number === number + 1 && event.number <= config.max_iterations
  }
  return event.type === 'CommandExecuted' || (event.type === 'IterationCompleted' && begun)
}

/** The context with more told, and the state that it has then. */
export function told(
  context: WorkflowContext,
  timestamp: string,
  ...events: SessionEvent[]
): Pick<WorkflowContext, 'state' | 'log'> {
  let { state, log } = context
  for (const event of events) {
    log = withEvent(log, { timestamp, event })
    state = stateAfter(state, iterationIn(log).number, log, { timestamp, event })
  }
  return { state, log }
}

export function withCheckpoint(context: WorkflowContext, timestamp: string, resumable: boolean): SessionCheckpoint[] {
  const { checkpoints, state, log, mark } = context
  const { number, begun } = iterationIn(log)
  const events = log.reduce((sum, page) => sum + page.length, 0)
  const state_snapshot = { state, events, ...mark }
  return [...checkpoints, { iteration: begun ? number - 1 : number, timestamp, state_snapshot, resumable }]
}

const NO_TIME = '1970-01-01T00:00:00.000Z'

/** The door has stamped it, or the step did; where a machine is run without either, nothing is known of the time. */
export const timeOf = (event: unknown): string => {
  const { at, output } = event as { at?: string; output?: { at?: string } }
  return at ?? output?.at ?? NO_TIME
}

export const lastTime = ({ log }: WorkflowContext): string => log.at(-1)?.at(-1)?.timestamp ?? NO_TIME

export const reasonOf = (event: unknown): string => (event as { reason?: string }).reason ?? ''

export function endingOf(event: WorkflowEvent): Ending {
  return event.type === 'fail' ? { error: event.error } : { error: reasonOf(event) || 'cancelled', cancelled: true }
}
