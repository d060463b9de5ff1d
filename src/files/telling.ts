// Who is told that a record is durable: everybody in the order of the records, of a large batch some at a time, so that
// others have their turn in between. What who is told does then, the next batch collects.

import type { Clock } from '../clock.js'
import { Fifo } from '../fifo.js'
import type { Position } from '../record.js'
import type { Batch } from './batch.js'

/** Who is still to be told of a batch: those from `next` on, the first of whom has its record at `position`. */
interface Told extends Pick<Batch, 'waiters' | 'sizes'> {
  next: number
  position: Position
}

/** So many are told at once; what they do then is done before the event loop turns, and others have a turn before the rest. */
const TOLD_AT_ONCE = 128

export class Telling {
  readonly #clock: Clock
  readonly #done: () => void
  /** Batches that are durable, whose waiters have not all been told. */
  readonly #told: Fifo<Told> = new Fifo()

  /** `done` is called when all have been told of all that was durable. */
  constructor(clock: Clock, done: () => void) {
    this.#clock = clock
    this.#done = done
  }

  /** Somebody is still to be told. */
  get underWay(): boolean {
    return this.#told.size > 0
  }

  /** Where the first record is that somebody is still to be told of. */
  get position(): Position | undefined {
    return this.#told.peek()?.position
  }

  /** Tells those who wait for a batch, behind those who are still to be told of one before. */
  tell({ waiters, sizes, start }: Batch): void {
    const first = this.#told.size === 0
    this.#told.push({ waiters, sizes, next: 0, position: start })
    if (first) this.#tellSome()
  }

  /** Everybody at once: whoever flushes, or fails what came after, finds nobody waiting for what is durable. */
  tellAll(): void {
    for (let told = this.#told.peek(); told; told = this.#told.peek()) this.#tellUpTo(told, told.waiters.length)
  }

  #tellSome(): void {
    const told = this.#told.peek()
    if (told) this.#tellUpTo(told, Math.min(told.next + TOLD_AT_ONCE, told.waiters.length))
    if (this.#told.size > 0) this.#clock.soon(() => this.#tellSome())
    else this.#done()
  }

  #tellUpTo(told: Told, end: number): void {
    while (told.next < end) {
      const { next, position } = told
      const size = told.sizes[next] as number
      told.next++
      told.position += size
      if (told.next === told.waiters.length) this.#told.shift()
      told.waiters[next]?.durable(position, size)
    }
  }
}
