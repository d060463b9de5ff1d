// Waiting that can be given up.

import { HoldfastError } from './errors.js'

/** The promise, unless the signal aborts first. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(aborted(signal, 'the call was given up; what was sent may still happen'))
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
  })
}

/** Throws ABORTED when the signal has been aborted already: then nothing has been sent. */
export function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(signal, 'the call was given up before it was made; nothing was sent')
}

const aborted = (signal: AbortSignal, message: string): HoldfastError =>
  new HoldfastError('ABORTED', message, { cause: signal.reason })
