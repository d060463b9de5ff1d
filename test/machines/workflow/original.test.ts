// The interfaces of the original as it writes them: every name, in this language's case, and every shape; only the import path
// differs, and where sessions are kept.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  FileSessionStorage,
  InMemorySessionManager,
  type IterationChanges,
  ObservableSessionManager,
  type PersistedSession,
  type SessionCheckpoint,
  type SessionConfig,
  type SessionEvent,
  type SessionManager,
  type SessionObserver,
  type SessionProgress,
  type SessionState,
  type SessionStorage,
  type SessionSummary,
} from 'holdfast/machines/workflow'
import { afterEach, beforeEach, expect, test } from 'vitest'

let base_path: string
beforeEach(() => {
  base_path = mkdtempSync(join(tmpdir(), 'holdfast-original-'))
})
afterEach(() => rmSync(base_path, { recursive: true, force: true }))

// Session configuration
const config: SessionConfig = {
  project_path: '/src/shop',
  workflow: { commands: [] },
  execution_mode: { type: 'worktree', name: 'shop' },
  max_iterations: 3,
  focus: 'performance',
  options: { fail_fast: true, auto_merge: false, collect_metrics: true, verbose: false },
}

// Session progress tracking
const changes: IterationChanges = {
  files_modified: ['src/main.rs'],
  lines_added: 10,
  lines_removed: 2,
  commands_run: ['cargo fmt'],
  git_commits: [{ id: 'abc', message: 'Format', author: 'Ada', timestamp: '2024-05-01T10:00:00.000Z' }],
}

/** The nine events. */
const told: SessionEvent[] = [
  { type: 'Started', config },
  { type: 'IterationStarted', number: 1 },
  { type: 'AnalysisCompleted', results: { issues: 4 } },
  { type: 'CommandExecuted', command: 'cargo fmt', success: true },
  { type: 'IterationCompleted', changes },
  { type: 'Paused', reason: 'waiting for review' },
  { type: 'Resumed' },
]

test('state machine: created, running, paused, completed; and failed', async () => {
  await using manager = new InMemorySessionManager()
  const id: string = await manager.createSession(config)
  const states: SessionState[] = [await manager.getState(id)]
  for (const event of told) {
    await manager.recordEvent(id, event)
    states.push(await manager.getState(id))
  }
  await manager.recordEvent(id, { type: 'Completed', stopped_because: 'asked' })
  states.push(await manager.getState(id))
  expect(states.map((state) => (state.type === 'Running' ? `Running ${state.iteration}` : state.type))).toEqual([
    ...['Created', 'Running 0', 'Running 1', 'Running 1', 'Running 1', 'Running 1', 'Paused', 'Running 1', 'Completed'],
  ])
  const failed = await manager.createSession(config)
  await manager.startSession(failed)
  await manager.recordEvent(failed, { type: 'Failed', error: 'tests do not pass' })
  expect(await manager.getState(failed)).toEqual({ type: 'Failed', error: 'tests do not pass' })
})

test('session manager interface: lifecycle, updates, queries, persistence', async () => {
  const storage: SessionStorage = new FileSessionStorage(base_path)
  await using first = new InMemorySessionManager({ storage })
  const manager: SessionManager = first
  // Lifecycle management
  const id = await manager.createSession(config)
  await manager.startSession(id)
  // State updates
  for (const event of told.slice(1)) await manager.recordEvent(id, event)
  // Queries
  const progress: SessionProgress = await manager.getProgress(id)
  expect(progress).toMatchObject({
    state: { type: 'Running', iteration: 1 },
    iterations_completed: 1,
    total_iterations: 3,
    files_changed: new Set(['src/main.rs']),
    commands_executed: [{ command: 'cargo fmt', success: true }],
  })
  expect((await manager.listActiveSessions()).map((info) => info.id)).toEqual([id])
  // Persistence
  await manager.saveCheckpoint(id)
  await using second = new InMemorySessionManager({ storage })
  await second.restoreSession(id)
  expect(await second.getState(id)).toEqual({ type: 'Running', iteration: 1 })
  const summary: SessionSummary = await second.completeSession(id)
  expect(summary).toMatchObject({ iterations: 1, files_changed: 1, lines_added: 10, lines_removed: 2, commits: 1 })
})

test('event-driven updates: an observable manager has observers', async () => {
  await using inner = new InMemorySessionManager()
  const manager = new ObservableSessionManager(inner)
  const heard: [string, string][] = []
  const observer: SessionObserver = {
    async onEvent(session_id, event) {
      heard.push([session_id, event.type])
    },
  }
  await manager.addObserver(observer)
  const id = await manager.createSession(config)
  for (const event of told) await manager.recordEvent(id, event)
  await manager.completeSession(id)
  while (heard.length < 8) await new Promise((later) => setTimeout(later, 5))
  expect(heard).toEqual([...told.map(({ type }) => [id, type]), [id, 'Completed']])
  expect((await manager.getProgress(id)).state.type).toBe('Completed')
  expect(await manager.listActiveSessions()).toEqual([])
})

test('persistence layer and storage backend: save, load, list, delete', async () => {
  const storage = new FileSessionStorage(base_path)
  expect(storage.base_path).toBe(base_path)
  await using inner = new InMemorySessionManager({ storage })
  const manager = new ObservableSessionManager(inner)
  const id = await manager.createSession(config)
  for (const event of told) await manager.recordEvent(id, event)
  await manager.saveCheckpoint(id)
  const kept = (await storage.load(id)) as PersistedSession
  expect(kept).toMatchObject({ id, config, state: { type: 'Running', iteration: 1 } })
  expect(kept.events.map(({ event }) => event)).toEqual(told)
  const checkpoint = kept.checkpoints.at(-1) as SessionCheckpoint
  expect(checkpoint).toMatchObject({ iteration: 1, resumable: true, state_snapshot: { state: kept.state } })
  expect(Number.isNaN(Date.parse(checkpoint.timestamp))).toBe(false)
  expect(await storage.list()).toEqual([id])
  await storage.delete(id)
  expect(await storage.load(id)).toBeUndefined()
  await manager.restoreSession(id) // the manager still has it
})
