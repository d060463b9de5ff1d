// An agent's whole life under power cuts: a conversation with tools, an approval, a budget that is raised and a rate limit
// that passes. The power is cut at every kind of call to the disk, and again while the runtime is opened; a user who looks
// at what is there goes on. It ends as a life that nobody disturbed. Virtual time, a disk that tears, and the shipped steps in
// this thread, but for the loading of a module, which takes real time.
// HOLDFAST_CUTS sets how many lives are cut short, HOLDFAST_SEED which.

import { agent, Conversations, type LlmConfig, SessionManager } from 'holdfast/machines/agent'
import { expect, test } from 'vitest'
import { askLocal } from '../../../machines/agent/steps/local-model.js'
import { scripted } from '../../../machines/agent/steps/scripted.js'
import { runTool } from '../../../machines/agent/steps/tools.js'
import { createSeededChance } from '../../../src/testing/chance.js'
import { turn } from '../../../src/testing/clock.js'
import { type CrashDisk, createCrashDisk } from '../../../src/testing/disk.js'
import { inFlight, openWorld, randomFates, START_MS, type World } from '../../../src/testing/world.js'
import { tools } from './fixtures/coder.js'

const CUTS = Number(process.env.HOLDFAST_CUTS ?? 60)
const SEED = Number(process.env.HOLDFAST_SEED ?? 1)

const call = (id: string, tool: string, path: string) => ({ id, tool, input: { path } })
const used = (tokens: number) => ({ input_tokens: tokens, output_tokens: 1 })

/** Two tools at once, one of which needs a person; a limit; what spends the budget; a tool again; the end. */
const LLM: LlmConfig = {
  script: [
    { text: 'I look.', calls: [call('k1', 'write', 'a.js'), call('k2', 'read', 'a.js')], used: used(10) },
    { retry_after_ms: 60_000 },
    { text: 'I go on.', calls: [call('k3', 'read', 'b.js')], used: used(100) },
    { calls: [call('k4', 'write', 'notes.txt')], used: used(5) },
    { text: 'Done.', used: used(1) },
  ],
  budget: { tokens: 100 },
}

interface Ended {
  readonly session: unknown
  readonly talk: unknown
}

/** One life, or several: each cut of the power begins the next. */
class Life {
  points = 0
  lives = 0
  cutsWhileOpening = 0
  cutsInFlight = 0
  /** Tool call -> the keys that it ran under. */
  readonly effects = new Map<string, Set<string>>()
  readonly problems: string[] = []
  readonly #random: () => number
  #cutIn: number | undefined
  #world: World | undefined
  #disk!: CrashDisk
  #struck: { readonly disk: CrashDisk; readonly nowMs: number } | undefined

  /** The power is cut after so many points: one before and one after each call to the disk. */
  constructor(seed: number, cutIn?: number) {
    this.#random = createSeededChance(seed).random
    this.#cutIn = cutIn
  }

  async live(): Promise<Ended> {
    let disk = createCrashDisk()
    let nowMs = START_MS
    for (;;) {
      this.#struck = undefined
      this.#world = undefined
      await this.#open(disk, nowMs)
      const ended = this.#cut ? undefined : await this.#goOn(this.#world as unknown as World)
      if (ended) return ended
      const { disk: left, nowMs: then } = this.#cut as { disk: CrashDisk; nowMs: number }
      disk = left
      nowMs = then + Math.floor(this.#random() * 90_000)
      // Once more, now and then, while it is opened or soon after.
      if (this.lives < 3 && this.#random() < 0.3) this.#cutIn = Math.floor(this.#random() * 60)
    }
  }

  get #cut() {
    return this.#struck
  }

  async #open(disk: CrashDisk, nowMs: number): Promise<void> {
    const life = ++this.lives
    this.#disk = disk
    const counts = (): boolean => life === this.lives && !this.#struck
    this.#world = await openWorld({
      ...{ disk, kinds: [agent], nowMs, seed: life },
      journal: { segmentBytes: 8_000, stallMs: this.#random() < 0.5 ? 1 : -1, reserveBytes: 0 },
      steps: () => ({
        start: () => null,
        stop: () => null,
        respond: (input: any, context: any) => {
          if (counts()) this.#asked(input.turn)
          return askLocal(scripted(input.llm_config.script), input, tools, context)
        },
        useTool: (input: any, context: any) => {
          const keys = this.effects.get(input.call.id) ?? new Set()
          if (counts()) this.effects.set(input.call.id, keys.add(context.idempotencyKey))
          return runTool(tools, input, context)
        },
      }),
      onPoint: () => {
        if (life === this.lives && !this.#struck) this.#point(nowMs)
      },
    })
  }

  #point(openedMs: number): void {
    this.points++
    if (this.#cutIn === undefined || this.#cutIn-- > 0) return
    this.#cutIn = undefined
    const opening = this.#world === undefined
    if (opening) this.cutsWhileOpening++
    else if (inFlight(this.#world as World)) this.cutsInFlight++
    const nowMs = this.#world?.clock.now() ?? openedMs
    this.#struck = { disk: this.#disk.crash(randomFates(this.#random)), nowMs }
  }

  /** A reply that is durable is never asked for again. */
  #asked(asking: number): void {
    const talk = new Conversations((this.#world as World).runtime).get('s', 'c')
    const context = talk.ok && this.#world?.runtime.session(talk.info.pid).snapshot().context
    const { answers = 0 } = (context || {}) as { answers?: number }
    if (answers > asking) this.problems.push(`turn ${asking} was asked for, and ${answers} answers are there`)
  }

  /** A user, who does what the state asks for, until the session has terminated; undefined when the power was cut. */
  async #goOn(world: World): Promise<Ended | undefined> {
    const { runtime, clock } = world
    const [sessions, talks] = [new SessionManager(runtime), new Conversations(runtime)]
    let doing: Promise<unknown> | undefined
    const act = (call: Promise<unknown>): void => {
      doing = call
        .catch(() => {})
        .finally(() => {
          doing = undefined
        })
    }
    let seen = -1
    let parkedAt = -2
    for (let turns = 0; turns < 5_000; turns++) {
      if (this.#struck) return undefined
      await turn()
      if (inFlight(world)) continue
      // What was looked at is as it was: then it waits for time to pass.
      if (doing || seen === world.journal.end) {
        await clock.advance(seen === parkedAt ? 10_000 : 100)
        continue
      }
      seen = world.journal.end
      const found = sessions.getSessionInfo('s')
      if (!found.ok) act(sessions.createSession({ session_id: 's', llm_config: LLM }))
      else if (found.info.status === 'terminated') return this.#ended(world)
      else if (found.info.status === 'initializing') continue
      else if (found.info.phase === 'paused') act(talks.raiseBudget('s', { tokens: 1_000 }))
      else if (found.info.phase === 'parked') parkedAt = seen
      else {
        const talk = talks.get('s', 'c')
        if (!talk.ok) act(talks.start('s', 'go', { conversation: 'c', id: 'the first' }))
        else if (talk.info.waiting.length > 0)
          act(talks.approve('s', 'c', talk.info.waiting[0]?.call as string, { by: 'ada' }))
        else if (talk.info.status === 'ready') act(sessions.terminateSession('s'))
      }
    }
    throw new Error(`it does not end: ${JSON.stringify(sessions.getSessionInfo('s'))}`)
  }

  async #ended({ runtime, complaints }: World): Promise<Ended> {
    if (complaints.length > 0) this.problems.push(...complaints)
    const talk = new Conversations(runtime).get('s', 'c')
    const session = new SessionManager(runtime).getSessionInfo('s')
    await runtime.close()
    if (!talk.ok || !session.ok) throw new Error('they are gone')
    const { pid: _, ...info } = talk.info
    const { created_at: __, updated_at: ___, ...rest } = session.info
    return { session: rest, talk: info }
  }
}

test(`cut short at ${CUTS} moments, an agent ends as one that was not, each tool under one key, each reply asked for once it is not there`, async () => {
  const calm = new Life(SEED)
  const undisturbed = await calm.live()
  expect(undisturbed).toMatchObject({
    session: {
      status: 'terminated',
      used: { input_tokens: 116, output_tokens: 4 },
      budget: { tokens: 1_000 },
      error: null,
    },
    talk: { status: 'ended', used: { input_tokens: 116 }, decided: { k1: { decision: 'approve', by: 'ada' } } },
  })
  expect([...calm.effects].map(([id, keys]) => [id, keys.size])).toEqual(['k1', 'k2', 'k3', 'k4'].map((id) => [id, 1]))

  const totals = { lives: 0, opening: 0, inFlight: 0, again: 0 }
  for (let cut = 0; cut < CUTS; cut++) {
    const cutIn = Math.floor(((cut + 0.5) * calm.points) / CUTS)
    const life = new Life(SEED + cut, cutIn)
    const where = `HOLDFAST_SEED=${SEED + cut}, cut after ${cutIn} of ${calm.points} points`
    expect(await life.live(), where).toEqual(undisturbed)
    expect(life.problems, where).toEqual([])
    for (const [id, keys] of life.effects) expect(keys.size, `${where}: the keys of ${id}`).toBe(1)
    expect([...life.effects.keys()].sort(), where).toEqual(['k1', 'k2', 'k3', 'k4'])
    totals.lives += life.lives
    totals.opening += life.cutsWhileOpening
    totals.inFlight += life.cutsInFlight
    if (life.lives > 2) totals.again++
  }
  expect(totals.inFlight).toBeGreaterThan(CUTS / 4)
  expect(totals.again).toBeGreaterThan(CUTS / 20)
  console.log(`${CUTS} cuts over ${calm.points} points: ${JSON.stringify(totals)}`)
})
