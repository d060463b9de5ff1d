// From a document to commits, as one tree of sessions: planning makes its stories tickets, an execution session moves them, and
// for each a workflow works in a worktree of its own. With LINEAR_API_KEY and LINEAR_TEAM_ID in the environment the tickets are
// in Linear. Kill it at any moment and run it again: nothing is done twice. Interrupt it, and all of it is cancelled.
//   node examples/delivery.js [a git repository; default: a new one in ./delivery-example]
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineSession, openRuntime } from 'holdfast'
import { execution, executionMachine } from 'holdfast/machines/execution'
import { planning, planningMachine } from 'holdfast/machines/planning'
import { workflow, workflowMachine } from 'holdfast/machines/workflow'
import { assign, enqueueActions, fromPromise, sendTo, setup } from 'xstate'

const project = resolve(process.argv[2] ?? 'delivery-example')
const dir = resolve(process.env.HOLDFAST_DIR ?? '.holdfast')
const team = process.env.LINEAR_API_KEY ? process.env.LINEAR_TEAM_ID : undefined
const MOST_STORIES = 4

/**
 * A planning session rests in `completed`, where it can still be changed: its parent asks, rather than waits for its end. Runs
 * again after a restart; what it gives is recorded once. What sessions send each other brings its own time.
 */
const planned = fromPromise(async ({ input }) => {
  const runtime = await opening // one that is restarted begins while the runtime is opened
  const children = () => runtime.sessions.list({ parent: input.delivery, kind: 'planning' }).sessions
  while (children().length === 0) await sleep(10)
  const session = runtime.session(children()[0].id, planning)
  const { value, context } = await session.until(({ value }) => value === 'completed' || value === 'failed')
  if (value === 'failed') throw new Error(context.errors.map(({ message }) => message).join('; '))
  return { stories: Object.entries(context.result.stories), at: new Date().toISOString() }
})

/** Of a workflow; the execution session has an end of its own. */
const ofStory = {
  guard: ({ context: { stories }, event: { actorId } }) => stories.some(({ name }) => name === actorId),
  actions: 'settle',
}

const delivery = setup({
  actors: { planning: planningMachine, planned, execution: executionMachine, workflow: workflowMachine },
  actions: {
    /** All tickets at once, and a workflow for each. */
    begin: enqueueActions(({ context: { stories, project, at }, enqueue }) => {
      enqueue.sendTo('execution', { type: 'confirm', by: 'lead', at })
      const changes = stories.map(({ ticket }) => statusOf(ticket, 'in_progress', at))
      enqueue.sendTo('execution', { type: 'modify', process: true, modifications: changes, by: 'lead', at })
      for (const story of stories) {
        enqueue.spawnChild('workflow', { id: story.name, input: { config: configOf(story, project) } })
        enqueue.sendTo(story.name, { type: 'start', at })
      }
    }),
    /** A workflow that failed leaves its ticket open, with the reason. */
    settle: enqueueActions(({ context: { stories, at }, event: { actorId, output, error }, enqueue }) => {
      const end = output ?? { type: 'Failed', error: error.message }
      const { ticket } = stories.find(({ name }) => name === actorId)
      const change =
        end.type === 'Completed'
          ? statusOf(ticket, 'done', at)
          : { ...statusOf(ticket, end.error, at), action: 'comment' }
      enqueue.sendTo('execution', { type: 'modify', process: true, modifications: [change], by: 'lead', at })
      enqueue.assign({ stories: stories.map((story) => (story.name === actorId ? { ...story, end } : story)) })
    }),
  },
}).createMachine({
  context: ({ input }) => ({ ...input, stories: [] }),
  initial: 'planning',
  states: {
    planning: {
      entry: sendTo('planning', { type: 'start' }),
      invoke: [
        {
          id: 'planning',
          src: 'planning',
          input: ({ context: { document, dir, team } }) => ({
            ...{ title: 'Delivery', source: document, organizationId: 'acme' },
            ...(team ? { tracker: 'linear', teamId: team } : { trackerFile: join(dir, 'tracker.json') }),
          }),
        },
        {
          id: 'planned',
          src: 'planned',
          input: ({ self }) => ({ delivery: self.sessionId }),
          onDone: {
            target: 'executing',
            actions: assign(({ event: { output } }) => ({
              at: output.at,
              stories: output.stories
                .slice(0, MOST_STORIES)
                .map(([story, ticket], n) => ({ name: `story-${n + 1}`, story, ticket })),
            })),
          },
        },
      ],
    },
    executing: {
      entry: 'begin',
      invoke: {
        id: 'execution',
        src: 'execution',
        input: ({ context: { dir, team, at } }) => ({
          ...{ adminUserId: 'lead', teamId: team ?? 'acme', generatedAt: at, channel: { kind: 'log' } },
          tracker: team
            ? { kind: 'linear', teamId: team, connection: '' }
            : { kind: 'local', file: join(dir, 'tickets.jsonl') },
        }),
        onDone: 'delivered',
      },
      initial: 'working',
      states: {
        working: {
          on: { 'xstate.done.actor.*': ofStory, 'xstate.error.actor.*': ofStory },
          always: { guard: ({ context: { stories } }) => stories.every(({ end }) => end), target: 'completing' },
        },
        completing: {
          entry: sendTo('execution', ({ context: { at } }) => ({ type: 'complete', by: 'lead', at })),
        },
      },
    },
    delivered: { type: 'final' },
  },
  output: ({ context: { stories } }) => stories,
})

const statusOf = (ticketId, value, timestamp) => ({
  ...{ ticketId, userId: 'lead', action: 'status_change', value, timestamp },
})

/** What an agent would do, in three commands: each may be cut off, and is then run again from where the worktree stood. */
const configOf = ({ name, story, ticket }, project_path) => ({
  project_path,
  workflow: [
    { name: 'write', shell: `sleep 0.2; echo '${story}' >> ${name}.txt` },
    { name: 'check', shell: `test "$(cat ${name}.txt)" = '${story}'` },
    { name: 'commit', shell: `git add --all && git commit --quiet -m '${story}' -m 'Ticket: ${ticket}'` },
  ],
  execution_mode: { type: 'worktree', name },
  max_iterations: 1,
})

const kind = defineSession({
  kind: 'delivery',
  version: 1,
  machine: delivery,
  children: { planning: { kind: planning }, execution: { kind: execution }, workflow: { kind: workflow } },
  index: ({ context: { project } }) => ({ project }),
})

if (!existsSync(project)) {
  mkdirSync(project)
  const git = (...args) => execFileSync('git', args, { cwd: project })
  git('init', '--quiet', '--initial-branch=main')
  git('config', 'user.name', 'Ada')
  git('config', 'user.email', 'ada@example.com')
  git('commit', '--quiet', '--allow-empty', '-m', 'A beginning')
}

const opening = openRuntime({ dir, kinds: [kind, planning, execution, workflow] })
const runtime = await opening
const document = join(import.meta.dirname, 'delivery.md')
const input = { document, project, dir, team: team ?? null }
const session = await runtime.create(kind, input, { idempotencyKey: project })
process.once('SIGINT', () => void session.cancel({ reason: 'interrupted' }))
console.log(`delivery ${session.id}`)
session.transitions$().subscribe(({ event }) => console.log(event.type))

const end = await session.until(({ status }) => status !== 'active')
for (const child of runtime.sessions.list({ parent: session.id }).sessions) {
  console.log(`${child.parent.child}: ${child.id}, ${child.status}`)
}
const stories = end.status === 'stopped' ? [] : await session.result()
for (const { name, ticket, end } of stories) {
  console.log(`${ticket}: ${end.type} on holdfast/${name}, ${end.error ?? `${end.summary.commits} commits`}`)
}
if (end.status === 'stopped') console.log('cancelled')
await runtime.close()
