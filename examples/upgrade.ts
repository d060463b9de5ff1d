// An upgrade: sessions of version 1 go on as version 2. `deploy(dir)` is what a deploy does: it asks `verify` first, which
// reads the directory and changes nothing, and opens it only when every session would be taken over. The migration says
// what becomes of a state that has another name, and of a context that has one part more.
import { defineSession, openRuntime, type StoredState, verify } from 'holdfast'
import { assign, setup } from 'xstate'

const first = defineSession({
  kind: 'ticket',
  version: 1,
  machine: setup({
    types: { context: {} as { notes: string[] }, events: {} as { type: 'note'; text: string } | { type: 'close' } },
  }).createMachine({
    context: { notes: [] },
    initial: 'new',
    states: {
      new: {
        on: {
          note: { actions: assign({ notes: ({ context, event }) => [...context.notes, event.text] }) },
          close: 'closed',
        },
      },
      closed: { type: 'final' },
    },
  }),
})

/** Version 2: `new` is called `open`, there is a priority, and who waits for a day is seen to. */
const machine = setup({
  types: {
    context: {} as { notes: string[]; priority: 'normal' | 'high' },
    events: {} as { type: 'note'; text: string } | { type: 'close' },
  },
}).createMachine({
  context: { notes: [], priority: 'normal' },
  initial: 'open',
  states: {
    open: {
      after: { 86400000: 'overdue' }, // of a session that is migrated it begins now
      on: {
        note: { actions: assign({ notes: ({ context, event }) => [...context.notes, event.text] }) },
        close: 'closed',
      },
    },
    overdue: { on: { close: 'closed' } },
    closed: { type: 'final' },
  },
})

const second = defineSession({
  kind: 'ticket',
  version: 2,
  machine,
  index: ({ context }) => ({ priority: context.priority }),
  migrate: {
    1: ({ value, context }: StoredState<{ notes: string[] }, 'new'>) => ({
      value: value === 'new' ? 'open' : value,
      context: { ...context, priority: context.notes.includes('urgent') ? ('high' as const) : ('normal' as const) },
    }),
  },
})

type Say = (line: string) => void

/** Some work with version 1. */
export async function work(dir: string): Promise<void> {
  await using runtime = await openRuntime({ dir, kinds: [first] })
  for (const [id, text] of Object.entries({ lamp: 'flickers', door: 'urgent' })) {
    const ticket = await runtime.create(first, undefined, { id })
    await ticket.send({ type: 'note', text })
  }
}

export async function deploy(dir: string, say: Say = console.log): Promise<void> {
  const forgotten = defineSession({ kind: 'ticket', version: 2, machine })
  for (const { session, code } of (await verify({ dir, kinds: [forgotten] })).unfit) say(`${session}: ${code}`)

  const { migrations, unfit } = await verify({ dir, kinds: [second] })
  say(`${migrations} to be migrated, ${unfit.length} that would not be`)

  await using runtime = await openRuntime({ dir, kinds: [second] })
  for (const { id, value } of runtime.sessions.list({ where: { priority: 'high' } }).sessions) say(`${id} is ${value}`)
  const { context } = runtime.session('door', second).snapshot()
  say(JSON.stringify(context))
  say([...runtime.session('door').history()].map(({ event }) => event.type).join(', '))
}
