// The bytes of a file as a value: writing gives a new value and leaves the old one as it was.
// It promises that versions of a file share every block in which they do not differ, and that a block is digested once,
// so thousands of versions of a long journal cost little more than one.

import { hash } from 'node:crypto'

const BLOCK_BYTES = 16 * 1024

/** Never changed once it is part of a content. Full, but for the last one of a file. */
interface Block {
  readonly bytes: Uint8Array
  digest?: string
}

export class Content {
  static readonly EMPTY: Content = new Content([], 0)

  readonly length: number
  readonly #blocks: readonly Block[]
  #digest: string | undefined

  private constructor(blocks: readonly Block[], length: number) {
    this.#blocks = blocks
    this.length = length
  }

  /** These bytes with `bytes` at `position`; a gap before them reads as zeros. */
  write(bytes: Uint8Array, position: number): Content {
    const end = position + bytes.length
    const length = Math.max(this.length, end)
    const blocks = this.#blocks.slice()
    // What lies between the old end and `position` grows too.
    const first = Math.floor(Math.min(position, this.length) / BLOCK_BYTES)
    for (let index = first, start = first * BLOCK_BYTES; start < end; index++, start += BLOCK_BYTES) {
      const block = new Uint8Array(Math.min(BLOCK_BYTES, length - start))
      const old = this.#blocks[index]
      if (old) block.set(old.bytes)
      const from = Math.max(position, start)
      if (from < start + block.length)
        block.set(bytes.subarray(from - position, start + block.length - position), from - start)
      blocks[index] = { bytes: block }
    }
    return new Content(blocks, length)
  }

  /** These bytes, followed by zeros up to `length`. */
  extend(length: number): Content {
    return length <= this.length ? this : this.write(new Uint8Array(), length)
  }

  /** Copies what stands from `position` on into `into`, and gives how much that was. */
  read(into: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(into.length, this.length - position))
    for (let done = 0; done < count; ) {
      const place = position + done
      const block = (this.#blocks[Math.floor(place / BLOCK_BYTES)] as Block).bytes
      const from = place % BLOCK_BYTES
      const part = block.subarray(from, from + count - done)
      into.set(part, done)
      done += part.length
    }
    return count
  }

  digest(): string {
    this.#digest ??= sha1(`${this.length}:${this.#blocks.map(digestOf).join()}`)
    return this.#digest
  }
}

function digestOf(block: Block): string {
  block.digest ??= sha1(block.bytes)
  return block.digest
}

export const sha1 = (data: string | Uint8Array): string => hash('sha1', data, 'base64')
