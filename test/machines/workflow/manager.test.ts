// The manager by the original's names: sessions that somebody outside drives, what can be asked, who observes, and where
// sessions are kept beside the runtime.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import {
  FileSessionStorage,
  InMemorySessionManager,
  InMemorySessionStorage,
  type IterationChanges,
  ObservableSessionManager,
  replay,
  type SessionEvent,
  type SessionManager,
} from 'holdfast/machines/workflow'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ended, Workshop } from './workshop.js'

const CONFIG = { project_path: '/project', workflow: [], max_iterations: 5 }

const changed = (...files: string[]): IterationChanges => ({
  ...{ files_modified: files, lines_added: files.length, lines_removed: 1, commands_run: ['fix'] },
  git_commits: [],
})

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-manager-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A session in the middle of its second iteration. */
async function begun(manager: SessionManager): Promise<string> {
  const id = await manager.createSession(CONFIG)
  await manager.startSession(id)
  for (const event of [
    { type: 'IterationStarted', number: 1 },
    { type: 'CommandExecuted', command: 'fix', success: true },
    { type: 'AnalysisCompleted', results: { score: 3 } },
    { type: 'IterationCompleted', changes: changed('a', 'b') },
    { type: 'IterationStarted', number: 2 },
    { type: 'CommandExecuted', command: 'test', success: false },
  ] as const satisfies readonly SessionEvent[]) {
    await manager.recordEvent(id, event)
  }
  return id
}

describe('a session that is driven from outside', () => {
  test('tells its state and its progress, and gives a summary when it is completed', async () => {
    await using manager = new InMemorySessionManager()
    const id = await begun(manager)
    expect(await manager.getProgress(id)).toEqual({
      state: { type: 'Running', iteration: 2 },
      iterations_completed: 1,
      total_iterations: 5,
      files_changed: new Set(['a', 'b']),
      commands_executed: [
        { command: 'fix', success: true, iteration: 1, timestamp: expect.any(String) },
        { command: 'test', success: false, iteration: 2, timestamp: expect.any(String) },
      ],
      duration: expect.any(Number),
    })
    await manager.recordEvent(id, { type: 'Paused', reason: 'lunch' })
    expect(await manager.getState(id)).toEqual({ type: 'Paused', reason: 'lunch' })
    await manager.recordEvent(id, { type: 'Resumed' })
    const summary = await manager.completeSession(id)
    expect(summary).toEqual({
      ...{ iterations: 1, files_changed: 2, lines_added: 2, lines_removed: 1, commits: 0, commands: 2 },
      ...{ failed_commands: 1, stopped_because: 'asked' },
    })
    expect(await manager.getState(id)).toEqual({ type: 'Completed', summary })
    expect(await manager.completeSession(id)).toEqual(summary)
    const { duration } = await manager.getProgress(id)
    expect((await manager.getProgress(id)).duration).toBe(duration)
  })

  test('takes only events that lead on from where it is', async () => {
    await using manager = new InMemorySessionManager()
    const id = await manager.createSession(CONFIG)
    const refused = (event: SessionEvent) =>
      expect(manager.recordEvent(id, event), event.type).rejects.toMatchObject({ code: 'NOT_ACCEPTED' })
    await refused({ type: 'IterationStarted', number: 1 })
    await refused({ type: 'Paused', reason: '' })
    await refused({ type: 'Completed', stopped_because: 'asked' })
    const own = (await manager.exportSession(id)).config
    await expect(manager.recordEvent(id, { type: 'Started', config: { ...own, focus: 'x' } })).rejects.toMatchObject({
      code: 'INVALID_EVENT',
    })
    await manager.recordEvent(id, { type: 'Started', config: own })
    await refused({ type: 'Started', config: own })
    await refused({ type: 'IterationStarted', number: 2 })
    await refused({ type: 'IterationCompleted', changes: changed() })
    await refused({ type: 'Resumed' })
    await manager.recordEvent(id, { type: 'Failed', error: 'out of tokens' })
    expect(await manager.getState(id)).toEqual({ type: 'Failed', error: 'out of tokens' })
    for (const event of [{ type: 'Resumed' }, { type: 'Failed', error: 'x' }] as const) await refused(event)
    await expect(manager.startSession(id)).rejects.toMatchObject({
      code: 'NOT_ACCEPTED',
      details: { state: 'Failed', accepts: [] },
    })
    await expect(manager.completeSession(id)).rejects.toMatchObject({ code: 'NOT_ACCEPTED' })
    await expect(manager.getState('nobody')).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
    await expect(manager.recordEvent(id, { type: 'Nonsense' } as never)).rejects.toThrow()
  })

  test('is cancelled and told of by an event, too', async () => {
    await using manager = new InMemorySessionManager()
    const id = await begun(manager)
    await manager.cancelSession(id)
    expect(await manager.getState(id)).toEqual({ type: 'Cancelled', reason: 'cancelled' })
    expect((await manager.getEvents(id, { type: 'Failed' })).map(({ event }) => event)).toEqual([
      { type: 'Failed', error: 'cancelled', cancelled: true },
    ])
  })

  test('whatever is recorded, its events replay to the same state and progress, also in another manager', async () => {
    await using manager = new InMemorySessionManager()
    const storage = new InMemorySessionStorage()
    const event = fc.constantFrom<SessionEvent>(
      { type: 'IterationStarted', number: 1 },
      { type: 'IterationStarted', number: 2 },
      { type: 'IterationCompleted', changes: changed('x') },
      { type: 'CommandExecuted', command: 'c', success: true, exit_code: 0 },
      { type: 'AnalysisCompleted', results: [1] },
      { type: 'Paused', reason: 'p' },
      { type: 'Resumed' },
      { type: 'Completed', stopped_because: 'asked' },
      { type: 'Failed', error: 'e' },
      { type: 'Failed', error: 'e', cancelled: true },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 14 }), async (events) => {
        const id = await manager.createSession(CONFIG)
        await manager.startSession(id)
        for (const one of events) await manager.recordEvent(id, one).catch(() => {})
        const kept = await manager.exportSession(id)
        expect(replay(kept.events).state).toEqual(await manager.getState(id))
        await storage.save(kept)
        await using other = new InMemorySessionManager({ storage })
        await other.restoreSession(id)
        const { duration: _, ...there } = await other.getProgress(id)
        const { duration: __, ...here } = await manager.getProgress(id)
        expect(there).toEqual(here)
        expect(await other.exportSession(id)).toEqual(kept)
      }),
      { numRuns: Number(process.env.HOLDFAST_RUNS ?? 25) },
    )
  })

  test('many at once do not get in each other’s way, and a long one loses nothing', async () => {
    await using manager = new InMemorySessionManager()
    const ids = await Promise.all(Array.from({ length: 20 }, () => begun(manager)))
    for (const id of ids) expect((await manager.getProgress(id)).commands_executed.length).toBe(2)
    const [long = '', other = ''] = ids
    for (let n = 0; n < 1_000; n++)
      await manager.recordEvent(long, { type: 'CommandExecuted', command: `c${n}`, success: true })
    const commands = await manager.getEvents(long, { type: 'CommandExecuted' })
    expect(commands.slice(2).map(({ event }) => event.type === 'CommandExecuted' && event.command)).toEqual(
      Array.from({ length: 1_000 }, (_, n) => `c${n}`),
    )
    expect((await manager.getEvents(other, { type: 'CommandExecuted' })).length).toBe(2)
  })
})

describe('sessions', () => {
  test('are found by status, type, worktree and time', async () => {
    await using manager = new InMemorySessionManager()
    const started = new Date(Date.now() - 1)
    const worktree = (name: string) => ({ ...CONFIG, execution_mode: { type: 'worktree', name } }) as const
    const direct = await begun(manager)
    const [a, b] = [await manager.createSession(worktree('a')), await manager.createSession(worktree('b'))]
    await manager.cancelSession(b)
    const ids = async (filter: Parameters<SessionManager['listSessions']>[0]) =>
      (await manager.listSessions(filter)).map(({ id }) => id)
    expect((await manager.listActiveSessions()).map(({ id, status }) => [id, status])).toEqual([
      [direct, 'Running'],
      [a, 'Created'],
    ])
    expect(await ids({})).toEqual([direct, a, b])
    expect(await ids({ status: 'Cancelled' })).toEqual([b])
    expect(await ids({ status: ['Running', 'Cancelled'] })).toEqual([direct, b])
    expect(await ids({ type: 'worktree' })).toEqual([a, b])
    expect(await ids({ worktree: 'a' })).toEqual([a])
    expect(await ids({ created_after: started, limit: 2 })).toEqual([direct, a])
    expect(await ids({ created_before: started })).toEqual([])
    const [first] = await manager.listSessions({ worktree: 'a' })
    expect(first).toMatchObject({
      type: 'worktree',
      worktree: 'a',
      project_path: '/project',
      created_at: expect.any(Date),
    })
    const events = await manager.getEvents(direct, { type: ['Started', 'AnalysisCompleted'], after: started })
    expect(events.map(({ event }) => event.type)).toEqual(['Started', 'AnalysisCompleted'])
    expect(await manager.getEvents(direct, { before: started })).toEqual([])
  })

  test('that run their commands are completed after the one that runs', async () => {
    await using shop = new Workshop()
    const manager = await shop.manager()
    const session = await shop.session({ workflow: ['echo a > a; sleep 1', 'echo b > b'], max_iterations: 9 })
    await manager.startSession(session.id)
    await session.until({ running: { working: 'command' } })
    expect((await manager.getProgress(session.id)).current_phase).toBe('echo a > a; sleep 1')
    const summary = await manager.completeSession(session.id)
    expect(summary).toMatchObject({ iterations: 1, commands: 1, files_changed: 1, stopped_because: 'asked' })
  })
})

describe('observers', () => {
  test('hear every event in order, later than the caller; one that throws, rejects or is slow harms nobody', async () => {
    await using inner = new InMemorySessionManager()
    const manager = new ObservableSessionManager(inner)
    const [heard, slow, errors]: [string[], string[], unknown[]] = [[], [], []]
    await manager.addObserver({ onEvent: (_, { type }) => void heard.push(type) })
    await manager.addObserver({
      onEvent: async (_, { type }) => {
        await new Promise((later) => setTimeout(later, 5))
        slow.push(type)
      },
    })
    const onError = (error: unknown): void => void errors.push(error)
    await manager.addObserver(
      {
        onEvent: () => {
          throw new Error('no')
        },
      },
      { onError },
    )
    await manager.addObserver({ onEvent: async () => Promise.reject(new Error('not either')) }, { onError })
    const id = await manager.createSession(CONFIG)
    await manager.startSession(id)
    const told = ['IterationStarted', 'CommandExecuted', 'IterationCompleted', 'Paused', 'Resumed', 'Failed']
    for (const event of [
      { type: 'IterationStarted', number: 1 },
      { type: 'CommandExecuted', command: 'c', success: true },
      { type: 'IterationCompleted', changes: changed('x') },
      { type: 'Paused', reason: 'p' },
      { type: 'Resumed' },
      { type: 'Failed', error: 'e' },
    ] as const) {
      await manager.recordEvent(id, event)
    }
    while (slow.length < 7 || errors.length < 14) await new Promise((later) => setTimeout(later, 5))
    expect(heard).toEqual(['Started', ...told])
    expect(slow).toEqual(heard)
    expect(errors.length).toBe(14)
  })

  test('are of all sessions or of one, hear of a session’s own steps, too, and can be removed', async () => {
    await using shop = new Workshop()
    const manager = new ObservableSessionManager(await shop.manager())
    const one = await shop.session({ workflow: [{ shell: 'echo {}', analysis: true, name: 'look' }] })
    const [all, own]: [string[], string[]] = [[], []]
    const remove = await manager.addObserver({ onEvent: (id, { type }) => void all.push(`${id === one.id} ${type}`) })
    await manager.addObserver({ onEvent: (_, { type }) => void own.push(type) }, { sessionId: one.id })
    await shop.run({ workflow: ['true'] })
    remove()
    await manager.startSession(one.id)
    await ended(one)
    while (!own.includes('Completed')) await new Promise((later) => setTimeout(later, 5))
    expect(own).toEqual([
      'Started',
      'IterationStarted',
      'CommandExecuted',
      'AnalysisCompleted',
      'IterationCompleted',
      'Completed',
    ])
    expect(all).toEqual(
      ['Started', 'IterationStarted', 'CommandExecuted', 'IterationCompleted', 'Completed'].map(
        (type) => `false ${type}`,
      ),
    )
  })
})

describe('checkpoints and storages', () => {
  test('a checkpoint is made at every iteration and when somebody asks; with a storage the session is saved there', async () => {
    const storage = new FileSessionStorage(join(folder, 'kept'))
    await using manager = new InMemorySessionManager({ storage })
    const id = await begun(manager)
    await manager.saveCheckpoint(id)
    const checkpoints = await manager.getCheckpoints(id)
    expect(checkpoints.map(({ iteration, resumable }) => [iteration, resumable])).toEqual([
      [0, true],
      [1, false],
    ])
    expect(checkpoints[1]).toMatchObject({
      timestamp: expect.any(String),
      state_snapshot: { state: { type: 'Running', iteration: 2 }, events: 7 },
    })
    expect(await storage.list()).toEqual([id])
    expect(await storage.load(id)).toEqual(await manager.exportSession(id))
    await manager.cancelSession(id)
    await manager.saveCheckpoint(id)
    expect((await storage.load(id))?.state).toEqual({ type: 'Cancelled', reason: 'cancelled' })
    await storage.delete(id)
    expect([await storage.list(), await storage.load(id)]).toEqual([[], undefined])
  })

  test('a session that was running its commands goes on with the next one, wherever it is restored', async () => {
    await using shop = new Workshop()
    const storage = new InMemorySessionStorage()
    const manager = await shop.manager(storage)
    const session = await shop.session({ workflow: ['echo a >> a', 'sleep 0.3', 'echo b >> b'] })
    await manager.startSession(session.id)
    await session.until(({ context }) => context.index === 1)
    await manager.saveCheckpoint(session.id)
    await manager.cancelSession(session.id)
    await session.delete()
    await manager.restoreSession(session.id)
    expect(await manager.waitForSession(session.id)).toMatchObject({ type: 'Completed', summary: { commands: 3 } })
    expect(readFileSync(join(shop.project, 'a'), 'utf8')).toBe('a\n')
    expect(readFileSync(join(shop.project, 'b'), 'utf8')).toBe('b\n')
    await manager.restoreSession(session.id) // it is there
    await expect(manager.restoreSession('nobody')).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
  })

  test('a damaged file is found, kept aside, and the one saved before it is given', async () => {
    const storage = new FileSessionStorage(folder)
    await using manager = new InMemorySessionManager({ storage })
    const id = await begun(manager)
    await manager.saveCheckpoint(id)
    const before = await storage.load(id)
    await manager.recordEvent(id, { type: 'Paused', reason: 'x' })
    await manager.saveCheckpoint(id)
    const path = join(folder, `${id}.json`)
    const text = readFileSync(path, 'utf8')
    for (const damaged of [text.slice(0, 100), text.replace('"fix"', '"fox"'), '{}', '']) {
      writeFileSync(path, damaged)
      expect(await storage.load(id)).toEqual(before)
      expect(readFileSync(`${path}.damaged`, 'utf8')).toBe(damaged)
    }
    rmSync(`${path}.previous`)
    writeFileSync(path, text.slice(0, -10))
    await expect(storage.load(id)).rejects.toMatchObject({
      code: 'SNAPSHOT_CORRUPT',
      message: expect.stringContaining(path),
    })
    writeFileSync(path, JSON.stringify({ format: 3 }))
    await expect(storage.load(id)).rejects.toMatchObject({ code: 'FORMAT_NEWER' })
    await expect(storage.load('../x')).rejects.toMatchObject({ code: 'INVALID_ID' })
    expect(readdirSync(folder).filter((name) => name.endsWith('.new') || name.endsWith('.next'))).toEqual([])
  })

  test('a file of the first format, as the original wrote it, is read, goes on, and is today’s when it is saved', async () => {
    const at = (second: number): string => `2024-05-01T10:00:0${second}Z`
    const config = {
      project_path: '/src/shop',
      workflow: { commands: ['cargo fmt', { shell: 'cargo test', on_failure: 'continue' }] },
      execution_mode: { Worktree: { name: 'shop-1' } },
      max_iterations: 3,
      focus: null,
      options: { fail_fast: false, auto_merge: true, collect_metrics: true, verbose: false },
    }
    const changes = {
      files_modified: ['a.rs'],
      lines_added: 2,
      lines_removed: 0,
      commands_run: ['cargo fmt'],
      git_commits: [],
    }
    const old = {
      id: 'first-format',
      config,
      state: { Paused: { reason: 'night' } },
      events: [
        { timestamp: at(0), event: { Started: { config } } },
        { timestamp: at(1), event: { IterationStarted: { number: 1 } } },
        { timestamp: at(2), event: { CommandExecuted: { command: 'cargo fmt', success: true } } },
        { timestamp: at(3), event: { AnalysisCompleted: { results: { score: 1 } } } },
        { timestamp: at(4), event: { IterationCompleted: { changes } } },
        { timestamp: at(5), event: { Paused: { reason: 'night' } } },
      ],
      checkpoints: [
        { iteration: 1, timestamp: at(4), state_snapshot: { state: { Running: { iteration: 1 } } }, resumable: true },
      ],
    }
    mkdirSync(folder, { recursive: true })
    const path = join(folder, 'first-format.json')
    writeFileSync(path, JSON.stringify(old))
    const storage = new FileSessionStorage(folder)
    await using manager = new InMemorySessionManager({ storage })
    await manager.restoreSession('first-format')
    expect(await manager.getState('first-format')).toEqual({ type: 'Paused', reason: 'night' })
    expect(await manager.getProgress('first-format')).toMatchObject({
      iterations_completed: 1,
      files_changed: new Set(['a.rs']),
    })
    const kept = await manager.exportSession('first-format')
    expect(kept.config).toMatchObject({
      execution_mode: { type: 'worktree', name: 'shop-1' },
      workflow: { commands: [{ shell: 'cargo fmt' }, { shell: 'cargo test' }] },
    })
    expect(kept.checkpoints).toMatchObject([{ state_snapshot: { state: { type: 'Running', iteration: 1 } } }])
    await storage.save(kept)
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ format: 2, session: { state: { type: 'Paused' } } })
    expect(await storage.load('first-format')).toEqual(kept)
    const ends: readonly unknown[] = ['Resumed', { Failed: { error: 'x' } }]
    const done = {
      ...old,
      id: 'done',
      state: 'Completed',
      events: [...old.events.slice(0, 5), { timestamp: at(6), event: 'Completed' }],
    }
    const failed = {
      ...old,
      id: 'failed',
      events: [...old.events, ...ends.map((event) => ({ timestamp: at(6), event }))],
    }
    for (const one of [done, failed]) {
      writeFileSync(join(folder, `${one.id}.json`), JSON.stringify(one))
      await manager.restoreSession(one.id)
    }
    expect(await manager.getState('done')).toMatchObject({
      type: 'Completed',
      summary: { iterations: 1, stopped_because: 'asked' },
    })
    expect(await manager.getState('failed')).toEqual({ type: 'Failed', error: 'x' })
    writeFileSync(
      join(folder, 'bad.json'),
      JSON.stringify({ ...old, events: [{ timestamp: 'yesterday', event: 'Resumed' }] }),
    )
    await expect(manager.restoreSession('bad')).rejects.toMatchObject({ code: 'SNAPSHOT_CORRUPT' })
  })
})
