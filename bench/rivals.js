// What the throughput benchmark compares: each rival takes a directory and a number of sessions, and gives back
// `step(i)`, which makes one transition of session i and resolves when the rival calls it done, and `close()`.
import { closeSync, fdatasyncSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { openRuntime } from 'holdfast'
import { sqlite } from 'holdfast/sqlite'
import { JSONFilePreset } from 'lowdb/node'
import { createActor } from 'xstate'
import { LINE, machine, tick } from './machine.js'

/** Holdfast, as `openRuntime` opens it. */
export async function holdfast(dir, sessions) {
  const runtime = await openRuntime({ dir, kinds: [tick], pool: 'inline' })
  const all = await Promise.all(Array.from({ length: sessions }, () => runtime.create(tick, {})))
  const event = { type: 'tick' }
  return { step: (i) => all[i].send(event), close: () => runtime.close(), stats: () => runtime.health().journal }
}

/** The same in one SQLite database: write-ahead log, `synchronous = FULL`, a transaction a turn. */
export async function holdfastSqlite(dir, sessions) {
  const storage = sqlite({ path: join(dir, 'bench.db') })
  const runtime = await openRuntime({ storage, kinds: [tick], pool: 'inline' })
  const all = await Promise.all(Array.from({ length: sessions }, () => runtime.create(tick, {})))
  const event = { type: 'tick' }
  return { step: (i) => all[i].send(event), close: () => runtime.close(), stats: () => runtime.health().journal }
}

/** The ceiling: lines of the same size, one write and one fdatasync a turn of the event loop, nothing else. */
export async function appendGroupCommit(dir, sessions) {
  const fd = openSync(join(dir, 'log'), 'w')
  let waiting = []
  const flush = () => {
    const batch = waiting
    waiting = []
    writeSync(fd, batch.length === 1 ? LINE : Buffer.concat(batch.map(() => LINE)))
    fdatasyncSync(fd)
    for (const resolve of batch) resolve()
  }
  const step = () =>
    new Promise((resolve) => {
      if (waiting.push(resolve) === 1) setImmediate(flush)
    })
  return { step, close: async () => closeSync(fd), sessions }
}

/** One line, one fdatasync, each for itself. */
export async function appendEach(dir) {
  const fd = openSync(join(dir, 'log'), 'w')
  const step = async () => {
    writeSync(fd, LINE)
    fdatasyncSync(fd)
  }
  return { step, close: async () => closeSync(fd) }
}

/** XState and nothing durable: the upper bound of any runtime on it. */
export async function xstateInMemory(_, sessions) {
  const actors = Array.from({ length: sessions }, () => createActor(machine, { input: {} }).start())
  return { step: async (i) => actors[i].send({ type: 'tick' }), close: async () => {} }
}

/** XState with its persisted snapshot in a file per session: temporary file, fsync, rename, at every transition. */
export async function xstateFile(dir, sessions) {
  const actors = Array.from({ length: sessions }, () => createActor(machine, { input: {} }).start())
  const step = async (i) => {
    actors[i].send({ type: 'tick' })
    const path = join(dir, `${i}.json`)
    const fd = openSync(`${path}.tmp`, 'w')
    writeSync(fd, JSON.stringify(actors[i].getPersistedSnapshot()))
    fsyncSync(fd)
    closeSync(fd)
    renameSync(`${path}.tmp`, path)
  }
  return { step, close: async () => {} }
}

/** XState with lowdb's own file adapter, at every transition: no fsync, so nothing is durable. */
export async function xstateLowdb(dir, sessions) {
  const actors = Array.from({ length: sessions }, () => createActor(machine, { input: {} }).start())
  const files = await Promise.all(actors.map((_, i) => JSONFilePreset(join(dir, `${i}.json`), {})))
  const step = async (i) => {
    actors[i].send({ type: 'tick' })
    files[i].data = actors[i].getPersistedSnapshot()
    await files[i].write()
  }
  return { step, close: async () => {} }
}
