// Claims about types, checked by `npm run types`: every line marked as an error must be one, and no other may be.
// This file is compiled, never run.

import type { Runtime, StoredState } from 'holdfast'
import { defineSession, step } from 'holdfast'
import { assign, setup } from 'xstate'
import type * as steps from './fixtures/steps/typed.js'

const machine = setup({
  types: {
    input: {} as { text: string },
    context: {} as { text: string; words: number },
    events: {} as { type: 'count' } | { type: 'rename'; text: string },
    output: {} as { words: number },
  },
  actors: { countWords: step<(typeof steps)['countWords']>('countWords') },
}).createMachine({
  context: ({ input }) => ({ text: input.text, words: 0 }),
  initial: 'idle',
  states: {
    idle: {
      on: { count: 'counting', rename: { actions: assign({ text: ({ event }) => event.text }) } },
    },
    counting: {
      invoke: {
        src: 'countWords',
        input: ({ context }) => ({ text: context.text }),
        // The output of the step is known: a number.
        onDone: { target: 'done', actions: assign({ words: ({ event }) => event.output satisfies number }) },
      },
    },
    done: { type: 'final' },
  },
  output: ({ context }) => ({ words: context.words }),
})

export const words = defineSession({
  kind: 'words',
  version: 1,
  machine,
  steps: new URL('./steps.js', import.meta.url),
  index: ({ context, value }) => ({ words: context.words, state: value }),
})

// A step that its module does not have.
// @ts-expect-error countLetters is not exported
step<(typeof steps)['countLetters']>('countLetters')

// An index over a field that the context does not have.
// @ts-expect-error there is no `letters`
defineSession({ kind: 'words', version: 1, machine, index: ({ context }) => ({ letters: context.letters }) })

export async function use(runtime: Runtime): Promise<void> {
  const session = await runtime.create(words, { text: 'one two' })
  // @ts-expect-error the input is required
  await runtime.create(words)
  // @ts-expect-error the input's text is a string
  await runtime.create(words, { text: 1 })

  await session.send({ type: 'count' })
  await session.send({ type: 'rename', text: 'three' })
  // @ts-expect-error the machine has no such event
  await session.send({ type: 'erase' })
  // @ts-expect-error a rename has a text
  await session.send({ type: 'rename' })
  // @ts-expect-error can takes the machine's events only
  session.can({ type: 'erase' })

  const snapshot = session.snapshot()
  snapshot.context.words satisfies number
  snapshot.value satisfies 'idle' | 'counting' | 'done'
  // @ts-expect-error the context has no letters
  snapshot.context.letters

  const result = await session.result()
  result.words satisfies number
  // @ts-expect-error the output has no letters
  result.letters

  const found = runtime.session(session.id, words)
  await found.send({ type: 'count' })
  session.transitions$().subscribe((transition) => transition.to satisfies 'idle' | 'counting' | 'done')
  // The type of an event tells what it holds.
  session.transitions$().subscribe(({ event }) => {
    if (event.type === 'rename') event.text satisfies string
    // @ts-expect-error a count has no text
    if (event.type === 'count') event.text
    if (event.type === 'xstate.done.actor.0.words.counting') event.output satisfies unknown
  })
}

// A step of a migration: the last gives a context that the machine of today takes; the others whatever the next one takes.
defineSession({
  kind: 'words',
  version: 3,
  machine,
  steps: '',
  migrate: {
    1: (old: StoredState<{ text: string }, 'idle'>) => ({ ...old, context: { body: old.context.text } }),
    2: (old) => ({ ...old, value: 'idle', context: { text: old.context.body, words: 0 } }),
  },
})
defineSession({
  kind: 'words',
  version: 2,
  machine,
  steps: '',
  // @ts-expect-error a number too few in the context
  migrate: {
    1: (old) => ({ ...old, context: { text: 'a' } }),
  },
})
defineSession({
  kind: 'words',
  version: 2,
  machine,
  steps: '',
  migrate: {
    // @ts-expect-error it would start from the version of today
    2: (old) => old,
  },
})
