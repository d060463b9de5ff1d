// The session kinds under 1,000 sessions at once, on real files. Of each kind: what a transition through its façade costs as
// sessions and history grow, in processor time and as ratios; and whole lives, with their steps in worker threads.
//   npm run build && node --expose-gc bench/kinds.js [kind…]
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { argv, cpuUsage } from 'node:process'
import { openRuntime } from 'holdfast'

const MANY = 1000
const kinds = { agent, document, execution, planning, workflow }
/** Opens a runtime on a directory of its own for `work`; gives what that gives. */
async function inDirectory(load, work) {
  const dir = mkdtempSync(join(process.env.HOLDFAST_BENCH_DIR ?? tmpdir(), 'holdfast-kinds-'))
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

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]
const round = (number, digits = 1) => Number(number.toFixed(digits))

/**
 * What a transition costs as things grow. `make` gives a session as a function of one turn, `turn` says how many transitions
 * that is. Ten sessions among ten, ten among 1,000, ten with a long history among ten, and 1,000 at once: measured in turns,
 * medians of 3 rounds of 500 turns (of the 1,000, one each), in processor time.
 */
async function flatness(load, make, { turns = 500, long = 200, perTurn = 1 }) {
  const all = (count, runtime) => Promise.all(Array.from({ length: count }, (_, n) => make(runtime, n)))
  const drive = async (sessions, rounds) => {
    for (let n = 0; n < rounds; n++) await Promise.all(sessions.map((turn) => turn()))
  }
  return inDirectory(load, (small) =>
    inDirectory(load, async (large) => {
      const [ten, old, many] = [await all(10, small), await all(10, small), await all(MANY, large)]
      await drive(old, long)
      const cases = { ten, old, among: many.slice(0, 10), many }
      const costs = Object.fromEntries(Object.keys(cases).map((name) => [name, []]))
      const rates = []
      for (let number = 0; number < 4; number++) {
        for (const [name, sessions] of Object.entries(cases)) {
          globalThis.gc?.()
          const rounds = Math.max(1, turns / sessions.length)
          const { ms, cpuMs } = await timed(() => drive(sessions, rounds))
          if (number === 0) continue // warming up
          const transitions = rounds * sessions.length * perTurn
          costs[name].push((cpuMs * 1000) / transitions)
          if (name === 'many') rates.push((transitions * 1000) / ms)
        }
      }
      const [base, aged, among, together] = Object.keys(cases).map((name) => median(costs[name]))
      return {
        'µs of cpu, 10 sessions': round(base),
        'with a long history': round(aged / base, 2),
        [`among ${MANY}`]: round(among / base, 2),
        [`${MANY} at once`]: round(together / base, 2),
        'transitions/s then': Math.round(median(rates)),
      }
    }),
  )
}

/** Whole lives, `count` at once: how many a second, and what one costs. */
async function lives(load, count, work) {
  let transitions = 0
  const { ms, cpuMs } = await inDirectory(load, (runtime, dir) => {
    runtime.transitions$().subscribe(() => {
      transitions++
    })
    return work(runtime, dir, count)
  })
  return {
    sessions: count,
    'lives/s': round((count * 1000) / ms),
    'transitions/s': Math.round((transitions * 1000) / ms),
    'ms of cpu each': round(cpuMs / count, 2),
  }
}

async function told(what, rows) {
  console.log(what)
  console.table(rows)
}

async function planning() {
  const module = await import('holdfast/machines/planning')
  const { planning: kind, PlanningSessionStateManager, usePlanningRuntime, closePlanning } = module
  const result = { epics: { 'epic-1': 'L-1' }, features: {}, stories: {}, enablers: {} }
  const make = async (runtime, n) => {
    const input = { title: `Plan ${n}`, source: 'plan.md', organizationId: 'acme' }
    const session = await runtime.create(kind, input)
    return async () => {
      await session.send({ type: 'setStatus', status: 'processing' })
      await session.send({ type: 'setProgress', progress: 50, message: 'Processing' })
      await session.send({ type: 'setResult', result })
    }
  }
  const setters = await flatness([kind], make, { perTurn: 3 })
  const facade = await inDirectory([kind], async (runtime, dir) => {
    usePlanningRuntime(runtime, { trackerFile: join(dir, 'tracker.json') })
    const managers = await Promise.all(
      Array.from({ length: MANY }, async (_, n) => {
        const { id } = await runtime.create(kind, { title: `Plan ${n}`, source: 'plan.md' })
        return new PlanningSessionStateManager(id)
      }),
    )
    const { ms, cpuMs } = await timed(() =>
      Promise.all(managers.map((manager) => manager.setProgress(50, 'Processing'))),
    )
    await closePlanning()
    return { 'setters/s': Math.round((MANY * 1000) / ms), 'µs of cpu each': round((cpuMs * 1000) / MANY) }
  })
  await told('planning, driven from outside: a transition', [setters])
  await told(`planning, ${MANY} state managers at once`, [facade])
  const whole = async (runtime, dir, count) => {
    writeFileSync(join(dir, 'plan.md'), '# Epic: Pay\n\n## Feature: Cards\n\n### Story: Pay by card (5 points)\n')
    const sessions = await Promise.all(
      Array.from({ length: count }, (_, n) =>
        runtime.create(kind, { title: `${n}`, source: 'plan.md', baseDir: dir, trackerFile: `tracker-${n % 50}.json` }),
      ),
    )
    return timed(async () => {
      await Promise.all(sessions.map((session) => session.send({ type: 'start' })))
      await Promise.all(
        sessions.map((session) => session.until(({ value }) => value === 'completed' || value === 'failed')),
      )
      const failed = sessions.find((session) => session.snapshot().value === 'failed')
      if (failed) throw new Error(JSON.stringify(failed.snapshot().context.errors))
    })
  }
  await told('planning, from a document of 3 items to issues in local trackers, five steps each', [
    await lives([kind], 100, whole),
    await lives([kind], MANY, whole),
  ])
  await told('planning, a document of 1 MB, medians of 5', [await megabyte()])
}

/** The documents of the tests one after the other, over and over. */
async function megabyte() {
  const { parseMarkdown } = await import('../dist/machines/planning/parse.js')
  const { extractPlan } = await import('../dist/machines/planning/extract.js')
  const folder = new URL('../test/machines/planning/documents/', import.meta.url)
  const documents = readdirSync(folder).filter((name) => name.endsWith('.txt'))
  const texts = documents.map((name) =>
    readFileSync(new URL(name, folder), 'utf8').replace(/^---\n[\s\S]*?\n---\n/, ''),
  )
  const text = texts.join('\n\n')
  const large = text.repeat(Math.ceil(2 ** 20 / text.length)).slice(0, 2 ** 20)
  const [parsing, extracting] = [[], []]
  let items = 0
  for (let number = 0; number < 5; number++) {
    let document
    globalThis.gc?.()
    parsing.push((await timed(() => (document = parseMarkdown(large)))).cpuMs)
    let plan
    extracting.push((await timed(() => (plan = extractPlan(document)))).cpuMs)
    items = plan.epics.length + plan.features.length + plan.stories.length + plan.enablers.length
  }
  return { items, 'ms of cpu to parse': Math.round(median(parsing)), 'to extract': Math.round(median(extracting)) }
}

/** Documents of 4 KB, of which an update changes a line. */
async function document() {
  const { document: kind, PlanningSessionManager } = await import('holdfast/machines/document')
  const must = ({ data }) => data
  const contentOf = (n) =>
    Array.from({ length: 64 }, (_, line) => `Requirement ${line} of ${n}: the system does that too.`)
  const make = async (runtime, n) => {
    const manager = new PlanningSessionManager(undefined, undefined, { runtime })
    const lines = contentOf(n)
    const { id } = must(await manager.create({ title: `Document ${n}`, initial_content: lines.join('\n') }))
    let edits = 0
    return async () => {
      lines[edits % lines.length] = `Requirement ${edits % lines.length}, as of edit ${++edits}.`
      must(await manager.update(id, { content: lines.join('\n') }))
    }
  }
  await told('document, an update of a line of 64', [await flatness([kind], make, {})])
  const whole = (runtime, _, count) => {
    const manager = new PlanningSessionManager(undefined, undefined, { runtime })
    const live = async (n) => {
      const { id } = must(
        await manager.create({ title: `${n}`, repository_path: `/p/${n % 10}`, initial_content: 'One.' }),
      )
      must(await manager.update(id, { content: 'One.\nTwo.' }))
      must(await manager.pause(id, 'lunch'))
      must(await manager.resume(id))
      must(await manager.restoreVersion(id, 1, 'bench'))
      must(await manager.markConverted(id, { project_id: 'p', work_item_ids: ['w'], converted_by: 'bench' }))
      must(await manager.archive(id))
    }
    return timed(() => Promise.all(Array.from({ length: count }, (_, n) => live(n))))
  }
  await told('document, from its creation to the archive: 7 transitions', [
    await lives([kind], 100, whole),
    await lives([kind], MANY, whole),
  ])
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
  const make = async (runtime) => {
    const sessions = new SessionManager(runtime)
    const { session_id } = must(await sessions.createSession({ llm_config: { ...llm_config, budget: { tokens: 1 } } }))
    const talks = new Conversations(runtime)
    let tokens = 1
    return async () => must(await talks.raiseBudget(session_id, { tokens: ++tokens }))
  }
  await told('agent, a transition of its session: its budget is raised', [await flatness([kind], make, {})])
  const whole = (runtime, _, count) => {
    const [sessions, talks] = [new SessionManager(runtime), new Conversations(runtime)]
    const live = async () => {
      const { session_id } = must(await sessions.createSession({ llm_config }))
      const { conversation } = must(await talks.start(session_id, 'What is there?'))
      const { info } = must(await talks.settled(session_id, conversation))
      if (info.messages.length !== 4) throw new Error('a conversation came to something else')
      must(await sessions.terminateSession(session_id))
    }
    return timed(() => Promise.all(Array.from({ length: count }, live)))
  }
  await told('agent, from its start to its end, five steps each', [
    await lives([kind], 100, whole),
    await lives([kind], MANY, whole),
  ])
}

/** Without people or services: sessions of one team, modified, which is one transition and a row of a table. */
async function execution() {
  const {
    createSessionManagementService,
    execution: kind,
    executionCleanup,
  } = await import('holdfast/machines/execution')
  const both = [kind, executionCleanup]
  const make = async (runtime, n) => {
    const service = createSessionManagementService({ runtime })
    const session = await service.createExecutionSession({ adminUserId: 'ada', teamId: `team-${n % 10}`, planCount: 1 })
    const modification = { sessionId: session.id, userId: 'ada', action: 'comment', value: 'later' }
    let tickets = 0
    return () => service.addPlanModification({ ...modification, ticketId: `ENG-${++tickets}` })
  }
  await told('execution, a modification', [await flatness(both, make, {})])
  const whole = (runtime, _, count) => {
    const service = createSessionManagementService({ runtime })
    const live = async (n) => {
      const { id } = await service.createExecutionSession({
        adminUserId: 'ada',
        teamId: `team-${n % 10}`,
        planCount: 1,
      })
      const modification = { sessionId: id, userId: 'ada', ticketId: 'ENG-1', action: 'comment', value: 'later' }
      const { id: added } = await service.addPlanModification(modification)
      await service.markModificationProcessed(added)
      await service.confirmSession(id)
      await service.completeSession(id)
    }
    return timed(() => Promise.all(Array.from({ length: count }, (_, n) => live(n))))
  }
  await told('execution, from its creation to its completion: 5 transitions', [
    await lives(both, 100, whole),
    await lives(both, MANY, whole),
  ])
}

/** Driven from outside: what happens is told to it. Commands cost what they cost; that is not measured. */
async function workflow() {
  const { SessionManager, workflow: kind } = await import('holdfast/machines/workflow')
  const executed = { type: 'CommandExecuted', command: 'test', success: true, exit_code: 0 }
  const config = { project_path: '/project', workflow: [], max_iterations: 3 }
  const make = async (runtime) => {
    const manager = new SessionManager(runtime)
    const id = await manager.createSession(config)
    await manager.startSession(id)
    return () => manager.recordEvent(id, executed)
  }
  await told('workflow, an event of a driven session', [await flatness([kind], make, {})])
  const changes = { files_modified: ['a'], lines_added: 1, lines_removed: 0, commands_run: ['test'], git_commits: [] }
  const whole = (runtime, _, count) => {
    const manager = new SessionManager(runtime)
    const live = async () => {
      const id = await manager.createSession(config)
      await manager.startSession(id)
      for (const number of [1, 2, 3]) {
        await manager.recordEvent(id, { type: 'IterationStarted', number })
        await manager.recordEvent(id, executed)
        await manager.recordEvent(id, { type: 'IterationCompleted', changes })
      }
      await manager.completeSession(id)
    }
    return timed(() => Promise.all(Array.from({ length: count }, live)))
  }
  await told('workflow, three iterations of a driven session: 12 transitions', [
    await lives([kind], 100, whole),
    await lives([kind], MANY, whole),
  ])
}

for (const kind of argv.length > 2 ? argv.slice(2) : Object.keys(kinds)) await kinds[kind]()
