// Ctrl-C and its kin: the first asks to stop in order, the second stops at once (all that was done is on disk anyway).

import { CommandError } from './failure.js'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

const INTERRUPTED_EXIT_CODE = 130

export interface Interrupts extends Disposable {
  /** Aborts at the first signal. */
  readonly signal: AbortSignal
}

/** Listens until disposed; `onFirst` tells that the command is stopping. */
export function listenForInterrupts(onFirst: () => void): Interrupts {
  const controller = new AbortController()
  const hear = (): void => {
    if (controller.signal.aborted) process.exit(INTERRUPTED_EXIT_CODE)
    controller.abort()
    onFirst()
  }
  for (const name of SIGNALS) process.on(name, hear)
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const name of SIGNALS) process.off(name, hear)
    },
  }
}

/** What an interrupted command fails with. */
export const interrupted = (hint: string): CommandError =>
  new CommandError('INTERRUPTED', INTERRUPTED_EXIT_CODE, 'interrupted; everything done so far is on disk', hint)
