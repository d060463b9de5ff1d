// Fork from the past: a session took a turn that somebody regrets. Look back, see what changed, and go on from before it,
// in a new session, while the old one stays as it is. `forkFromThePast(dir)` leaves both in a directory to look at:
//   npx holdfast history order --dir <dir>     npx holdfast diff order 2 4 --dir <dir>     npx holdfast show order --at 2
import { defineSession, openRuntime } from 'holdfast'
import { assign, setup } from 'xstate'

const machine = setup({
  types: {
    context: {} as { items: string[]; discount: number },
    events: {} as { type: 'add'; item: string } | { type: 'discount'; percent: number } | { type: 'pay' },
  },
}).createMachine({
  context: { items: [], discount: 0 },
  initial: 'open',
  states: {
    open: {
      on: {
        add: { actions: assign({ items: ({ context, event }) => [...context.items, event.item] }) },
        discount: { actions: assign({ discount: ({ event }) => event.percent }) },
        pay: 'paid',
      },
      after: { 604800000: 'expired' }, // a fork keeps the deadline
    },
    paid: { type: 'final' },
    expired: { type: 'final' },
  },
})

const order = defineSession({ kind: 'order', version: 1, machine })

export async function forkFromThePast(dir: string, say: (line: string) => void = console.log): Promise<void> {
  await using runtime = await openRuntime({ dir, kinds: [order] })
  const session = await runtime.create(order, undefined, { id: 'order' })
  await session.send({ type: 'add', item: 'lamp' })
  await session.send({ type: 'discount', percent: 90 }) // it should have been 9
  await session.send({ type: 'pay' })

  for (const { seq, event, from, to } of session.history()) say(`${seq} ${event.type}: ${from} → ${to}`)
  const { patch, value } = session.diff(2, 4)
  say(`changed since 2: ${JSON.stringify(patch)}, ${value.before} → ${value.after}`)

  const fork = await session.fork({ at: 2, id: 'order-again' })
  await fork.send({ type: 'discount', percent: 9 })
  await fork.send({ type: 'pay' })
  say(`${session.id}: ${session.snapshot().context.discount}%, ${fork.id}: ${fork.snapshot().context.discount}%`)

  const [found] = runtime.sessions.list({ origin: session.id }).sessions
  say(`${found?.id} was forked from ${found?.origin?.session} at ${found?.origin?.seq}`)
}
