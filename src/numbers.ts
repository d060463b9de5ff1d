// Numbers that a caller sets, checked where they come in: one out of its range would be found out much later, or never.

import { LONGEST_TIMER_MS } from './clock.js'
import { HoldfastError } from './errors.js'

/** Throws INVALID_ARGUMENT unless `value` is a whole number of at least `least`. */
export function requireWhole(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return
  const bound = least > 0 ? ` of at least ${least}` : ''
  throw new HoldfastError('INVALID_ARGUMENT', `${name} must be a whole number${bound}, not ${shown(value)}`)
}

/** Throws INVALID_ARGUMENT unless a clock can wait for `value`. */
export function requireMs(name: string, value: number): void {
  if (Number.isFinite(value) && value >= 0 && value <= LONGEST_TIMER_MS) return
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `${name} must be from 0 to ${LONGEST_TIMER_MS} ms (24.8 days), not ${shown(value)}`,
  )
}

/** Throws INVALID_ARGUMENT unless `value` is a number of bytes; Infinity is one: without a limit. */
export function requireBytes(name: string, value: number): void {
  if (typeof value === 'number' && value >= 0) return
  throw new HoldfastError('INVALID_ARGUMENT', `${name} must be a number of at least 0, not ${shown(value)}`)
}

/** A text that looks like a number is told as a text. */
const shown = (value: unknown): string => (typeof value === 'string' ? JSON.stringify(value) : String(value))
