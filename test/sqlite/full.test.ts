// R6 for a database: a small disk is filled up and freed again and again, under a runtime at work. It starts every time there is
// room, loses nothing that was acknowledged, and serves reads throughout. On a real tmpfs of one MiB, unless mounting one is
// refused (then it is skipped), and where SQLite itself says that a database is full. HOLDFAST_FILLS sets how often.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { defineSession, isHoldfastError, openReader, openRuntime, type Runtime } from 'holdfast'
import { sqlite } from 'holdfast/sqlite'
import { afterAll, afterEach, expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { sqliteStorage } from '../../src/sqlite/storage.js'
import { mountSmallDisk, type SmallDisk } from '../small-disk.js'
import { newFolder, quiet } from './opened.js'

const FILLS = Number(process.env.HOLDFAST_FILLS ?? 3)

const note = defineSession({
  kind: 'note',
  version: 1,
  machine: setup({
    types: { context: {} as { count: number; text: string }, events: {} as { type: 'write'; text: string } },
  }).createMachine({
    context: { count: 0, text: '' },
    on: {
      write: { actions: assign({ count: ({ context }) => context.count + 1, text: ({ event }) => event.text }) },
    },
  }),
})

const IDS = ['a', 'b', 'c', 'd']
const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function folderOf(): string {
  const folder = newFolder()
  folders.push(folder)
  return folder
}

const open = (path: string, maxPages?: number): Promise<Runtime> =>
  openRuntime({
    storage: sqliteStorage({ path, portionBytes: 1, ...(maxPages !== undefined && { maxPages }) }),
    ...{ kinds: [note], pool: 'inline', logger: quiet },
  })

/** How many writes of each session were acknowledged, and how many were asked for. */
type Told = Map<string, { acknowledged: number; asked: number }>

function mustServe(countOf: (id: string) => number, told: Told): void {
  for (const [id, { acknowledged, asked }] of told) {
    expect(countOf(id), id).toBeGreaterThanOrEqual(acknowledged)
    expect(countOf(id), id).toBeLessThanOrEqual(asked)
  }
}

const shownBy = (runtime: Runtime) => (id: string) => runtime.session(id, note).snapshot().context.count

function mustRead(path: string, told: Told): void {
  const reader = openReader({ storage: sqlite({ path }) })
  try {
    mustServe((id) => (reader.state(id).context as { count: number }).count, told)
  } finally {
    reader.close()
  }
}

/** Writes until it is refused; gives with what. */
async function fill(runtime: Runtime, told: Told): Promise<unknown> {
  for (let round = 0; ; round++) {
    const outcomes = await Promise.allSettled(
      [...told].map(async ([id, tally], index) => {
        tally.asked++
        await runtime.session(id, note).send({ type: 'write', text: 'x'.repeat(((round + index) * 977) % 6000) })
        tally.acknowledged++
      }),
    )
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed) return failed.reason
  }
}

/** The causes of an error, itself first. */
function* causesOf(error: unknown): Generator<unknown> {
  for (let cause = error; cause instanceof Error; cause = cause.cause) yield cause
}

async function begin(path: string, told: Told): Promise<void> {
  await using runtime = await open(path)
  for (const id of IDS) {
    await runtime.create(note, undefined, { id })
    told.set(id, { acknowledged: 0, asked: 0 })
  }
}

/** Until the disk is full: then it says so, reads and refuses. */
async function untilFull(path: string, told: Told, maxPages?: number): Promise<void> {
  const runtime = await open(path, maxPages)
  mustServe(shownBy(runtime), told)
  const reason = await fill(runtime, told)
  expect(reason).toMatchObject({ code: expect.stringMatching(/^(OUTCOME_UNKNOWN|JOURNAL_FAILED)$/) })
  expect([...causesOf(reason)].some((cause) => isHoldfastError(cause, 'DISK_FULL'))).toBe(true)
  expect(runtime.health().status).toBe('read-only')
  mustServe(shownBy(runtime), told)
  mustRead(path, told)
  await expect(runtime.session('a', note).send({ type: 'write', text: '' })).rejects.toMatchObject({
    code: 'READ_ONLY',
  })
  await runtime.close()
}

/** With room again: everything is there, and goes on. */
async function freed(path: string, told: Told): Promise<void> {
  await using runtime = await open(path)
  mustServe(shownBy(runtime), told)
  await Promise.all(IDS.map((id) => runtime.session(id, note).send({ type: 'write', text: 'on' })))
  for (const [id, tally] of told) tally.acknowledged = tally.asked = shownBy(runtime)(id)
  await runtime.compact({ keepBytes: 0 })
}

const writesIn = (told: Told): number => [...told.values()].reduce((sum, { acknowledged }) => sum + acknowledged, 0)

test(`a database that may not grow is filled and freed ${FILLS} times`, async () => {
  const path = join(folderOf(), 'full.db')
  const told: Told = new Map()
  await begin(path, told)
  for (let count = 0; count < FILLS; count++) {
    await untilFull(path, told, 120 + count * 40)
    await freed(path, told)
  }
  expect(writesIn(told)).toBeGreaterThan(FILLS * 8)
})

const small = mountSmallDisk()
afterAll(() => small?.release())

test.runIf(small)(`a real disk of one MiB is filled and freed ${FILLS} times`, { timeout: 0 }, async () => {
  const { root, leave, free } = small as SmallDisk
  const path = join(root, 'full.db')
  const told: Told = new Map()
  await begin(path, told)
  let refused = 0
  for (let count = 0; count < FILLS; count++) {
    leave(150_000 + ((count * 37_000) % 200_000))
    await untilFull(path, told)
    // Full as it is, it opens or says why not.
    const opened = await open(path).catch((error: unknown) => error)
    if (isHoldfastError(opened)) expect(opened.code).toBe('DISK_FULL')
    else await (opened as Runtime).close()
    if (isHoldfastError(opened)) refused++
    free()
    await freed(path, told)
  }
  expect(writesIn(told)).toBeGreaterThan(FILLS * 8)
  console.log(
    `R6: a database on a tmpfs of one MiB filled and freed ${FILLS} times, ${writesIn(told)} writes; ${refused} openings of a full disk refused`,
  )
})
