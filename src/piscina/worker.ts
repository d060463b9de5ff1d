// The entry of a worker thread: takes one task at a time, runs its step, answers with the outcome.
// Promises: an error that nothing caught counts against the task that caused it, told by async context; one that an
// earlier task left behind never fails the task that runs now, it only has the thread replaced.
// Never decides about time: deadlines, grace and termination are the pool's.

import { AsyncLocalStorage } from 'node:async_hooks'
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { createOutbox, type Outbox } from '../step-outbox.js'
import { abortReason, envelopeOf, type LoadModule, runStep } from '../step-run.js'
import { type FromWorker, type Hello, OFFERED, type Offer, type Report, TAKEN, type ToWorker } from './talk.js'

interface Shift {
  readonly number: number
  readonly controller: AbortController
  readonly outbox: Outbox
}

/** Which shift the code that now runs belongs to, through every await, timer and callback it leaves behind. */
const shifts = new AsyncLocalStorage<number>()
let line: { readonly port: MessagePort; readonly word: Int32Array }
let current: Shift | undefined
let worn = false

/** The first call of a thread. */
export function hello({ port, word }: Hello): void {
  line = { port, word }
  port.on('message', hear)
  port.unref()
  process.on('uncaughtException', onUncaught)
}

/** Runs one step; gives nothing when the task was taken back before. */
export async function run({ shift, task, deadline }: Offer): Promise<Report | undefined> {
  if (Atomics.compareExchange(line.word, 0, OFFERED, TAKEN) !== OFFERED) return undefined
  const controller = new AbortController()
  const outbox = createOutbox({ post: (batch) => tell({ kind: 'said', shift, batch }), poll })
  current = { number: shift, controller, outbox }
  const { signal } = controller
  const outcome = await shifts.run(shift, () => runStep({ task, deadline, signal, outbox, load }))
  current = undefined
  // Node remembers a module that failed to load, so another attempt needs another thread.
  if (outcome.kind === 'failed' && outcome.error.code === 'STEP_MODULE_FAILED') worn = true
  return { outcome, said: outbox.end(), worn }
}

/** Modules that have loaded: `import` takes some turns even for a known one. Node itself never forgets one either. */
const modules = new Map<string, Record<string, unknown>>()

const load: LoadModule = async (module) => {
  const known = modules.get(module) ?? ((await import(module)) as Record<string, unknown>)
  modules.set(module, known)
  return known
}

const tell = (message: FromWorker): void => line.port.postMessage(message)

function hear(message: ToWorker): void {
  if (message.shift !== current?.number) return
  if (message.kind === 'heard') current.outbox.acknowledged()
  else current.controller.abort(abortReason(message.reason))
}

/** Reads the line without the event loop: a step that only computes still learns of its abort when it speaks. */
function poll(): void {
  for (let got = receiveMessageOnPort(line.port); got; got = receiveMessageOnPort(line.port)) hear(got.message)
}

/** Code with no known owner (a bare `queueMicrotask` has none) is taken for the running step's. */
function onUncaught(error: unknown): void {
  const owner = shifts.getStore() ?? current?.number
  if (current && owner === current.number) tell({ kind: 'crashed', shift: current.number, error: envelopeOf(error) })
  else if (!worn) tell({ kind: 'late', error: envelopeOf(error) })
  worn = true
}
