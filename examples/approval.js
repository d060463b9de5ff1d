// An approval that survives restarts: ask in one process, answer in another, days later if need be.
//   node examples/approval.js ask "A new laptop"      prints the session's id and ends
//   node examples/approval.js approve <id>            or: reject
import { defineSession, openRuntime } from 'holdfast'
import { assign, setup } from 'xstate'

const machine = setup({}).createMachine({
  id: 'approval',
  context: ({ input }) => ({ what: input.what, by: null }),
  initial: 'waiting',
  states: {
    waiting: {
      // A durable deadline: it comes at its time, or at once when the runtime is opened after it.
      after: { [7 * 24 * 3600 * 1000]: 'expired' },
      on: {
        approve: { target: 'approved', actions: assign({ by: ({ event }) => event.by }) },
        reject: 'rejected',
      },
    },
    approved: { type: 'final' },
    rejected: { type: 'final' },
    expired: { type: 'final' },
  },
})

const approval = defineSession({
  kind: 'approval',
  version: 1,
  machine,
  index: ({ context, value }) => ({ what: context.what, state: value }),
})

const [verb = 'list', argument] = process.argv.slice(2)
const runtime = await openRuntime({ dir: process.env.HOLDFAST_DIR ?? '.holdfast', kinds: [approval] })

try {
  if (verb === 'ask') {
    const session = await runtime.create(approval, { what: argument ?? 'something' })
    console.log(session.id)
  } else if (verb === 'list') {
    for (const { id, attributes } of runtime.sessions.list({ kind: 'approval' }).sessions) console.log(id, attributes)
  } else {
    const session = runtime.session(argument, approval)
    const { to } = await session.send({ type: verb, by: process.env.USER ?? 'somebody' })
    console.log(`${session.snapshot().context.what}: ${to}`)
  }
} finally {
  await runtime.close()
}
