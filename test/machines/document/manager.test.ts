// The manager beyond the original's examples: what it refuses, what it finds, and what a crash leaves.

import { HoldfastError, openRuntime, type Runtime } from 'holdfast'
import {
  document,
  type FinishedWorkItem,
  type HubEvent,
  InMemorySessionStorage,
  InMemoryVersionStorage,
  PlanningSessionManager,
  type PlanningVersion,
  SessionRecovery,
} from 'holdfast/machines/document'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { house } from '../../house.js'

const quiet = { info: () => {}, warn: () => {}, error: () => {} }
let runtime: Runtime
beforeEach(async () => {
  runtime = await openRuntime({ storage: 'memory', kinds: [document], logger: quiet })
})
afterEach(() => runtime.close())

const managers = {
  'the runtime': () => new PlanningSessionManager(undefined, undefined, { runtime }),
  'storages of one’s own': () => new PlanningSessionManager(new InMemorySessionStorage(), new InMemoryVersionStorage()),
}

describe.each(Object.entries(managers))('in %s', (_, make) => {
  let manager: PlanningSessionManager
  let id: string
  beforeEach(async () => {
    manager = make()
    id = (await manager.create({ title: 'Checkout', initial_content: 'one\n' })).data.id
  })

  test.each([
    ['no title', {}],
    ['an empty title', { title: '' }],
    ['a title that is none', { title: 7 }],
    ['a field that nobody reads', { title: 'A', colour: 'red' }],
    ['metadata that is none', { title: 'A', metadata: 'urgent' }],
  ])('a document with %s is not created: INVALID_INPUT', async (_, input) => {
    expect(await manager.create(input as never)).toMatchObject({ success: false, error: { code: 'INVALID_INPUT' } })
    expect((await manager.list()).data).toHaveLength(1)
  })

  test('an unknown id is SESSION_NOT_FOUND, whatever is asked of it', async () => {
    const calls = [
      manager.get('nobody'),
      manager.update('nobody', { title: 'B' }),
      manager.pause('nobody'),
      manager.resume('nobody'),
      manager.markConverted('nobody', {}),
      manager.archive('nobody'),
      manager.delete('nobody'),
      manager.getVersions('nobody'),
      manager.getVersion('nobody', 1),
      manager.compareVersions('nobody', 1, 2),
      manager.restoreVersion('nobody', 1),
      SessionRecovery.restoreFromHistory('nobody', manager),
    ]
    for (const result of await Promise.all(calls)) {
      expect(result).toMatchObject({ success: false, error: { code: 'SESSION_NOT_FOUND' } })
    }
  })

  test('a failure has no data: reading it throws the error', async () => {
    const failed = await manager.get('nobody')
    expect(() => failed.data.title).toThrow('there is no planning session nobody')
    expect(Object.keys(failed)).toEqual(['success', 'error'])
  })

  test.each([
    ['paused', ['pause'], { update: false, pause: false, resume: true, markConverted: false, archive: true }],
    [
      'converted',
      ['markConverted'],
      { update: false, pause: false, resume: false, markConverted: false, archive: true },
    ],
    ['archived', ['archive'], { update: false, pause: false, resume: false, markConverted: false, archive: false }],
  ] as const)(
    'a document that is %s takes what it may, and names the state in what it refuses',
    async (state, way, takes) => {
      for (const [call, may] of Object.entries(takes)) {
        const { id: other } = (await manager.create({ title: 'Other', initial_content: 'x' })).data
        const act = (name: string) => {
          if (name === 'update') return manager.update(other, { content: 'y' })
          if (name === 'markConverted') return manager.markConverted(other, { project_id: 'p' })
          return manager[name as 'pause' | 'resume' | 'archive'](other)
        }
        for (const step of way) await act(step)
        const before = (await manager.get(other)).data
        const result = await act(call)
        expect(result.success, call).toBe(may)
        if (may) continue
        expect(result.error).toMatchObject({ code: 'NOT_ACCEPTED', details: { state } })
        expect((await manager.get(other)).data).toEqual(before)
      }
    },
  )

  test('an update that changes nothing is none', async () => {
    const before = (await manager.get(id)).data
    expect((await manager.update(id, { content: 'one\n', title: 'Checkout' })).data).toEqual(before)
    expect((await manager.getVersions(id)).data).toHaveLength(1)
  })

  test('an update of other fields makes no version; with the content they are named in it', async () => {
    expect((await manager.update(id, { title: 'Pay', metadata: { a: [1] } })).data).toMatchObject({
      ...{ title: 'Pay', metadata: { a: [1] }, current_version: 1 },
    })
    await manager.update(id, { title: 'Pay now', content: 'two\n' })
    expect((await manager.getVersion(id, 2)).data.changed_fields).toEqual(['content', 'title'])
  })

  test('the content of every version stays, to the letter', async () => {
    const contents = ['one\n', 'one\ntwo\n', '', 'three without an end', 'one\n']
    for (const content of contents.slice(1)) await manager.update(id, { content })
    expect((await manager.getVersions(id)).data.map(({ content }) => content)).toEqual(contents)
    for (const [index, content] of contents.entries()) {
      expect((await manager.getVersion(id, index + 1)).data.content).toBe(content)
    }
    expect(await manager.getVersion(id, 6)).toMatchObject({ error: { code: 'TRANSITION_NOT_FOUND' } })
    expect(await manager.getVersion(id, 0)).toMatchObject({ error: { code: 'TRANSITION_NOT_FOUND' } })
  })

  test('updates at the same time are all made, one after the other', async () => {
    const lines = Array.from({ length: 8 }, (_, n) => `line ${n}\n`)
    const results = await Promise.all(lines.map((content) => manager.update(id, { content })))
    expect(results.every(({ success }) => success)).toBe(true)
    const versions = (await manager.getVersions(id)).data
    expect(versions.map(({ content }) => content).sort()).toEqual(['one\n', ...lines].sort())
  })

  test('a comparison is a unified diff', async () => {
    await manager.update(id, { content: 'one\ntwo\n' })
    expect((await manager.compareVersions(id, 1, 2)).data).toEqual({
      ...{ lines_added: 1, lines_removed: 0 },
      hunks: [{ old_start: 1, old_lines: 1, new_start: 1, new_lines: 2, lines: [' one', '+two'] }],
    })
    expect((await manager.compareVersions(id, 2, 1)).data).toMatchObject({ lines_added: 0, lines_removed: 1 })
  })

  test('lists are in pages, and cursors lead from one to the next', async () => {
    for (const n of [1, 2, 3, 4]) await manager.create({ title: `n${n}` })
    const seen: string[] = []
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = await manager.list({ limit: 2, ...(cursor !== undefined && { cursor }) })
      seen.push(...page.data.map(({ title }) => title))
      cursor = page.cursor
      expect(seen.length).toBeLessThan(9)
    }
    expect(seen.sort()).toEqual(['Checkout', 'n1', 'n2', 'n3', 'n4'])
  })

  test('filters: repository, content, times, several at once', async () => {
    await manager.create({ title: 'A', repository_path: '/a', repository_url: 'https://a' })
    const titles = async (filters: object) => (await manager.list(filters)).data.map(({ title }) => title).sort()
    expect(await titles({ repository_path: '/a' })).toEqual(['A'])
    expect(await titles({ repository_url: 'https://a', repository_path: '/b' })).toEqual([])
    expect(await titles({ has_content: false })).toEqual(['A'])
    expect(await titles({ has_content: true, status: 'active' })).toEqual(['Checkout'])
    expect(await titles({ created_before: new Date(0) })).toEqual([])
    expect(await titles({ created_after: new Date(0), updated_after: new Date(0) })).toEqual(['A', 'Checkout'])
    expect((await manager.findByRepository('https://a')).data).toHaveLength(1)
  })

  test.each([{ statuss: 'active' }, { status: 'gone' }, { limit: 0 }, { created_after: 'yesterday' }])(
    'a filter that is none is INVALID_ARGUMENT: %j',
    async (filters) => {
      expect(await manager.list(filters as never)).toMatchObject({ error: { code: 'INVALID_ARGUMENT' } })
    },
  )

  test('a deleted document is gone with its versions', async () => {
    expect((await manager.delete(id)).success).toBe(true)
    expect(await manager.getVersions(id)).toMatchObject({ error: { code: 'SESSION_NOT_FOUND' } })
    expect((await manager.list()).data).toEqual([])
  })
})

test('without auto_version content changes and versions do not, but for a restored one', async () => {
  const manager = new PlanningSessionManager(undefined, undefined, { runtime, auto_version: false })
  const { id } = (await manager.create({ title: 'A' })).data
  await manager.update(id, { content: 'first' })
  expect((await manager.update(id, { content: 'second' })).data).toMatchObject({
    content: 'second',
    current_version: 1,
  })
  expect((await manager.restoreVersion(id, 1)).data).toMatchObject({ content: 'first', current_version: 2 })
})

test('one storage without the other is refused', () => {
  expect(() => new PlanningSessionManager(new InMemorySessionStorage())).toThrow(HoldfastError)
})

test('a session that a crash has left behind its last version is brought up to it, and only then', async () => {
  const [sessions, versions] = [new InMemorySessionStorage(), new InMemoryVersionStorage()]
  const manager = new PlanningSessionManager(sessions, versions)
  const { id } = (await manager.create({ title: 'A', initial_content: 'one' })).data
  const stored = (await sessions.get(id)) as NonNullable<Awaited<ReturnType<typeof sessions.get>>>
  await manager.update(id, { content: 'two' })
  await sessions.save(stored) // as it was when the process died between the two
  expect((await manager.get(id)).data).toMatchObject({ content: 'one', current_version: 1 })
  expect((await SessionRecovery.restoreFromHistory(id, manager)).data).toMatchObject({
    content: 'two',
    current_version: 2,
  })
  expect((await manager.update(id, { content: 'three' })).data.current_version).toBe(3)
})

test('a storage that fails is a failure, and no rejection', async () => {
  class Broken extends InMemoryVersionStorage {
    override save(_: PlanningVersion): Promise<void> {
      return Promise.reject(new Error('no connection'))
    }
  }
  const manager = new PlanningSessionManager(new InMemorySessionStorage(), new Broken())
  const failed = await manager.create({ title: 'A', initial_content: 'x' })
  expect(failed).toMatchObject({ success: false, error: { message: 'the storage failed: no connection' } })
})

test('a hub hears what happens, and finished work items are noted; what goes wrong there fails no call', async () => {
  const heard: HubEvent[] = []
  let tell = (_: FinishedWorkItem): void => {}
  const hub = {
    publish: async (event: HubEvent) => {
      heard.push(event)
      throw new Error('the hub is away')
    },
    onWorkItemFinished: (listener: (finished: FinishedWorkItem) => void) => {
      tell = listener
      return () => {
        tell = () => {}
      }
    },
  }
  using manager = new PlanningSessionManager(undefined, undefined, { runtime, hub })
  const { id } = (await manager.create({ title: 'A' })).data
  await manager.markConverted(id, { work_item_ids: ['wi-1'] })
  tell({ session_id: id, work_item_id: 'wi-1' })
  tell({ session_id: id, work_item_id: 'unknown' })
  await expect.poll(async () => (await manager.get(id)).data.finished_work_item_ids).toEqual(['wi-1'])
  expect(heard.map(({ type }) => type)).toEqual([
    'planning_session.created',
    'planning_session.converted',
    'planning_session.updated',
  ])
})

test('documents are there after a restart, and queries open none of them', async () => {
  const home = house([document])
  let first = await home.open()
  const before = new PlanningSessionManager(undefined, undefined, { runtime: first })
  const { id } = (await before.create({ title: 'A', initial_content: 'one', repository_path: '/a' })).data
  await before.update(id, { content: 'two' })
  await first.close()
  first = await home.open()
  await using _runtime = first
  const after = new PlanningSessionManager(undefined, undefined, { runtime: first })
  expect((await after.getStatistics()).data).toMatchObject({ active_sessions: 1, average_versions_per_session: 2 })
  expect((await after.list({ repository_path: '/a', has_content: false })).data).toEqual([])
  expect((await after.list({ updated_after: new Date() })).data).toEqual([])
  expect((await after.list({ repository_path: '/a', has_content: true })).data).toMatchObject([{ id, content: 'two' }])
  expect((await after.findActive()).data).toMatchObject([{ id }])
  expect((await after.get(id)).data).toMatchObject({ content: 'two' })
  expect((await after.getVersions(id)).data.map(({ content }) => content)).toEqual(['one', 'two'])
  expect((await after.getVersion(id, 1)).data.content).toBe('one')
  expect((await after.compareVersions(id, 1, 2)).data).toMatchObject({ lines_added: 1 })
  expect((await SessionRecovery.findStale(after)).stale_sessions).toEqual([])
  expect(first.health().live).toBe(0)
})
