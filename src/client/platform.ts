// What the client takes from where it runs, a browser or Node: time, chance and a console, by names that both have.

import type { Clock } from '../clock.js'
import { LONGEST_TIMER_MS } from '../clock.js'

/** The clock port over what every platform has. */
export const platformClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  setTimeout(run, ms) {
    const timer = setTimeout(run, Math.min(Math.max(ms, 0), LONGEST_TIMER_MS))
    return () => clearTimeout(timer)
  },
  soon(run) {
    setTimeout(run, 0)
  },
}

/** A key that nobody else makes: 128 bits. Browsers have `randomUUID` on pages of https and of this machine only. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Where an error goes that nobody asked to hear. */
export const tellConsole = (error: unknown): void => console.error('an observer failed:', error)
