// Where the processor time of a transition goes: one layer after another, with 64 and with 1,000 sessions taken in turn.
// Each row does everything that the rows above it do. `node --expose-gc bench/layers.js`; HOLDFAST_BENCH_ROUNDS and
// HOLDFAST_BENCH_COUNT make it shorter.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createActor } from 'xstate'
import { Engine } from '../dist/src/durable.js'
import { Lines } from '../dist/src/files/segment.js'
import { NOTHING, pointAfter } from '../dist/src/point.js'
import { recordOf } from '../dist/src/write.js'
import { machine } from './machine.js'
import { holdfast } from './rivals.js'

const EVENT = Object.freeze({ type: 'tick' })
const HOST = { post() {}, say() {}, log() {}, shown() {}, next: 1, childOf() {} }
const CHANCE = { id: () => 'none' }
const KIND = { index: undefined, children: new Map() }

const sends = (sessions) => {
  const actors = Array.from({ length: sessions }, () => createActor(machine, { input: {} }).start())
  return (i) => actors[i].send({ type: 'tick' })
}

const engines = (sessions) => {
  const all = Array.from({ length: sessions }, (_, i) => Engine.begin(machine, { id: `s${i}` }, {}, HOST).engine)
  return (i) => all[i].decide(EVENT, true)
}

/** Deciding, recording, and `keep` for what is then done with the record. */
const recording = (keep) => (sessions) => {
  const points = Array.from({ length: sessions }, () => NOTHING)
  const all = points.map((_, i) => {
    const id = `01932c07-6b7e-7c1a-9d3f-${String(i).padStart(12, '0')}`
    const identity = { id, parent: undefined }
    const { engine, decision } = Engine.begin(machine, identity, {}, HOST)
    const record = recordOf({ identity, kind: KIND, event: EVENT, before: NOTHING, decision, now: 0, chance: CHANCE })
    points[i] = pointAfter(NOTHING, record, i, decision.after)
    return { identity, engine }
  })
  return (i) => {
    const { identity, engine } = all[i]
    const decision = engine.decide(EVENT, true)
    const decided = { identity, kind: KIND, event: EVENT, before: points[i], decision, now: Date.now(), chance: CHANCE }
    const record = recordOf(decided)
    points[i] = pointAfter(points[i], record, points[i].position + 250, decision.after)
    keep(record)
  }
}

const lines = new Lines(0)
const line = (record) => {
  lines.add(JSON.stringify(record), '{"batch":1234567,')
  if (lines.length > 200_000) lines.clear(lines.last)
}

const LAYERS = [
  ['XState: actor.send', sends],
  ['the engine decides', engines],
  ['record, patch, point', recording(() => {})],
  ['JSON', recording((record) => JSON.stringify(record))],
  ['line and checksum', recording(line)],
]

const ROUNDS = Number(process.env.HOLDFAST_BENCH_ROUNDS ?? 7)
const COUNT = Number(process.env.HOLDFAST_BENCH_COUNT ?? 64_000)
const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]

function measure(step, sessions) {
  globalThis.gc?.()
  const start = process.cpuUsage()
  for (let i = 0; i < COUNT; i++) step(i % sessions)
  const { user, system } = process.cpuUsage(start)
  return (user + system) / COUNT
}

async function measureAll(step, sessions) {
  globalThis.gc?.()
  const start = process.cpuUsage()
  const each = Math.floor(COUNT / sessions)
  const loop = async (i) => {
    for (let n = 0; n < each; n++) await step(i)
  }
  await Promise.all(Array.from({ length: sessions }, (_, i) => loop(i)))
  const { user, system } = process.cpuUsage(start)
  return (user + system) / (each * sessions)
}

/** µs of processor time a transition, medians of rounds in which the layers take turns. */
export async function layers() {
  const results = []
  for (const sessions of [64, 1000]) {
    const steps = LAYERS.map(([what, open]) => [what, open(sessions)])
    const dir = mkdtempSync(join(tmpdir(), 'holdfast-layers-'))
    const whole = await holdfast(dir, sessions)
    const costs = new Map()
    const note = (what, cost) => costs.set(what, [...(costs.get(what) ?? []), cost])
    for (let round = 0; round <= ROUNDS; round++) {
      const first = round === 0 // to warm up
      for (const [what, step] of steps) {
        const cost = measure(step, sessions)
        if (!first) note(what, cost)
      }
      const cost = await measureAll(whole.step, sessions)
      if (!first) note('everything: promises, registry, write, sync', cost)
    }
    await whole.close()
    rmSync(dir, { recursive: true, force: true })
    for (const [what, all] of costs) {
      const [least, most] = [Math.min(...all), Math.max(...all)]
      results.push({ sessions, what, us: median(all).toFixed(1), range: `${least.toFixed(1)} to ${most.toFixed(1)}` })
    }
  }
  return results
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) console.table(await layers())
