// The last bytes of a stream, encoded once for all who follow it: a frame costs one encoding, however many read it.
// It keeps at most its limit (and the newest frame, if that alone is larger), in blocks that are written once, so that a
// part of one can be handed to any number of sockets without a copy. It knows nobody who reads.

const BLOCK_BYTES = 64 * 1024

interface Block {
  /** The place of its first byte in the whole stream. */
  readonly start: number
  readonly bytes: Uint8Array
  used: number
  /** Of its numbered frames, and where each begins. */
  readonly numbers: number[]
  readonly places: number[]
}

export interface NumberedFrame {
  readonly frame: string
  readonly number: number
}

/** Whole frames, to be sent as they are. */
export interface Piece {
  readonly bytes: Uint8Array
  /** The number of its last numbered frame, if it has one. */
  readonly last: number | undefined
}

export class Tail {
  readonly #limit: number
  readonly #encoder = new TextEncoder()
  #blocks: Block[] = []
  /** Every numbered frame behind this number is here; undefined before that is known. */
  #since: number | undefined
  #end = 0

  /** `since`: the number after which the frames that are appended follow, if that is known. */
  constructor(limitBytes: number, since?: number) {
    this.#limit = limitBytes
    this.#since = since
  }

  /** Where the next frame will begin. */
  get end(): number {
    return this.#end
  }

  /** Where the oldest frame that is kept begins. */
  get start(): number {
    return this.#blocks[0]?.start ?? this.#end
  }

  /** Numbers grow from frame to frame; a frame without one belongs to no number. */
  append(frame: string, number?: number): void {
    const block = this.#room(frame)
    if (number !== undefined) {
      this.#since ??= number - 1
      block.numbers.push(number)
      block.places.push(this.#end)
    }
    const { written } = this.#encoder.encodeInto(frame, block.bytes.subarray(block.used))
    block.used += written
    this.#end += written
    while (this.#blocks.length > 1 && this.#end - this.start > this.#limit) this.#evict()
  }

  /** Every numbered frame behind this number is here, or will be. */
  get since(): number | undefined {
    return this.#since
  }

  /** How many bytes may be put before the oldest frame, so that whoever begins there has half of the limit left to read on. */
  get room(): number {
    return this.#limit / 2 - (this.#end - this.start)
  }

  /** Puts frames before the oldest: all that there are behind `since`, up to where it began. */
  prepend(frames: readonly NumberedFrame[], since: number): void {
    const pieces = frames.map(({ frame }) => this.#encoder.encode(frame))
    const blocks: Block[] = []
    let left = pieces.reduce((sum, { length }) => sum + length, 0)
    let place = this.start - left
    for (const [index, piece] of pieces.entries()) {
      let block = blocks.at(-1)
      if (!block || block.bytes.length - block.used < piece.length) {
        const bytes = new Uint8Array(Math.max(Math.min(BLOCK_BYTES, left), piece.length))
        block = { start: place, bytes, used: 0, numbers: [], places: [] }
        blocks.push(block)
      }
      block.bytes.set(piece, block.used)
      block.used += piece.length
      block.numbers.push((frames[index] as NumberedFrame).number)
      block.places.push(place)
      place += piece.length
      left -= piece.length
    }
    this.#blocks.unshift(...blocks)
    this.#since = since
  }

  /** True when older frames may go for this one. */
  wouldEvict(frame: string): boolean {
    return this.#end - this.start + frame.length * 3 > this.#limit
  }

  /** Where the first numbered frame behind `number` begins, or will; undefined when some before it may not be here. */
  placeAfter(number: number): number | undefined {
    if (this.#since === undefined || number < this.#since) return undefined
    const block = this.#blocks.find(({ numbers }) => (numbers.at(-1) ?? Number.NEGATIVE_INFINITY) > number)
    if (!block) return this.#end
    let [low, high] = [0, block.numbers.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((block.numbers[middle] as number) > number) high = middle
      else low = middle + 1
    }
    return block.places[low]
  }

  /** The frames from a place on, as far as they stand together; undefined when there are none yet. */
  from(place: number): Piece | undefined {
    if (place >= this.#end) return undefined
    const block = this.#blocks.findLast(({ start }) => start <= place) as Block
    return { bytes: block.bytes.subarray(place - block.start, block.used), last: block.numbers.at(-1) }
  }

  /** A block with room for a frame: at most three bytes a UTF-16 unit. */
  #room(frame: string): Block {
    const most = frame.length * 3
    const newest = this.#blocks.at(-1)
    if (newest && newest.bytes.length - newest.used >= most) return newest
    const bytes = new Uint8Array(Math.max(BLOCK_BYTES, most))
    const block: Block = { start: this.#end, bytes, used: 0, numbers: [], places: [] }
    this.#blocks.push(block)
    return block
  }

  #evict(): void {
    const { numbers } = this.#blocks.shift() as Block
    this.#since = numbers.at(-1) ?? this.#since
  }
}
