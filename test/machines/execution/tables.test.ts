// The tables never disagree with the sessions for longer than they cannot be written: whatever is taken from them comes back.

import { copyFileSync, existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { HoldfastError } from 'holdfast'
import { execution } from 'holdfast/machines/execution'
import Database from 'libsql'
import { throwError } from 'rxjs'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { numbersIn } from '../../../machines/execution/tables.js'
import { applyPatch, diffAndSeal, type Patch } from '../../../src/patch.js'
import { House } from './house.js'

const RUNS = Number(process.env.HOLDFAST_RUNS ?? 12)

let house: House
beforeEach(() => {
  house = new House()
})
afterEach(() => house.remove())

/** What the tables have is what the sessions are, to the letter. */
async function expectAgreed(): Promise<void> {
  const { service } = house
  const sessions = await service.getRecentSessions(1_000)
  const rows = sessions.map(({ id, status, adminUserId, teamId, planCount, ...times }) => ({
    ...{ id, status, admin_user_id: adminUserId, team_id: teamId, plan_count: planCount },
    generated_at: times.generatedAt.toISOString(),
    created_at: times.createdAt.toISOString(),
    updated_at: times.updatedAt.toISOString(),
  }))
  const byId = (a: { id?: unknown }, b: { id?: unknown }): number => (String(a.id) < String(b.id) ? -1 : 1)
  expect(house.ask('SELECT * FROM execution_sessions').sort(byId)).toEqual(rows.sort(byId))
  const all = await Promise.all(sessions.map(({ id }) => service.getSessionModifications(id)))
  const modifications = all
    .flat()
    .map(({ id, sessionId, ticketId, userId, action, value, timestamp, processed, error = null }) => ({
      ...{ id, session_id: sessionId, ticket_id: ticketId, user_id: userId, action, value, error },
      ...{ timestamp: timestamp.toISOString(), created_at: timestamp.toISOString(), processed: processed ? 1 : 0 },
    }))
  expect(house.ask('SELECT * FROM plan_modifications').sort(byId)).toEqual(modifications.sort(byId))
}

type Act = 'create' | 'modify' | 'mark' | 'confirm' | 'cancel' | 'delete' | 'clean'
const act = fc.tuple(
  fc.constantFrom<Act>('create', 'create', 'modify', 'modify', 'mark', 'confirm', 'cancel', 'delete', 'clean'),
  fc.nat(20),
)

/** Does it to one of the sessions there are; what a session does not take it refuses, and that is no matter here. */
async function does([what, n]: readonly [Act, number]): Promise<void> {
  const { service } = house
  const sessions = await service.getRecentSessions(100)
  const session = sessions[n % Math.max(1, sessions.length)]
  if (what === 'create' || !session) {
    await service.createExecutionSession({ adminUserId: 'ada', teamId: `team-${n % 3}` })
    return
  }
  const { id } = session
  const modification = {
    sessionId: id,
    ticketId: `t-${n % 4}`,
    userId: 'ben',
    action: 'comment',
    value: `v${n}`,
  } as const
  const done = {
    modify: () => service.bulkCreateModifications([modification, { ...modification, value: 'w' }]),
    mark: async () => {
      const [first] = await service.getUnprocessedModifications(id)
      if (first) await service.markModificationProcessed(first.id, n % 2 ? 'broken' : undefined)
    },
    confirm: () => service.confirmSession(id),
    cancel: () => service.cancelSession(id),
    delete: () => service.database.deleteSession(id),
    clean: () => service.cleanupOldSessions(0),
  }
  await done[what]().catch((error: { code?: string }) => expect(error.code).toMatch(/NOT_ACCEPTED|SESSION_ENDED/))
}

const FILES = ['sessions.db', 'sessions.db-wal', 'sessions.db-shm']

test(`${RUNS} lives: whatever a crash takes from the tables, of any moment, is there again after the next opening`, async () => {
  let taken = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(act, { minLength: 2, maxLength: 12 }),
      fc.nat(10),
      fc.constantFrom('old', 'none'),
      async (acts, at, what) => {
        await house.open()
        for (const [n, each] of acts.entries()) {
          await does(each)
          // As the files are at some moment, they are again after the crash.
          if (n !== at % acts.length) continue
          for (const name of FILES) {
            rmSync(join(house.dir, `kept-${name}`), { force: true })
            if (existsSync(join(house.dir, name))) copyFileSync(join(house.dir, name), join(house.dir, `kept-${name}`))
          }
        }
        await house.service.getSessionStats()
        await new Promise((resolve) => setImmediate(resolve))
        await expectAgreed()
        await house.close()
        for (const name of FILES) {
          rmSync(join(house.dir, name), { force: true })
          const kept = join(house.dir, `kept-${name}`)
          if (what === 'old' && existsSync(kept)) copyFileSync(kept, join(house.dir, name))
        }
        taken++
        await house.open()
        await house.service.getSessionStats()
        await expectAgreed()
        await house.remove()
        house = new House()
      },
    ),
    { numRuns: RUNS },
  )
  expect(taken).toBeGreaterThanOrEqual(RUNS)
})

test('a database that somebody else keeps busy harms no session; what it lacks is written when it can be', async () => {
  const service = await house.open()
  const { id } = await service.createExecutionSession({ adminUserId: 'ada', teamId: 'red' })
  const other = new Database(house.databasePath)
  other.exec('BEGIN IMMEDIATE')
  await service.confirmSession(id)
  expect(await service.getSession(id)).toMatchObject({ status: 'confirmed' })
  expect(await service.getHealth()).toMatchObject({ status: 'degraded', checks: { database: { ok: false } } })
  other.exec('ROLLBACK')
  other.close()
  expect(house.ask('SELECT status FROM execution_sessions')).toEqual([{ status: 'pending' }])
  await service.createExecutionSession({ adminUserId: 'ada', teamId: 'red' })
  await expectAgreed()
  expect(await service.getHealth()).toMatchObject({ status: 'healthy' })
})

test('what an opening could not write, while somebody else kept the database busy, comes with the next write', async () => {
  const { id } = await (await house.open()).createExecutionSession({ adminUserId: 'ada', teamId: 'red' })
  await house.close()
  const other = new Database(house.databasePath)
  other.exec("UPDATE execution_sessions SET status = 'cancelled'; UPDATE holdfast_seqs SET seq = 0")
  other.exec('BEGIN IMMEDIATE')
  const service = await house.open()
  await service.getSessionStats()
  other.exec('ROLLBACK')
  other.close()
  expect(house.ask('SELECT status FROM execution_sessions')).toEqual([{ status: 'cancelled' }])
  await service.createExecutionSession({ adminUserId: 'ada', teamId: 'red' })
  expect(house.ask('SELECT status FROM execution_sessions WHERE id = ?', id)).toEqual([{ status: 'pending' }])
  await expectAgreed()
})

test('after transitions that came too fast the tables hear on from there', async () => {
  const service = await house.open()
  const details = { resumeFrom: 0 }
  const cut = new HoldfastError('OBSERVER_OVERFLOW', 'too slow', { details })
  vi.spyOn(house.runtime, 'transitions$').mockReturnValueOnce(throwError(() => cut) as never)
  const { id } = await service.createExecutionSession({ adminUserId: 'ada', teamId: 'red' })
  await house.runtime.session(id, execution).send({ type: 'confirm', by: 'ada' })
  await expect.poll(() => house.ask('SELECT status FROM execution_sessions')).toEqual([{ status: 'confirmed' }])
})

test('a file that is no database is left as it is, and the error names it', async () => {
  writeFileSync(house.databasePath, 'Dear diary, this is no database. '.repeat(40))
  const service = await house.open()
  await expect(service.getSessionStats()).rejects.toMatchObject({
    code: 'DISK_FAILED',
    message: expect.stringContaining(house.databasePath),
  })
})

test('a patch tells which modifications it is about: all that it has changed', async () => {
  const item = fc.record({ value: fc.nat(3), processed: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(
      fc.array(item),
      fc.array(item, { maxLength: 4 }),
      fc.array(fc.nat(30)),
      async (before, added, touched) => {
        const after = [
          ...before.map((each, n) => (touched.includes(n) ? { ...each, processed: !each.processed } : each)),
          ...added,
        ]
        const context = { modifications: before, other: 1 }
        const patch = diffAndSeal(context, { modifications: after, other: 2 }, 'context') as Patch
        expect(applyPatch(context, patch)).toEqual({ modifications: after, other: 2 })
        const changed = after.flatMap((each, n) => (JSON.stringify(each) === JSON.stringify(before[n]) ? [] : [n + 1]))
        expect(numbersIn(patch, after.length)).toEqual(expect.arrayContaining(changed))
      },
    ),
  )
})
