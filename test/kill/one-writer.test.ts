// R9, with whole runtimes: of those that open a directory together one gets it, a frozen one keeps it, and one that is killed
// leaves it to the next, which has all that was acknowledged. HOLDFAST_RACES sets how many deaths, in fives.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { bundled } from './bundle.js'
import type { Orders } from './orders.js'

const DEATHS = Math.ceil(Number(process.env.HOLDFAST_RACES ?? 50) / 5)

let script: { readonly folder: string; readonly file: string }
let dir: string
const children: ChildProcess[] = []
beforeAll(async () => {
  script = await bundled(new URL('./victim.ts', import.meta.url))
})
afterAll(() => rmSync(script.folder, { recursive: true, force: true }))
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-writer-'))
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(dir, { recursive: true, force: true })
})

/** A process that opens the directory, and works without end if it gets it. */
class Starter {
  readonly child: ChildProcess
  readonly closed: Promise<unknown>
  /** What it has said: `ready` or `refused`, and when. */
  readonly opened: Promise<{ readonly word: string; readonly rest: string[]; readonly atMs: number }>
  acknowledged = 0
  found = -1

  constructor() {
    const orders: Orders = {
      dir,
      sessions: 1,
      active: 1,
      version: 1,
      entries: Number.MAX_SAFE_INTEGER,
      place: 'anywhere',
      seed: 1,
    }
    this.child = spawn(process.execPath, [script.file, JSON.stringify(orders)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(this.child)
    const lines = createInterface({ input: this.child.stdout as NodeJS.ReadableStream })
    this.closed = new Promise((resolve) => this.child.on('close', resolve))
    this.opened = new Promise((resolve, reject) => {
      void this.closed.then(() => reject(new Error('it ended without a word')))
      lines.on('line', (line) => {
        const [word = '', ...rest] = line.split(' ')
        if (word === 'ready' || word === 'refused') resolve({ word, rest, atMs: performance.now() })
        if (word === 'found') this.found = Number(rest[1])
        if (word === 'ack') this.acknowledged = Math.max(this.acknowledged, Number(rest[1]))
      })
    })
    this.opened.catch(() => {})
  }

  /** It is killed; all it has said until then is heard. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.closed
  }

  async worksOn(): Promise<void> {
    for (const before = this.acknowledged; this.acknowledged === before; )
      await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

test(`a killed owner is followed by one of the two that wait, with all it had acknowledged: ${DEATHS} deaths`, async () => {
  const tookMs: number[] = []
  let owner = new Starter()
  expect((await owner.opened).word).toBe('ready')
  for (let death = 0; death < DEATHS; death++) {
    await owner.worksOn()
    const [killed] = [performance.now(), await owner.kill()]
    const two = [new Starter(), new Starter()] as const
    const answers = await Promise.all(two.map(({ opened }) => opened))
    expect(answers.map(({ word }) => word).sort()).toEqual(['ready', 'refused'])
    const first = answers[0]?.word === 'ready' ? 0 : 1
    const next = two[first] as Starter
    await next.worksOn()
    expect(next.found, `after death ${death}`).toBeGreaterThanOrEqual(owner.acknowledged)
    tookMs.push((answers[first]?.atMs ?? 0) - killed)
    owner = next
  }
  tookMs.sort((a, b) => a - b)
  const [median, longest] = [tookMs[tookMs.length >> 1], tookMs.at(-1)].map((ms) => Math.round(ms ?? 0))
  console.log(
    `R9: ${DEATHS} owners killed at work; a new process, its start included, owned the directory ${median} ms (median), ${longest} ms (longest) after`,
  )
})

test('a frozen owner keeps the directory, is named to who asks for it, and works on; killed while it is frozen, it leaves it', async () => {
  const owner = new Starter()
  await owner.worksOn()
  owner.child.kill('SIGSTOP')
  const other = new Starter()
  expect(await other.opened).toMatchObject({ word: 'refused', rest: [String(owner.child.pid)] })
  owner.child.kill('SIGCONT')
  await owner.worksOn()
  owner.child.kill('SIGSTOP')
  await owner.kill()
  const next = new Starter()
  expect((await next.opened).word).toBe('ready')
  await next.worksOn()
  expect(next.found).toBeGreaterThanOrEqual(owner.acknowledged)
})
