// Room that is written already, with zeros, ahead of small batches: it makes a sync cheaper, since the file's length does not
// change and the file system has nothing to commit but the data. A large batch pays for its own growth. That there is no
// room to spare is no failure.

import { writeAllSync } from '../disk.js'
import type { Batch } from './batch.js'
import type { Segment } from './segments.js'

export class ReservedRoom {
  /** How much is reserved at a time; 0: none. */
  #bytes: number
  /** How far the segment's room is reserved, as an offset in its file. */
  #reserved: { readonly segment: number; end: number } = { segment: 0, end: 0 }

  constructor(bytes: number) {
    this.#bytes = bytes
  }

  /** Reserves room behind a batch that is about to be written, if it leaves the reserved part. */
  reserve(segment: Segment, { end: position, lines }: Pick<Batch, 'end' | 'lines'>): void {
    const end = position - segment.base
    if (this.#reserved.segment !== segment.number) this.#reserved = { segment: segment.number, end: 0 }
    if (end <= this.#reserved.end || lines.length > this.#bytes / 16) return
    try {
      writeAllSync(segment.file, new Uint8Array(this.#bytes), end)
      this.#reserved.end = end + this.#bytes
    } catch {
      this.#bytes = 0 // The batch itself may still find its place.
    }
  }
}
