// Work that is long and could hold the event loop, as a generator: at each `yield` others may have their turn. The same work
// is run through at once by whoever has nothing else to do.

import type { Clock } from './clock.js'

/** Work that gives a `T` at its end. */
export type Turns<T> = Generator<undefined, T>

/** How long it goes on before others have their turn. */
const TURN_MS = 5

/** Does the work; others have their turn every few milliseconds. Rejects with what it throws. */
export async function inTurns<T>(work: Turns<T>, clock: Clock): Promise<T> {
  for (let began = clock.elapsed(); ; ) {
    const { done, value } = work.next()
    if (done) return value as T
    if (clock.elapsed() - began < TURN_MS) continue
    await new Promise<void>((resolve) => clock.soon(resolve))
    began = clock.elapsed()
  }
}

/** Does the work at once. */
export function atOnce<T>(work: Turns<T>): T {
  for (;;) {
    const { done, value } = work.next()
    if (done) return value as T
  }
}

/** Items in lots, with a turn after each. */
export function* lots<T>(items: Iterable<T>, take: (lot: T[]) => void, size = 64): Turns<void> {
  let lot: T[] = []
  for (const item of items) {
    if (lot.push(item) < size) continue
    take(lot)
    lot = []
    yield
  }
  take(lot)
}

/** What was found by one that also gives turns. */
export function* collected<T>(finding: Iterable<T | undefined>, into: T[]): Turns<void> {
  for (const found of finding) {
    if (found === undefined) yield
    else into.push(found)
  }
}
