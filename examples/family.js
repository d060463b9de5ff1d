// A parent with three children: each child is a session of its own, found as `parent`'s, and all end as one tree.
//   node examples/family.js
import { defineSession, openRuntime } from 'holdfast'
import { assign, sendParent, sendTo, setup } from 'xstate'

/** Buys what it is told to, tells its parent the price, and ends when it is told to go home. */
const shopper = setup({}).createMachine({
  context: ({ input }) => ({ name: input.name, spent: 0 }),
  initial: 'shopping',
  states: {
    shopping: {
      on: {
        buy: {
          actions: [
            assign({ spent: ({ context, event }) => context.spent + event.price }),
            sendParent(({ context, event }) => ({ type: 'bought', by: context.name, what: event.what })),
          ],
        },
        home: 'home',
      },
    },
    home: { type: 'final' },
  },
  output: ({ context }) => context.spent,
})

const names = ['ada', 'ben', 'cleo']

const family = setup({ actors: { shopper } }).createMachine({
  context: { basket: [], spent: 0 },
  type: 'parallel',
  states: Object.fromEntries(
    names.map((name) => [
      name,
      {
        initial: 'out',
        states: {
          out: {
            invoke: {
              id: name,
              src: 'shopper',
              input: { name },
              onDone: {
                target: 'home',
                actions: assign({ spent: ({ context, event }) => context.spent + event.output }),
              },
            },
          },
          home: { type: 'final' },
        },
      },
    ]),
  ),
  on: {
    order: {
      actions: sendTo(
        ({ event }) => event.from,
        ({ event }) => ({ ...event, type: 'buy' }),
      ),
    },
    bought: { actions: assign({ basket: ({ context, event }) => [...context.basket, `${event.what} (${event.by})`] }) },
    'call home': { actions: names.map((name) => sendTo(name, { type: 'home' })) },
  },
  output: ({ context }) => context,
})

const kind = defineSession({ kind: 'family', version: 1, machine: family })
const runtime = await openRuntime({ dir: process.env.HOLDFAST_DIR ?? '.holdfast', kinds: [kind] })
const session = await runtime.create(kind)
await session.send({ type: 'order', from: 'ada', what: 'bread', price: 3 })
await session.send({ type: 'order', from: 'ben', what: 'milk', price: 2 })
await session.send({ type: 'order', from: 'cleo', what: 'cheese', price: 7 })
await session.until(({ context }) => context.basket.length === 3)
await session.send({ type: 'call home' })
const { basket, spent } = await session.result()
console.log(basket.toSorted().join(', '), '=', spent)
for (const child of runtime.sessions.list({ parent: session.id }).sessions) {
  console.log(`${child.parent.child}: ${child.kind}, ${child.status}`)
}
await runtime.close()
