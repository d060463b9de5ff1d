// Finds the one bit that must be turned for bytes to have their checksum again: what a single flipped bit hid can be told.
// It promises to give what was written when exactly one bit of it is other now, since no two bits change a CRC-32 alike; of
// bytes in which more is wrong it gives undefined, but for one time in billions. It is for naming what is lost, never for reading on.

import { crc32 } from 'node:zlib'

/** How a change of the low byte of a CRC-32 passes through the next byte. */
const TABLE: Uint32Array = Uint32Array.from({ length: 256 }, (_, value) => {
  let rest = value
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1
  return rest
})

/** The low byte whose change came to a change with this high byte: there is one for each. */
const LOW: Uint8Array = new Uint8Array(256)
for (const [low, change] of TABLE.entries()) LOW[change >>> 24] = low

/** `bytes` with one bit turned, so that their CRC-32, continued from `seed`, is `checksum`; undefined when none does that. */
export function turnedBack(bytes: Uint8Array, seed: number, checksum: number): Uint8Array | undefined {
  // From the last byte back: what the change was behind this one, and which change of its bits that can only come of.
  let change = (crc32(bytes, seed) ^ checksum) >>> 0
  if (change === 0) return undefined
  for (let offset = bytes.length - 1; offset >= 0; offset--) {
    const low = LOW[change >>> 24] as number
    const before = change ^ (TABLE[low] as number)
    if (before === 0 && (low & (low - 1)) === 0) {
      const turned = new Uint8Array(bytes)
      turned[offset] = (bytes[offset] as number) ^ low
      return turned
    }
    change = ((before << 8) | low) >>> 0
  }
  return undefined
}
