// Session management by the original's names, on the shipped runtime with its files and its tables.

import { statSync } from 'node:fs'
import { join } from 'node:path'
import { openRuntime } from 'holdfast'
import {
  createSessionManagementService,
  execution,
  executionCleanup,
  type People,
  restoreSessions,
} from 'holdfast/machines/execution'
import Database from 'libsql'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createVirtualClock } from '../../../src/testing/clock.js'
import { House } from './house.js'

let house: House
beforeEach(() => {
  house = new House()
})
afterEach(() => house.remove())

const DAY_MS = 86_400_000
const input = { adminUserId: 'admin-123', teamId: 'team-456', planCount: 5 }
const change = (sessionId: string, value: string, more: object = {}) =>
  ({ sessionId, ticketId: 'ticket-1', userId: 'user-1', action: 'status_change', value, ...more }) as const

test('a session lives from pending over confirmed to completed; what it does not take is refused by its status', async () => {
  const service = await house.open()
  const session = await service.createExecutionSession(input)
  expect(session).toMatchObject({ ...input, status: 'pending', organizationId: '' })
  expect(session.id).toMatch(/^session_[0-9a-f]{32}$/)
  for (const date of [session.generatedAt, session.createdAt, session.updatedAt]) expect(date).toBeInstanceOf(Date)
  await expect(service.completeSession(session.id)).rejects.toMatchObject({
    code: 'NOT_ACCEPTED',
    message: expect.stringMatching(/is pending and does not take "complete"; it takes .*confirm, cancel/),
  })
  expect(await service.confirmSession(session.id)).toMatchObject({ status: 'confirmed', confirmedAt: expect.any(Date) })
  await expect(service.updateSessionStatus(session.id, 'pending')).rejects.toMatchObject({ code: 'NOT_ACCEPTED' })
  expect(await service.updateSessionPlanCount(session.id, 7)).toMatchObject({ planCount: 7 })
  expect(await service.updateSessionStatus(session.id, 'completed')).toMatchObject({ status: 'completed' })
  await house.runtime.session(session.id).result()
  for (const call of [service.cancelSession(session.id), service.addPlanModification(change(session.id, 'done'))]) {
    await expect(call).rejects.toMatchObject({
      code: 'NOT_ACCEPTED',
      message: expect.stringContaining('is completed and'),
      details: { state: 'completed', accepted: [] },
    })
  }
  expect(await service.getSession('session_none')).toBeNull()
  expect(await service.getSession('../etc')).toBeNull()
  await expect(service.confirmSession('session_none')).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
  await expect(service.createExecutionSession({ ...input, adminUserId: '' })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
  })
})

test('services that begin on one runtime at the same moment share its cleanup', async () => {
  await using runtime = await openRuntime({
    ...{ dir: join(house.dir, 'shared'), kinds: [execution, executionCleanup], pool: 'inline' },
  })
  const created = await Promise.all(
    [1, 2, 3].map((planCount) =>
      createSessionManagementService({ runtime }).createExecutionSession({ ...input, planCount }),
    ),
  )
  expect(created.map(({ planCount }) => planCount)).toEqual([1, 2, 3])
  expect(runtime.sessions.list({ kind: executionCleanup.kind }).sessions).toHaveLength(1)
})

test('modifications are added, found, marked and processed', async () => {
  const service = await house.open()
  const { id } = await service.createExecutionSession(input)
  const other = await service.createExecutionSession({ ...input, adminUserId: 'admin-9' })
  const first = await service.addPlanModification(change(id, 'in_progress'))
  expect(first).toMatchObject({ sessionId: id, value: 'in_progress', processed: false, timestamp: expect.any(Date) })
  expect(first.id).toMatch(/^mod_[0-9a-f]{32}_1$/)
  const { flushes } = house.runtime.health().journal
  const { seq } = house.runtime.session(id).snapshot()
  const many = Array.from({ length: 1_100 }, (_, n) => change(id, `v${n}`, { ticketId: `t-${n % 50}` }))
  const bulk = await service.bulkCreateModifications(many)
  expect(house.runtime.session(id).snapshot().seq).toBe(seq + 1)
  expect(house.runtime.health().journal.flushes).toBe(flushes + 1)
  expect(bulk.map(({ value }) => value)).toEqual(many.map(({ value }) => value))
  expect(new Set(bulk.map(({ id }) => id)).size).toBe(1_100)
  const [mixed, elsewhere] = await service.bulkCreateModifications([
    change(id, 'x', { action: 'comment' }),
    change(other.id, 'y', { action: 'reassign', userId: 'user-2' }),
  ])
  expect([mixed?.sessionId, elsewhere?.sessionId]).toEqual([id, other.id])
  await expect(
    service.bulkCreateModifications([change(other.id, 'ok'), change(other.id, 'no', { action: 'delete' })]),
  ).rejects.toMatchObject({ code: 'INVALID_EVENT' })
  expect(await service.getSessionModifications(other.id)).toHaveLength(1)
  expect(await service.getTicketModifications('ticket-1')).toHaveLength(3)
  expect(await service.getUnprocessedModifications(id)).toHaveLength(1_102)

  expect(await service.markModificationProcessed(first.id)).toMatchObject({ processed: true })
  await expect(service.markModificationProcessed(first.id)).rejects.toMatchObject({ code: 'NOT_ACCEPTED' })
  expect(await service.markModificationProcessed(bulk[0]?.id ?? '', 'no such ticket')).toMatchObject({
    ...{ processed: true, error: 'no such ticket', processedAt: expect.any(Date) },
  })
  for (const none of ['mod_1', `${first.id}99999`, 'mod_none_1']) {
    await expect(service.markModificationProcessed(none)).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
  }
  expect((await service.getSessionWithModifications(other.id))?.modifications).toMatchObject([{ userId: 'user-2' }])

  const seen: string[] = []
  const by = await service.processModifications(other.id, (modification) => {
    seen.push(modification.value)
    throw new Error('not now')
  })
  expect([seen, by]).toMatchObject([
    ['y'],
    { processed: 0, errors: 1, results: [{ success: false, error: 'not now' }] },
  ])
  const { processed, errors, results } = await service.processModifications()
  expect([processed, errors, results.length]).toEqual([1_100, 0, 1_100])
  expect(await service.getUnprocessedModifications()).toEqual([])
  expect(await service.processModifications(id)).toEqual({ processed: 0, errors: 0, results: [] })
  expect(await service.getModificationStats()).toEqual({
    ...{ total: 1_103, processed: 1_103, pending: 0, errors: 2 },
    byAction: { status_change: 1_101, reassign: 1, comment: 1 },
    byUser: { 'user-1': 1_102, 'user-2': 1 },
  })
})

test('sessions are listed by status, admin and age, page by page, and counted', async () => {
  const service = await house.open()
  const ids: string[] = []
  for (let n = 0; n < 13; n++) {
    ids.push((await service.createExecutionSession({ ...input, adminUserId: `admin-${n % 2}` })).id)
  }
  await service.confirmSession(ids[0] as string)
  await service.cancelSession(ids[1] as string, 'no')
  await service.addPlanModification(change(ids[12] as string, 'done'))
  expect((await service.getSessionsByStatus('confirmed')).map(({ id }) => id)).toEqual([ids[0]])
  expect(await service.getSessionsByAdmin('admin-1')).toHaveLength(6)
  expect((await service.getRecentSessions()).map(({ id }) => id)).toEqual([...ids].reverse().slice(0, 10))
  expect(await service.getRecentSessions(2)).toHaveLength(2)
  expect(await service.getActiveSessions()).toHaveLength(12)
  expect(await service.getSessionStats()).toEqual({
    ...{ totalSessions: 13, pendingSessions: 11, confirmedSessions: 1, completedSessions: 0, cancelledSessions: 1 },
    ...{ totalModifications: 1, processedModifications: 0, errorModifications: 0 },
  })
  const summary = await service.getSessionSummary()
  expect(summary).toHaveLength(10)
  expect(summary[0]).toMatchObject({ session: { id: ids[12] }, modificationCount: 1, processedCount: 0, errorCount: 0 })
  const paged: string[] = []
  for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
    const page = await service.database.listSessions({ status: 'pending' }, { limit: 4, ...(cursor && { cursor }) })
    expect(page.items.length).toBeLessThanOrEqual(4)
    paged.push(...page.items.map(({ id }) => id))
    cursor = page.cursor
  }
  expect(paged).toEqual(ids.slice(2))
})

const people: People = (userId) =>
  ({
    ada: { role: 'admin', teams: ['red'] } as const,
    eve: { role: 'admin', teams: ['red', 'blue'] } as const,
    ben: { role: 'member', teams: ['red'] } as const,
    joe: { role: 'member', teams: ['blue'] } as const,
    max: { role: 'admin', teams: ['red'], organizationId: 'other' } as const,
  })[userId]

test('every call asks who may do it: role, team and owner', async () => {
  const service = await house.open({ people })
  const red = { adminUserId: 'ada', teamId: 'red' }
  const { id } = await service.as('ada').createExecutionSession(red)
  const of = (userId: string) => ({ ...change(id, 'done'), userId })
  const { id: mod } = await service.as('ben').addPlanModification(of('ben'))
  const refused: readonly (readonly [why: string, call: Promise<unknown>])[] = [
    ['a member creates', service.as('ben').createExecutionSession({ adminUserId: 'ben', teamId: 'red' })],
    ['for a team of others', service.as('ada').createExecutionSession({ adminUserId: 'ada', teamId: 'blue' })],
    ['for somebody else', service.as('eve').createExecutionSession(red)],
    ['nobody knows them', service.as('zoe').createExecutionSession({ adminUserId: 'zoe', teamId: 'red' })],
    ['of another organization', service.as('max').createExecutionSession({ adminUserId: 'max', teamId: 'red' })],
    ['another team modifies', service.as('joe').addPlanModification(of('joe'))],
    ['as somebody else', service.as('ben').addPlanModification(of('eve'))],
    ['one of many', service.bulkCreateModifications([of('ben'), of('joe')])],
    ['a member confirms', service.as('ben').confirmSession(id)],
    ['an admin who is not the owner', service.as('eve').confirmSession(id)],
    ['nobody is named', service.confirmSession(id)],
    ['a member completes', service.as('ben').completeSession(id)],
    ['a member cancels', service.as('ben').cancelSession(id)],
    ['another admin cancels', service.as('eve').cancelSession(id)],
    ['a member counts plans', service.as('ben').updateSessionPlanCount(id, 1)],
    ['a member updates', service.as('ben').updateSessionStatus(id, 'confirmed')],
    ['a member marks', service.as('ben').markModificationProcessed(mod)],
    ['a member processes', service.as('ben').processModifications(id)],
    ['a member processes all', service.as('ben').processModifications()],
    ['a member cleans up', service.as('ben').cleanupOldSessions(0)],
    ['a member backs up', service.as('ben').backup(join(house.dir, 'no.tar'))],
    ['nobody lists', service.getActiveSessions()],
    ['nobody asks', service.getSessionStats()],
    ['a stranger asks', service.as('zoe').getSession(id)],
    ['nobody reads modifications', service.getSessionModifications(id)],
    ['a stranger reads what is unprocessed', service.as('zoe').getUnprocessedModifications(id)],
  ]
  for (const [why, call] of refused) await expect(call, why).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  const { seq } = house.runtime.session(id).snapshot()
  expect(seq).toBe(2)
  expect(await service.as('joe').getSession(id)).toBeNull()
  for (const call of [service.as('joe').getSessionModifications(id), service.as('joe').getUnprocessedModifications(id)])
    await expect(call).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
  expect(await service.as('ben').getSessionModifications(id)).toHaveLength(1)
  expect(await service.as('joe').getActiveSessions()).toEqual([])
  expect(await service.as('joe').getTicketModifications('ticket-1')).toEqual([])
  expect(await service.as('ben').getSession(id)).toMatchObject({ id })
  expect(await service.as('ada').confirmSession(id)).toMatchObject({ status: 'confirmed' })
  expect(await service.as('ada').cleanupOldSessions(0)).toEqual({ deletedSessions: 0, deletedModifications: 0 })
  const alone = house.with({})
  const { id: own } = await alone.createExecutionSession(input)
  await expect(alone.as('user-1').confirmSession(own)).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  expect(await alone.as('admin-123').confirmSession(own)).toMatchObject({ status: 'confirmed' })
})

test("all modifications are processed of the sessions that are the admin's own, a few sessions at a time", async () => {
  const service = await house.open({ people })
  for (let n = 0; n < 20; n++) {
    const admin = n === 7 ? 'eve' : 'ada'
    const { id } = await service.as(admin).createExecutionSession({ adminUserId: admin, teamId: 'red' })
    await service.as('ben').addPlanModification({ ...change(id, 'done'), userId: 'ben' })
  }
  let [running, most] = [0, 0]
  const processor = async (): Promise<void> => {
    most = Math.max(most, ++running)
    await new Promise((resolve) => setTimeout(resolve, 5))
    running--
  }
  const done = await service.as('ada').processModifications(undefined, processor)
  expect(done).toMatchObject({ processed: 19, errors: 0 })
  expect(most).toBeLessThanOrEqual(8)
  expect(await service.as('eve').getUnprocessedModifications()).toHaveLength(1)
})

test('the audit trail tells who did what, and organizations do not see each other', async () => {
  const service = await house.open()
  const acme = house.with({ organizationId: 'acme' })
  const { id } = await service.createExecutionSession(input)
  const theirs = await acme.createExecutionSession({ ...input, adminUserId: 'boss' })
  await service.addPlanModification(change(id, 'done'))
  await service.confirmSession(id)
  await service.cancelSession(id, 'too late')
  await acme.addPlanModification(change(theirs.id, 'done'))
  const trail = await service.getAuditTrail({ sessionId: id })
  expect(trail.filter(({ actor }) => actor).map(({ actor, action, from, to }) => [actor, action, from, to])).toEqual([
    ['user-1', 'modify', 'pending', 'pending'],
    ['admin-123', 'confirm', 'pending', 'confirmed'],
    ['admin-123', 'cancel', 'confirmed', 'cancelled'],
  ])
  expect(trail[0]).toMatchObject({ action: 'xstate.init', from: undefined, to: 'pending' })
  expect(trail.find(({ action }) => action === 'cancel')?.details).toEqual({ reason: 'too late' })
  expect(
    (await service.getAuditTrail({ userId: 'user-1' })).map(({ action, sessionId }) => [action, sessionId]),
  ).toEqual([['modify', id]])
  expect(await service.getSession(theirs.id)).toBeNull()
  expect((await acme.getSessionStats()).totalSessions).toBe(1)
  expect((await service.getSessionStats()).totalSessions).toBe(1)
  for (const call of [
    service.confirmSession(theirs.id),
    service.addPlanModification(change(theirs.id, 'x')),
    service.getAuditTrail({ sessionId: theirs.id }),
    service.getSessionModifications(theirs.id),
    service.markModificationProcessed(`mod_${theirs.id.slice(8)}_1`),
  ]) {
    await expect(call).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
  }
  expect(await acme.getSessionModifications(theirs.id)).toMatchObject([{ processed: false }])
})

test('metrics, health and analytics say what was', async () => {
  const service = await house.open()
  const day = (n: number) => new Date(Date.UTC(2026, 0, n))
  const ids: string[] = []
  for (const [n, teamId] of [
    [1, 'red'],
    [1, 'blue'],
    [2, 'red'],
  ] as const) {
    ids.push((await service.createExecutionSession({ ...input, teamId, generatedAt: day(n) })).id)
  }
  await service.bulkCreateModifications([
    change(ids[0] as string, 'a'),
    change(ids[0] as string, 'b', { ticketId: 't2' }),
  ])
  const [one] = await service.getSessionModifications(ids[0] as string)
  await service.markModificationProcessed(one?.id ?? '', 'broken')
  await service.processModifications(ids[0])
  for (const id of ids.slice(0, 2)) await service.confirmSession(id)
  await service.completeSession(ids[0] as string)
  await service.cancelSession(ids[2] as string)
  expect(await service.getAnalytics()).toMatchObject([
    {
      key: '2026-01-01',
      sessions: 2,
      confirmed: 2,
      completed: 1,
      cancelled: 0,
      completionRate: 1,
      plans: 10,
      modifications: 2,
      errors: 1,
    },
    { key: '2026-01-02', sessions: 1, confirmed: 0, cancelled: 1, completionRate: 0 },
  ])
  const byTeam = await service.getAnalytics({ by: 'team', from: day(1), to: day(2) })
  expect(byTeam.map(({ key, sessions }) => [key, sessions])).toEqual([
    ['blue', 1],
    ['red', 1],
  ])
  expect(byTeam[0]?.msToConfirm).toBeGreaterThan(DAY_MS)
  const metrics = await service.getMetrics()
  expect(metrics).toMatchObject({
    ...{ sessionsCreated: 3, completionRate: 0.5 },
    modifications: { processed: 2, errorRate: 0.5, errorsByType: { REPORTED: 1 } },
  })
  expect(metrics.storage.writes).toBeGreaterThan(8)
  expect(metrics.storage.tables).toMatchObject({ behind: 0 })
  expect(await service.getHealth()).toMatchObject({
    status: 'healthy',
    checks: {
      database: { ok: true },
      sessions: { ok: true },
      modificationQueue: { queued: 0 },
      cleanup: { ok: true, runs: 0 },
    },
  })
})

test('what is over and old is cleaned up: by hand, and by itself on a timer that survives', async () => {
  const clock = createVirtualClock(Date.UTC(2030, 0, 1))
  const service = await house.open({ autoCleanupDays: 2 }, clock)
  const over = async (): Promise<string> => {
    const { id } = await service.createExecutionSession(input)
    await service.addPlanModification(change(id, 'done'))
    await service.cancelSession(id)
    await house.runtime.session(id).result()
    return id
  }
  await over()
  const { id: open } = await service.createExecutionSession(input)
  await clock.advance(DAY_MS + 1_000)
  await expect.poll(() => service.getHealth()).toMatchObject({ checks: { cleanup: { runs: 1 } } })
  expect((await service.getSessionStats()).totalSessions).toBe(2)
  const young = await over()
  await house.close()

  const again = createVirtualClock(clock.now() + 2 * DAY_MS - 10_000)
  const later = await house.open({ autoCleanupDays: 2 }, again)
  await later.getSessionStats()
  await again.advance(1_000)
  // What was due while nobody was there is done at once.
  const ran = { checks: { cleanup: { ok: true, runs: 2, lastRun: expect.any(Date) } } }
  await expect.poll(() => later.getHealth()).toMatchObject(ran)
  expect((await later.getRecentSessions()).map(({ id }) => id)).toEqual([young, open])
  expect(await house.ask('SELECT count(*) AS n FROM plan_modifications')).toEqual([{ n: 1 }])
})

test('the tables are as the original has them: constraints, indexes, and values as they were given, whatever is in them', async () => {
  const service = await house.open()
  const nasty = "'); DROP TABLE execution_sessions; --"
  const { id, ...session } = await service.createExecutionSession({ ...input, teamId: nasty })
  const added = await service.addPlanModification(change(id, nasty, { userId: nasty }))
  await service.markModificationProcessed(added.id, nasty)
  await service.confirmSession(id)
  expect(house.ask('SELECT * FROM execution_sessions WHERE team_id = ?', nasty)).toMatchObject([
    {
      id,
      status: 'confirmed',
      admin_user_id: 'admin-123',
      plan_count: 5,
      generated_at: session.generatedAt.toISOString(),
    },
  ])
  expect(house.ask('SELECT * FROM plan_modifications WHERE session_id = ?', id)).toMatchObject([
    {
      id: added.id,
      ticket_id: 'ticket-1',
      user_id: nasty,
      action: 'status_change',
      value: nasty,
      processed: 1,
      error: nasty,
    },
  ])
  const insert =
    (table: string, columns: string, ...values: unknown[]) =>
    () =>
      house.ask(
        `INSERT INTO ${table} (${columns}) VALUES (${values.map(() => '?').join(', ')}) RETURNING id`,
        ...values,
      )
  expect(
    insert('execution_sessions', 'id, generated_at, status, admin_user_id, team_id', 'x', 'now', 'done', 'a', 't'),
  ).toThrow(/CHECK/)
  expect(
    insert(
      'plan_modifications',
      'id, session_id, ticket_id, user_id, action, value, timestamp',
      'm',
      id,
      't',
      'u',
      'delete',
      'v',
      'now',
    ),
  ).toThrow(/CHECK/)
  const plan = (sql: string) =>
    house
      .ask(`EXPLAIN QUERY PLAN ${sql}`)
      .map(({ detail }) => detail)
      .join(' ')
  for (const column of ['status', 'admin_user_id', 'team_id', 'generated_at']) {
    expect(plan(`SELECT * FROM execution_sessions WHERE ${column} = 'x'`)).toContain('USING INDEX')
  }
  for (const column of ['session_id', 'ticket_id', 'user_id', 'processed']) {
    expect(plan(`SELECT * FROM plan_modifications WHERE ${column} = 'x'`)).toContain('USING INDEX')
  }
  expect(house.ask('PRAGMA journal_mode')).toEqual([{ journal_mode: 'wal' }])
  expect(statSync(house.databasePath).mode & 0o777).toBe(0o600)
})

test('a backup of everything is restored, tables and all', async () => {
  const service = await house.open()
  const { id } = await service.createExecutionSession(input)
  await service.addPlanModification(change(id, 'done'))
  const file = join(house.dir, 'backup.tar')
  await service.backup(file)
  await service.cancelSession(id)
  await house.close()
  const databasePath = join(house.dir, 'restored.db')
  expect(await restoreSessions(file, databasePath)).toMatchObject({ sessions: 2, damage: [] })
  await expect(restoreSessions(file, databasePath)).rejects.toMatchObject({ code: 'DIRECTORY_NOT_EMPTY' })
  // Two services on one database share a runtime of their own.
  const [restored, another] = [
    createSessionManagementService({ databasePath }),
    createSessionManagementService({ databasePath }),
  ]
  expect(await restored.getSessionWithModifications(id)).toMatchObject({
    status: 'pending',
    modifications: [{ value: 'done' }],
  })
  const table = new Database(databasePath)
  expect(table.prepare('SELECT status FROM execution_sessions').all()).toEqual([{ status: 'pending' }])
  await another.confirmSession(id)
  await restored.close()
  expect(await another.getSession(id)).toMatchObject({ status: 'confirmed' })
  expect(table.prepare('SELECT status FROM execution_sessions').all()).toEqual([{ status: 'confirmed' }])
  table.close()
  await another.close()
})
