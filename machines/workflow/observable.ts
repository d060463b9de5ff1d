// A manager with observers: each hears every event of every session, asynchronously, in order, and harms nobody.

import type { SessionConfigInput } from './config.js'
import type { ObserveOptions, SessionManager, SessionObserver, SessionProgress } from './manager.js'
import type { SessionInfo } from './queries.js'
import type { SessionEvent } from './session-events.js'
import type { SessionState, SessionSummary } from './story.js'

/**
 *     const sessions = new ObservableSessionManager(new SessionManager(runtime))
 *     const remove = await sessions.addObserver({ onEvent: (id, event) => console.log(id, event.type) })
 */
export class ObservableSessionManager {
  readonly inner: SessionManager

  constructor(inner: SessionManager) {
    this.inner = inner
  }

  /** From now on; gives how to remove it. */
  addObserver(observer: SessionObserver, options: ObserveOptions = {}): Promise<() => void> {
    return this.inner.observe(observer, options)
  }

  createSession(config: SessionConfigInput): Promise<string> {
    return this.inner.createSession(config)
  }

  startSession(id: string): Promise<void> {
    return this.inner.startSession(id)
  }

  completeSession(id: string): Promise<SessionSummary> {
    return this.inner.completeSession(id)
  }

  recordEvent(id: string, event: SessionEvent): Promise<void> {
    return this.inner.recordEvent(id, event)
  }

  getState(id: string): Promise<SessionState> {
    return this.inner.getState(id)
  }

  getProgress(id: string): Promise<SessionProgress> {
    return this.inner.getProgress(id)
  }

  listActiveSessions(): Promise<SessionInfo[]> {
    return this.inner.listActiveSessions()
  }

  saveCheckpoint(id: string): Promise<void> {
    return this.inner.saveCheckpoint(id)
  }

  restoreSession(id: string): Promise<void> {
    return this.inner.restoreSession(id)
  }
}
