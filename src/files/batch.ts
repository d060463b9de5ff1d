// A batch: lines that are written and synced together, and who waits for each of them. It collects; when it is written, and
// what becomes of who waits, is the journal's business.

import type { Waiter } from '../journal.js'
import type { Position } from '../record.js'
import type { Lines } from './segment.js'

export class Batch {
  readonly start: Position
  /** In a new segment if set. */
  readonly segment: number | undefined
  readonly lines: Lines
  /** The checksum that its first line continues. */
  readonly chain: number
  readonly waiters: Waiter[] = []
  /** How many bytes each record takes. */
  readonly sizes: number[] = []
  /** What each of its records says first. */
  readonly #head: string

  constructor(start: Position, segment: number | undefined, lines: Lines, chain: number) {
    this.start = start
    this.segment = segment
    this.lines = lines
    this.chain = chain
    this.#head = `{"batch":${start},`
  }

  /** Where it ends, as far as it has come. */
  get end(): Position {
    return this.start + this.lines.length
  }

  /** Takes in the JSON of a record; gives where that will be. */
  add(json: string, waiter: Waiter): Position {
    const { end } = this
    this.sizes.push(this.lines.add(json, this.#head))
    this.waiters.push(waiter)
    return end
  }
}
