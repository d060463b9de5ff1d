// A session of one's own: a machine, a step in a worker thread, and what survives when the process does not.
//   node examples/own-session.js        run it, stop it with Ctrl-C or kill -9 at any moment, run it again: it goes on
import { defineSession, openRuntime, step } from 'holdfast'
import { assign, setup } from 'xstate'

const machine = setup({ actors: { count: step('countWords', { attempts: 3 }) } }).createMachine({
  id: 'reading',
  context: ({ input }) => ({ texts: input.texts, words: [] }),
  initial: 'reading',
  states: {
    reading: {
      always: { guard: ({ context }) => context.words.length === context.texts.length, target: 'done' },
      invoke: {
        src: 'count',
        input: ({ context }) => ({ text: context.texts[context.words.length] ?? '' }),
        onDone: {
          target: 'reading',
          reenter: true,
          actions: assign({ words: ({ context, event }) => [...context.words, event.output] }),
        },
      },
    },
    done: { type: 'final' },
  },
  output: ({ context }) => context.words,
})

const reading = defineSession({
  kind: 'reading',
  version: 1,
  machine,
  steps: new URL('./own-session.steps.js', import.meta.url),
})

const runtime = await openRuntime({ dir: process.env.HOLDFAST_DIR ?? '.holdfast', kinds: [reading] })
const texts = ['to be or not to be', 'call me Ishmael', 'it was the best of times']
const session = await runtime.create(reading, { texts }, { idempotencyKey: 'the only one' })
session.transitions$({ from: 1 }).subscribe(({ seq, event }) => console.log(seq, event.type))
console.log('words:', await session.result())
await runtime.close()
