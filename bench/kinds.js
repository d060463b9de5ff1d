// The session kinds under many sessions at once, on real files: durable transitions a second through the façade, the
// processor time of one as the number of sessions grows, and whole lives a second with their steps in worker threads.
//   npm run build && node bench/kinds.js [kind…]
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { argv, cpuUsage } from 'node:process'
import { openRuntime } from 'holdfast'

const kinds = { agent, planning }
const chosen = argv.length > 2 ? argv.slice(2) : Object.keys(kinds)
for (const kind of chosen) await kinds[kind]()

/** Opens a runtime on a directory of its own for `work`; gives what that gives. */
async function inDirectory(load, work) {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-kinds-'))
  const runtime = await openRuntime({ dir, kinds: load, logger: { info() {}, warn() {}, error() {} } })
  try {
    return await work(runtime, dir)
  } finally {
    await runtime.close()
    rmSync(dir, { recursive: true, force: true })
  }
}

/** Wall and processor time of `work`, in ms. */
async function timed(work) {
  const [began, before] = [performance.now(), cpuUsage()]
  await work()
  const { user, system } = cpuUsage(before)
  return { ms: performance.now() - began, cpuMs: (user + system) / 1000 }
}

async function planning() {
  const {
    planning: kind,
    PlanningSessionStateManager,
    usePlanningRuntime,
    closePlanning,
  } = await import('holdfast/machines/planning')
  const result = { epics: { 'epic-1': 'L-1' }, features: {}, stories: {}, enablers: {} }
  const rows = []
  for (const count of [10, 100, 1000]) {
    const rounds = Math.max(1, 2000 / count)
    const { ms, cpuMs } = await inDirectory([kind], async (runtime, dir) => {
      usePlanningRuntime(runtime, { trackerFile: join(dir, 'tracker.json') })
      const sessions = await Promise.all(
        Array.from({ length: count }, (_, n) =>
          runtime.create(kind, { title: `Plan ${n}`, source: 'plan.md', organizationId: 'acme' }),
        ),
      )
      const managers = sessions.map(({ id }) => new PlanningSessionStateManager(id))
      const measured = await timed(async () => {
        for (let round = 0; round < rounds; round++) {
          await Promise.all(
            managers.map(async (manager) => {
              await manager.setStatus('processing')
              await manager.setProgress(50, 'Processing')
              await manager.setProgress(90)
              await manager.setResult(result)
            }),
          )
        }
      })
      await closePlanning()
      return measured
    })
    const transitions = count * rounds * 4
    rows.push({
      sessions: count,
      'transitions/s': Math.round((transitions / ms) * 1000),
      'µs of cpu each': Number(((cpuMs / transitions) * 1000).toFixed(1)),
    })
  }
  console.log('planning, driven by its setters')
  console.table(rows)
  const lives = []
  for (const count of [100, 1000]) {
    const { ms, cpuMs } = await inDirectory([kind], async (runtime, dir) => {
      writeFileSync(join(dir, 'plan.md'), '# Epic: Pay\n\n## Feature: Cards\n\n### Story: Pay by card (5 points)\n')
      const sessions = await Promise.all(
        Array.from({ length: count }, (_, n) =>
          runtime.create(kind, {
            title: `Plan ${n}`,
            source: 'plan.md',
            baseDir: dir,
            trackerFile: `tracker-${n % 50}.json`,
          }),
        ),
      )
      return timed(async () => {
        await Promise.all(sessions.map((session) => session.send({ type: 'start' })))
        await Promise.all(
          sessions.map((session) => session.until(({ value }) => value === 'completed' || value === 'failed')),
        )
        const failed = sessions.filter((session) => session.snapshot().value === 'failed')
        if (failed.length > 0)
          throw new Error(`${failed.length} failed: ${JSON.stringify(failed[0].snapshot().context.errors)}`)
      })
    })
    lives.push({
      sessions: count,
      'plans/s': Number(((count / ms) * 1000).toFixed(1)),
      'ms of cpu each': Number((cpuMs / count).toFixed(2)),
    })
  }
  console.log('planning, from a document of 3 items to issues in local trackers, five steps each')
  console.table(lives)
}

/** Whole lives: a session with a `start` and a `stop` hook, two answers of a scripted model, and a tool between them. */
async function agent() {
  const { agent: kind, Conversations, SessionManager } = await import('holdfast/machines/agent')
  const llm_config = {
    agent: new URL('./agent.tools.js', import.meta.url).href,
    script: [{ text: 'Let me look.', calls: [{ id: 'k', tool: 'look', input: { n: 1 } }] }, 'That is all.'],
  }
  const must = (result) => {
    if (result.ok) return result
    throw new Error(result.message)
  }
  const lives = []
  for (const count of [100, 1000]) {
    let transitions = 0
    const { ms, cpuMs } = await inDirectory([kind], (runtime) => {
      const [sessions, talks] = [new SessionManager(runtime), new Conversations(runtime)]
      runtime.transitions$().subscribe(() => {
        transitions++
      })
      const live = async () => {
        const { session_id } = must(await sessions.createSession({ llm_config }))
        const { conversation } = must(await talks.start(session_id, 'What is there?'))
        const { info } = must(await talks.settled(session_id, conversation))
        if (info.messages.length !== 4) throw new Error('a conversation came to something else')
        must(await sessions.terminateSession(session_id))
      }
      return timed(() => Promise.all(Array.from({ length: count }, live)))
    })
    lives.push({
      sessions: count,
      'lives/s': Number(((count / ms) * 1000).toFixed(1)),
      'transitions/s': Math.round((transitions / ms) * 1000),
      'ms of cpu each': Number((cpuMs / count).toFixed(2)),
    })
  }
  console.log('agent, from its start to its end, five steps each')
  console.table(lives)
}
