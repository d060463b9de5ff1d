// The façade by the original's own names, and what its usage examples (`original.test.ts`) imply.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRuntime, type Runtime } from 'holdfast'
import {
  closePlanning,
  createPlanningSession,
  type PlanningSessionState,
  PlanningSessionStateManager,
  PlanningSessionStateStore,
  PlanningSessionStatus,
  planning,
  planningSessionStateStore,
  startPlanningProcess,
  usePlanningRuntime,
} from 'holdfast/machines/planning'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createInlinePool } from '../../../src/inline/pool.js'
import { systemClock } from '../../../src/system/clock.js'

const quiet = { info() {}, warn() {}, error() {}, debug() {} }

let dir: string
let runtime: Runtime
/** The steps from their sources: there is no built module beside them. */
const sources = (): Promise<Record<string, unknown>> => import('../../../machines/planning/steps.js')
const open = (load = sources): Promise<Runtime> =>
  openRuntime({
    dir: join(dir, 'data'),
    kinds: [planning],
    logger: quiet,
    pool: createInlinePool({ clock: systemClock, load }),
  })
const use = (): void => usePlanningRuntime(runtime, { baseDir: dir, trackerFile: join(dir, 'tracker.json') })

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-facade-'))
  runtime = await open()
  use()
})
afterEach(async () => {
  await closePlanning()
  await runtime.close()
  rmSync(dir, { recursive: true, force: true })
})

const organizationId = 'acme'
const confluencePageUrl = 'checkout.md'
const title = 'Checkout'

const settled = (id: string) =>
  runtime.session(id, planning).until(({ value }) => value === 'completed' || value === 'failed')

describe('a session', () => {
  test('whose document is not there fails, saying so, where, and when', async () => {
    const { id } = await createPlanningSession(organizationId, 'nowhere.md', title)
    await startPlanningProcess(id)
    await settled(id)
    const { status, errors } = await planningSessionStateStore.getState(id)
    expect(status).toBe('failed')
    expect(errors).toMatchObject([
      { code: 'FILE_NOT_FOUND', details: { step: 'fetch', path: join(dir, 'nowhere.md') } },
    ])
    expect(Math.abs(Date.now() - (errors[0]?.timestamp.getTime() ?? 0))).toBeLessThan(60_000)
  })

  test('whose steps are not there waits, parked, and goes on when they are', async () => {
    writeFileSync(join(dir, 'checkout.md'), '## Epic: Payments\n### Story: Pay by card\n')
    await runtime.close()
    runtime = await open(async () => ({}))
    use()
    const { id } = await createPlanningSession(organizationId, 'checkout.md', title)
    await startPlanningProcess(id)
    await expect(settled(id)).rejects.toMatchObject({ code: 'SESSION_PARKED' })
    expect(runtime.health().parked).toMatchObject([{ id, reason: { cause: { code: 'STEP_NOT_FOUND' } } }])
    await runtime.close()
    runtime = await open()
    use()
    await settled(id)
    expect(await planningSessionStateStore.getState(id)).toMatchObject({ status: 'completed', errors: [] })
  })

  test('can be started in pending only', async () => {
    const { id } = await createPlanningSession(organizationId, 'nowhere.md', title)
    await startPlanningProcess(id)
    await expect(startPlanningProcess(id)).rejects.toMatchObject({ code: 'NOT_ACCEPTED' })
    await settled(id)
    await expect(startPlanningProcess(id)).rejects.toMatchObject({
      code: 'NOT_ACCEPTED',
      message: expect.stringContaining('failed'),
    })
  })

  test('that is driven from outside never starts its steps', async () => {
    const { id } = await createPlanningSession(organizationId, 'nowhere.md', title)
    const manager = await planningSessionStateStore.getStateManager(id)
    await manager.setStatus('processing')
    await expect(startPlanningProcess(id)).rejects.toMatchObject({ code: 'NOT_ACCEPTED' })
    await manager.setProgress(99)
    expect(runtime.session(id).snapshot().steps).toEqual([])
    expect(manager.getState()).toMatchObject({ status: 'processing', progress: 99, errors: [] })
  })

  test('is there after a restart, with every time as it was', async () => {
    const { id, createdAt } = await createPlanningSession(organizationId, confluencePageUrl, title)
    const manager = await planningSessionStateStore.getStateManager(id)
    const before = await manager.addWarning('hm')
    await runtime.close()
    runtime = await open()
    use()
    expect(await planningSessionStateStore.getState(id)).toEqual(before)
    expect(before.createdAt).toEqual(createdAt)
  })

  test('created without a title or a document is refused with INVALID_INPUT, naming both', async () => {
    const creating = createPlanningSession(organizationId, '', ' ')
    await expect(creating).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringMatching(/title.*source/),
    })
    expect(runtime.sessions.count()).toBe(0)
  })
})

describe('a state manager', () => {
  test('of an unknown id throws at initialize, and at every other call', async () => {
    for (const id of ['nobody', 'not an id', '']) {
      const error = `Planning session not found: ${id}`
      const manager = new PlanningSessionStateManager(id)
      await expect(manager.initialize()).rejects.toThrow(error)
      await expect((await planningSessionStateStore.getStateManager(id)).initialize()).rejects.toThrow(error)
      expect(() => manager.getState()).toThrow(error)
      await expect(manager.setProgress(1)).rejects.toThrow(error)
      await expect(planningSessionStateStore.getState(id)).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
      await expect(startPlanningProcess(id)).rejects.toThrow(error)
    }
  })

  test('shows what others did, and gives each setter the new state', async () => {
    const { id } = await createPlanningSession(organizationId, confluencePageUrl, title)
    const [one, two] = [new PlanningSessionStateManager(id), new PlanningSessionStateManager(id)]
    expect(await one.setProgress(10, 'ten')).toMatchObject({ progress: 10, progressMessage: 'ten' })
    expect(two.getState().progress).toBe(10)
  })

  test('refuses what is not valid, and changes nothing', async () => {
    const { id } = await createPlanningSession(organizationId, confluencePageUrl, title)
    const manager = await planningSessionStateStore.getStateManager(id)
    const invalid = { code: 'INVALID_EVENT' }
    for (const progress of [-1, 101, '50' as unknown as number]) {
      await expect(manager.setProgress(progress)).rejects.toMatchObject({
        ...invalid,
        message: expect.stringContaining('progress: must be a number from 0 to 100'),
      })
    }
    await expect(manager.setProgress(Number.NaN)).rejects.toMatchObject({ code: 'NOT_JSON' })
    await expect(manager.setStatus('done' as 'failed')).rejects.toMatchObject(invalid)
    await expect(manager.addError('')).rejects.toMatchObject(invalid)
    await expect(manager.addWarning(undefined as unknown as string)).rejects.toMatchObject(invalid)
    await expect(manager.setResult({ epics: { a: 1 } } as never)).rejects.toMatchObject({
      ...invalid,
      message: expect.stringContaining('result.epics'),
    })
    await expect(manager.updateState({ errors: 'no' as never })).rejects.toThrow()
    await expect(manager.updateState({ warnings: [{}] as never })).rejects.toMatchObject({
      ...invalid,
      message: expect.stringContaining('warnings.0.message'),
    })
    const session = runtime.session(id)
    await expect(session.send({ type: 'addWarning', message: 'hm', at: 'yesterday' } as never)).rejects.toMatchObject(
      invalid,
    )
    await expect(session.send({ type: 'setProgress' })).rejects.toMatchObject(invalid)
    await expect(manager.setProgress(1, 'x'.repeat(10_001))).rejects.toMatchObject(invalid)
    expect(manager.getState()).toMatchObject({ status: 'pending', progress: 0, errors: [], warnings: [] })
    expect(session.entry().seq).toBe(1)
  })

  test('an update sets the fields that it has, together, and keeps the times that notes bring', async () => {
    const { id } = await createPlanningSession(organizationId, confluencePageUrl, title)
    const manager = await planningSessionStateStore.getStateManager(id)
    const timestamp = new Date('2020-01-02T03:04:05Z')
    const state = await manager.updateState({
      status: PlanningSessionStatus.FAILED,
      progress: 12,
      progressMessage: 'stuck',
      errors: [{ message: 'old', timestamp }, { message: 'new' }],
    })
    expect(state).toMatchObject({ status: 'failed', progress: 12, progressMessage: 'stuck', warnings: [] })
    expect(state.errors[0]).toEqual({ message: 'old', timestamp })
    expect(state.errors[1]?.timestamp.getTime()).toBeGreaterThan(timestamp.getTime())
    expect(runtime.session(id).entry().seq).toBe(2)
  })
})

describe('the state store', () => {
  test('gives the same manager for the same id, another for another, and another in another store', async () => {
    const store = planningSessionStateStore
    const manager = await store.getStateManager('a')
    expect(await store.getStateManager('a')).toBe(manager)
    expect(await store.getStateManager('b')).not.toBe(manager)
    expect(await new PlanningSessionStateStore().getStateManager('a')).not.toBe(manager)
  })

  test('gives the states of an organization in the order of their creation, and of no other', async () => {
    const ids: string[] = []
    for (let n = 0; n < 3; n++) ids.push((await createPlanningSession('acme', `${n}.md`, `Plan ${n}`)).id)
    await createPlanningSession('other', 'x.md', 'Theirs')
    const states = await planningSessionStateStore.getStatesByOrganization('acme')
    expect(states.map(({ id }) => id)).toEqual(ids)
    expect(await planningSessionStateStore.getStatesByOrganization('nobody')).toEqual([])
  })

  test('gives all of them, also when there are more than a page', async () => {
    const creating = Array.from({ length: 1_001 }, (_, n) => createPlanningSession('many', `${n}.md`, `Plan ${n}`))
    await Promise.all(creating)
    expect(await planningSessionStateStore.getStatesByOrganization('many')).toHaveLength(1_001)
  })

  test('deletes a session for good; false when there is none', async () => {
    const { id } = await createPlanningSession(organizationId, confluencePageUrl, title)
    const manager = await planningSessionStateStore.getStateManager(id)
    expect(await planningSessionStateStore.deleteState(id)).toBe(true)
    expect(await planningSessionStateStore.deleteState(id)).toBe(false)
    expect(await planningSessionStateStore.deleteState('not an id')).toBe(false)
    await expect(planningSessionStateStore.getState(id)).rejects.toThrow(`Planning session not found: ${id}`)
    await expect(manager.setProgress(1)).rejects.toThrow(`Planning session not found: ${id}`)
    expect(await planningSessionStateStore.getStatesByOrganization(organizationId)).toEqual([])
  })
})

describe('the kind', () => {
  test('fills in what the input leaves out, with absolute paths, and records it', async () => {
    const session = await runtime.create(planning, {
      title,
      source: 'checkout.md',
      baseDir: dir,
      trackerFile: 't.json',
    })
    expect(session.snapshot().context).toMatchObject({
      organizationId: '',
      baseDir: dir,
      tracker: { kind: 'local', file: join(dir, 't.json') },
      pace: null,
    })
    const bare = await runtime.create(planning, { title, source: 'checkout.md' })
    expect(bare.snapshot().context).toMatchObject({
      baseDir: process.cwd(),
      tracker: { kind: 'local', file: join(process.cwd(), '.holdfast', 'tracker.json') },
    })
  })

  test('is found by organization, status and title', async () => {
    const { id } = await createPlanningSession('acme', 'x.md', 'Checkout')
    const [entry] = runtime.sessions.list({
      where: { organizationId: 'acme', status: 'pending', title: 'Checkout' },
    }).sessions
    expect(entry?.id).toBe(id)
    await runtime.session(id, planning).send({ type: 'setStatus', status: 'processing' })
    expect(runtime.sessions.count({ where: { status: 'processing' } })).toBe(1)
  })

  test('refuses an event that it does not know, naming those it takes', async () => {
    const { id } = await createPlanningSession('acme', 'x.md', 'Checkout')
    const sending = runtime.session(id).send({ type: 'finish' })
    await expect(sending).rejects.toMatchObject({
      code: 'NOT_ACCEPTED',
      message: expect.stringContaining('setProgress'),
    })
  })

  test.each([
    ['without anything', undefined],
    ['that is no object', 'checkout.md'],
    ['with a title that is no text', { title: 1, source: 'x.md' }],
    ['with a pace that is none', { title, source: 'x.md', pace: { delayMs: -1 } }],
    ['with a pace without its pause', { title, source: 'x.md', pace: {} }],
  ])('refuses an input %s', async (_, input) => {
    await expect(runtime.create(planning, input as never)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })
})

describe('its queries', () => {
  test('are found by their attributes without making a session live; only what is shown is read', async () => {
    for (const [organization, name] of [
      ['acme', 'A'],
      ['other', 'B'],
      ['acme', 'C'],
    ] as const) {
      await createPlanningSession(organization, 'x.md', name)
    }
    await runtime.close()
    runtime = await open()
    use()
    const where = { status: 'pending', title: 'B' }
    expect(runtime.sessions.list({ kind: 'planning', where }).sessions).toHaveLength(1)
    expect(await planningSessionStateStore.getStatesByOrganization('nobody')).toEqual([])
    expect(runtime.health().live).toBe(0)
    const found = await planningSessionStateStore.getStatesByOrganization('acme')
    expect(found.map(({ planningTitle }) => planningTitle)).toEqual(['A', 'C'])
    const { id } = found[0] as PlanningSessionState
    expect(await planningSessionStateStore.getState(id)).toEqual(found[0])
    expect((await planningSessionStateStore.getStateManager(id)).getState()).toEqual(found[0])
    expect(runtime.health().live).toBe(0)
  })
})

describe('the runtime behind it', () => {
  test('is opened when first needed, in HOLDFAST_DIR, and closed by closePlanning', async () => {
    await closePlanning()
    const home = join(dir, 'home')
    process.env.HOLDFAST_DIR = home
    try {
      const manager = new PlanningSessionStateManager('any')
      expect(() => manager.getState()).toThrow(expect.objectContaining({ code: 'RUNTIME_CLOSED' }))
      const [{ id }] = await Promise.all([
        createPlanningSession('a', 'x.md', 'A'),
        createPlanningSession('a', 'y.md', 'B'),
      ])
      expect(existsSync(join(home, 'holdfast.json'))).toBe(true)
      expect(() => usePlanningRuntime(runtime)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
      await expect(openRuntime({ dir: home, kinds: [planning] })).rejects.toMatchObject({ code: 'DIRECTORY_LOCKED' })
      await closePlanning()
      const again = await openRuntime({ dir: home, kinds: [planning], logger: quiet })
      expect(again.session(id, planning).snapshot().context.tracker).toEqual({
        kind: 'local',
        file: join(home, 'tracker.json'),
      })
      await again.close()
    } finally {
      delete process.env.HOLDFAST_DIR
    }
  })

  test('that cannot be opened is tried again at the next call', async () => {
    await closePlanning()
    const file = join(dir, 'file')
    writeFileSync(file, '')
    process.env.HOLDFAST_DIR = file
    try {
      await expect(createPlanningSession('a', 'x.md', 'A')).rejects.toThrow()
      rmSync(file)
      await createPlanningSession('a', 'x.md', 'A')
    } finally {
      delete process.env.HOLDFAST_DIR
      await closePlanning()
    }
  })

  test('that was brought is not closed by closePlanning', async () => {
    const { id } = await createPlanningSession('a', 'x.md', 'A')
    await closePlanning()
    expect(runtime.session(id).snapshot().id).toBe(id)
    expect(runtime.health().status).toBe('ok')
  })
})
