// Memory of a live session beside a bare XState actor, and how long it takes to open a directory of 10,000 sessions:
// closed in order, and killed (no fresh index). `node --expose-gc bench/size.js`
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { openRuntime } from 'holdfast'
import { createActor } from 'xstate'
import { machine, tick } from './machine.js'

const SESSIONS = 10_000

async function heap() {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return process.memoryUsage().heapUsed
}

const openTimed = async (dir) => {
  const start = performance.now()
  const runtime = await openRuntime({ dir, kinds: [tick], pool: 'inline' })
  return { runtime, ms: performance.now() - start }
}

export async function size() {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-size-'))
  const runtime = await openRuntime({ dir, kinds: [tick], pool: 'inline' })
  const before = await heap()
  const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => runtime.create(tick, {})))
  await Promise.all(sessions.map((session) => session.send({ type: 'tick' })))
  const live = ((await heap()) - before) / SESSIONS
  const ids = sessions.map(({ id }) => id)
  cpSync(dir, `${dir}-killed`, { recursive: true, filter: (path) => !path.endsWith('lock') })
  await runtime.close()
  sessions.length = 0

  const base = await heap()
  const actors = Array.from({ length: SESSIONS }, () => createActor(machine, { input: {} }).start())
  for (const actor of actors) actor.send({ type: 'tick' })
  const bare = ((await heap()) - base) / SESSIONS
  actors.length = 0

  const results = [{ what: 'heap of a live session, bytes', value: Math.round(live) }]
  results.push({ what: 'heap of a bare XState actor, bytes', value: Math.round(bare) })
  for (const [what, path, prepare] of [
    ['open 10,000 sessions, closed in order, ms', dir, () => {}],
    [
      'open 10,000 sessions, killed, no index, ms',
      `${dir}-killed`,
      (p) => rmSync(join(p, 'index.jsonl'), { force: true }),
    ],
  ]) {
    prepare(path)
    const beforeOpen = await heap()
    const opened = await openTimed(path)
    results.push({ what, value: Number(opened.ms.toFixed(1)) })
    results.push({
      what: 'heap of a passive session after it, bytes',
      value: Math.round(((await heap()) - beforeOpen) / SESSIONS),
    })
    const start = performance.now()
    opened.runtime.session(ids[5_000]).snapshot()
    results.push({
      what: 'first answer of a passive session, ms',
      value: Number((performance.now() - start).toFixed(2)),
    })
    await opened.runtime.close()
    rmSync(path, { recursive: true, force: true })
  }
  return results
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) console.table(await size())
