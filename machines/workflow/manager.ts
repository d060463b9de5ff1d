// The session manager of the original. It keeps nothing: every call is a query of the runtime or an event to a session, so all
// of it is as durable as the sessions are, and any number of managers say the same. What a session does is in its machine.

import { HoldfastError, isHoldfastError, type Runtime, type Session, type Transition } from 'holdfast'
import { inputSchema, type SessionConfig, type SessionConfigInput } from './config.js'
import type { WorkflowContext } from './context.js'
import type { WorkflowEvent } from './events.js'
import { sharedRuntime } from './hosting.js'
import { workflow } from './kind.js'
import type { WorkflowMachine, WorkflowValue } from './machine.js'
import { type EventFilter, eventsThat, type SessionFilter, type SessionInfo, sessionsOf } from './queries.js'
import type { PersistedSession, SessionCheckpoint } from './restored.js'
import type { SessionEvent, TimestampedEvent } from './session-events.js'
import type { CleanedWorktree, OrphanedWorktree } from './steps/worktrees.js'
import type { CommandOutput } from './steps.js'
import type { SessionStorage } from './storage.js'
import { type ExecutedCommand, eventsIn, filesOf, replay, type SessionState, type SessionSummary } from './story.js'
import { isCheckpointed, toldIn } from './told.js'

export interface ManagerOptions {
  /** Where `saveCheckpoint` also keeps sessions, and `restoreSession` finds those that the runtime does not know. */
  readonly storage?: SessionStorage
}

export interface SessionProgress {
  readonly state: SessionState
  readonly iterations_completed: number
  /** At most. */
  readonly total_iterations: number
  readonly files_changed: ReadonlySet<string>
  readonly commands_executed: readonly ExecutedCommand[]
  /** Since it was started, in ms; of a session that has ended, until then. */
  readonly duration: number
  /** What it is at: the name of a command, or `preparing`, `surveying`, `finishing`, `stopping`. */
  readonly current_phase?: string
}

/** Called for each event of a session, once it is durable. */
export interface SessionObserver {
  onEvent(sessionId: string, event: SessionEvent): void | Promise<void>
}

export interface ObserveOptions {
  /** Only those of one session. */
  readonly sessionId?: string
  /** From here on, a position in the runtime's journal, what was missed first; default: what happens from now on. */
  readonly from?: number
  /** Hears what an observer threw. Default: it is forgotten. */
  readonly onError?: (error: unknown) => void
}

/**
 *     const sessions = new SessionManager(runtime)
 *     const id = await sessions.createSession({ project_path: '/src/shop', workflow: ['npm run fix', 'npm test'] })
 *     await sessions.startSession(id)
 *     const end = await sessions.waitForSession(id)
 */
export class SessionManager {
  readonly #runtime: () => Promise<Runtime>
  readonly #storage: SessionStorage | undefined

  /** Without a runtime: one that all managers of this process share (see `closeWorkflows`). Its owner closes it. */
  constructor(runtime?: Runtime | (() => Promise<Runtime>), { storage }: ManagerOptions = {}) {
    this.#runtime = typeof runtime === 'function' ? runtime : runtime ? async () => runtime : sharedRuntime
    this.#storage = storage
  }

  /** Creates a session and gives its id. Rejects with INVALID_INPUT, naming the field. */
  async createSession(config: SessionConfigInput): Promise<string> {
    return (await (await this.#runtime()).create(workflow, { config })).id
  }

  /** Starts it, and resolves when that is durable. Rejects with NOT_ACCEPTED unless it was only created. */
  startSession(id: string): Promise<void> {
    return this.#send(id, { type: 'start' })
  }

  /** Has it end after the command that runs, and resolves with its summary; at once, if it has completed before. */
  async completeSession(id: string): Promise<SessionSummary> {
    const session = await this.#session(id)
    if (session.snapshot().context.state.type !== 'Completed') await this.#send(id, { type: 'complete' })
    const state = await this.waitForSession(id)
    if (state.type === 'Completed') return state.summary
    throw new HoldfastError('SESSION_FAILED', `session ${id} did not complete: ${state.type}`, { details: { id } })
  }

  /** Resolves with the state that it ends in. */
  async waitForSession(id: string): Promise<SessionState> {
    const session = await this.#session(id)
    const { context } = await session.until(({ status }) => status !== 'active')
    return context.state
  }

  /** Records what happened outside, or does what the event says: `Paused` pauses, `Completed` completes. */
  async recordEvent(id: string, event: SessionEvent): Promise<void> {
    if (event.type === 'Started') await this.#assertConfig(id, event.config)
    await this.#send(id, eventFor(event))
  }

  async getState(id: string): Promise<SessionState> {
    return (await this.#session(id)).snapshot().context.state
  }

  async getProgress(id: string): Promise<SessionProgress> {
    const { context, value } = (await this.#session(id)).snapshot()
    const story = replay(eventsIn(context.log))
    const { state, iterations_completed, commands_executed, started_at, ended_at } = story
    // biome-ignore lint/plugin/clock: how long it runs is asked from outside, and recorded nowhere
    const until = ended_at === undefined ? Date.now() : Date.parse(ended_at)
    const current_phase = phaseOf(value, context)
    return {
      ...{ state, iterations_completed, total_iterations: context.config.max_iterations, commands_executed },
      files_changed: new Set(filesOf(story)),
      duration: started_at === undefined ? 0 : Math.max(0, until - Date.parse(started_at)),
      ...(current_phase !== undefined && { current_phase }),
    }
  }

  /** Those that have not ended. */
  listActiveSessions(filter: Omit<SessionFilter, 'status'> = {}): Promise<SessionInfo[]> {
    return this.listSessions({ ...filter, status: ['Created', 'Running', 'Paused'] })
  }

  async listSessions(filter: SessionFilter = {}): Promise<SessionInfo[]> {
    return [...sessionsOf(await this.#runtime(), filter)]
  }

  /** At the next boundary between commands; at once, where nothing runs. */
  pauseSession(id: string, reason: string): Promise<void> {
    return this.#send(id, { type: 'pause', reason })
  }

  resumeSession(id: string): Promise<void> {
    return this.#send(id, { type: 'resume' })
  }

  /** Ends what runs, and resolves when no process of it is left. */
  async cancelSession(id: string, reason?: string): Promise<void> {
    await this.#send(id, { type: 'cancel', ...(reason !== undefined && { reason }) })
    await this.waitForSession(id)
  }

  /** Notes where it is; with a storage, the session is saved there as well. */
  async saveCheckpoint(id: string): Promise<void> {
    const session = await this.#session(id)
    if (session.entry().status === 'active') await this.#send(id, { type: 'checkpoint' })
    await this.#storage?.save(await this.exportSession(id))
  }

  /**
   * Sees to it that the session is there and can go on: one of the runtime goes on by itself, unless it is quarantined, and
   * is released then; another one is brought in from the storage, as its events say. Rejects with SESSION_NOT_FOUND.
   */
  async restoreSession(id: string): Promise<void> {
    const runtime = await this.#runtime()
    try {
      const session = await this.#session(id)
      if (runtime.health().quarantined.some((one) => one.id === id)) await session.release()
    } catch (error) {
      const kept = isHoldfastError(error, 'SESSION_NOT_FOUND') ? await this.#storage?.load(id) : undefined
      if (!kept) throw error
      const { config, events, checkpoints } = kept
      await runtime.create(workflow, { config, restored: { events, checkpoints } }, { id })
    }
  }

  /** A session that goes on from the last resumable checkpoint of one that has failed or was cancelled; gives its id. */
  async retrySession(id: string): Promise<string> {
    const session = await this.#session(id)
    const { state } = session.snapshot().context
    if (state.type !== 'Failed' && state.type !== 'Cancelled') throw notAccepted(id, state, 'retry')
    const at = [...session.history()].findLast((transition) => isCheckpointed(transition as Transition))?.seq
    return (await session.fork({ at: at ?? 1 })).id
  }

  async getEvents(id: string, filter: EventFilter = {}): Promise<TimestampedEvent[]> {
    return eventsThat(eventsIn((await this.#session(id)).snapshot().context.log), filter)
  }

  async getCheckpoints(id: string): Promise<readonly SessionCheckpoint[]> {
    return (await this.#session(id)).snapshot().context.checkpoints
  }

  /** What its commands said, in order, each capped; from the history, as far as that is kept. */
  async getOutputs(id: string): Promise<CommandOutput[]> {
    const session = await this.#session(id)
    return [...session.history()].flatMap(({ event }) => {
      const isEnd = /^xstate\.done\.actor\.(command|handler)$/.test(event.type)
      return isEnd ? [(event as unknown as { output: CommandOutput }).output] : []
    })
  }

  /** The whole session as a value, for another place. */
  async exportSession(id: string): Promise<PersistedSession> {
    const { config, state, log, checkpoints } = (await this.#session(id)).snapshot().context
    return { id, config, state, events: eventsIn(log), checkpoints }
  }

  /**
   * Has an observer called with each event, one after the other, when it is durable; gives how to stop that. One that
   * throws is told of the next all the same; one that is slow misses nothing, and nobody waits for it.
   */
  async observe(observer: SessionObserver, options: ObserveOptions = {}): Promise<() => void> {
    const runtime = await this.#runtime()
    const { sessionId, from, onError = () => {} } = options
    const cut = new AbortController()
    const next = async (transition: Transition): Promise<void> => {
      const { session } = transition
      if (sessionId !== undefined && session !== sessionId) return
      if (kindOf(runtime, session) !== workflow.kind) return
      for (const { event } of toldIn(transition)) {
        if (cut.signal.aborted) return
        try {
          await observer.onEvent(session, event)
        } catch (error) {
          onError(error)
        }
      }
    }
    const listen = (position: number | undefined): void => {
      const stream = runtime.transitions$({ signal: cut.signal, ...(position !== undefined && { from: position }) })
      // What an observer was too slow for is in the journal: it goes on there.
      const error = (reason: unknown): void => {
        const { resumeFrom } = isHoldfastError(reason) ? (reason.details as { resumeFrom?: number }) : {}
        if (resumeFrom === undefined) onError(reason)
        else listen(resumeFrom)
      }
      stream.subscribe({ next: next as (transition: Transition) => void, error })
    }
    listen(from)
    return () => cut.abort()
  }

  /** Worktrees of sessions that have ended, or that this runtime does not know. */
  async findOrphanedWorktrees(project_path: string): Promise<OrphanedWorktree[]> {
    const runtime = await this.#runtime()
    const { orphansIn } = await import('./steps/worktrees.js')
    return orphansIn(project_path, (id) => isActive(runtime, id))
  }

  /** Takes them away; what they hold that is nowhere else is kept under a ref, which is told. */
  async cleanOrphanedWorktrees(project_path: string): Promise<CleanedWorktree[]> {
    const orphans = await this.findOrphanedWorktrees(project_path)
    const { cleanOrphan } = await import('./steps/worktrees.js')
    const cleaned: CleanedWorktree[] = []
    for (const orphan of orphans) {
      const one = await cleanOrphan(project_path, orphan)
      if (one) cleaned.push(one)
    }
    return cleaned
  }

  async #session(id: string): Promise<Session<WorkflowMachine>> {
    const runtime = await this.#runtime()
    try {
      return runtime.session(id, workflow)
    } catch (error) {
      if (!isHoldfastError(error, 'SESSION_NOT_FOUND', 'INVALID_ID', 'KIND_MISMATCH')) throw error
      throw new HoldfastError('SESSION_NOT_FOUND', `there is no workflow session ${id}`, {
        cause: error,
        details: { id },
      })
    }
  }

  /** One that has ended refuses as one in any other state does. */
  async #send(id: string, event: WorkflowEvent): Promise<void> {
    const session = await this.#session(id)
    try {
      await session.send(event)
    } catch (error) {
      if (!isHoldfastError(error, 'SESSION_ENDED')) throw error
      throw notAccepted(id, session.snapshot().context.state, event.type, error)
    }
  }

  async #assertConfig(id: string, config: SessionConfig | undefined): Promise<void> {
    if (config === undefined) return
    const admitted = await inputSchema['~standard'].validate({ config })
    const own = (await this.#session(id)).snapshot().context.config
    if (!admitted.issues && JSON.stringify(admitted.value.config) === JSON.stringify(own)) return
    throw new HoldfastError(
      'INVALID_EVENT',
      `session ${id} was created with another config: create one with this config`,
    )
  }
}

/** What happened, as what is to be done about it. */
function eventFor(event: SessionEvent): WorkflowEvent {
  switch (event.type) {
    case 'Started':
      return { type: 'start' }
    case 'Paused':
      return { type: 'pause', reason: event.reason }
    case 'Resumed':
      return { type: 'resume' }
    case 'Completed':
      return { type: 'complete' }
    case 'Failed':
      return event.cancelled ? { type: 'cancel', reason: event.error } : { type: 'fail', error: event.error }
    case 'IterationStarted':
    case 'IterationCompleted':
    case 'CommandExecuted':
    case 'AnalysisCompleted':
      return { type: 'record', event }
  }
}

function phaseOf(value: WorkflowValue, { config, index }: WorkflowContext): string | undefined {
  if (value === 'stopping') return 'stopping'
  if (typeof value === 'string' || typeof value.running === 'string') return undefined
  const { working } = value.running
  const command = config.workflow.commands[index]
  return working === 'command' ? (command?.name ?? command?.shell) : working
}

function kindOf(runtime: Runtime, id: string): string | undefined {
  try {
    return runtime.session(id).kind
  } catch {
    return undefined // it has been deleted
  }
}

function isActive(runtime: Runtime, id: string): boolean {
  try {
    return runtime.session(id).entry().status === 'active'
  } catch (error) {
    if (!isHoldfastError(error, 'SESSION_NOT_FOUND', 'SESSION_DELETED')) throw error
    return false
  }
}

function notAccepted(id: string, { type }: SessionState, event: string, cause?: unknown): HoldfastError {
  const message = `session ${id} is ${type.toLowerCase()}, and accepts no "${event}"`
  return new HoldfastError('NOT_ACCEPTED', message, { cause, details: { event, state: type, accepts: [] } })
}
