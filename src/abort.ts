// Waiting that can be given up.

import { HoldfastError } from './errors.js'

/** The promise, unless the signal aborts first. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const abort = (): void =>
      reject(
        new HoldfastError('ABORTED', 'the call was given up; what was sent may still happen', { cause: signal.reason }),
      )
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
