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

const passed = (change: number): number => ((TABLE[change & 0xff] as number) ^ (change >>> 8)) >>> 0

/** `bytes` with one bit turned, so that their CRC-32, continued from `seed`, is `checksum`; undefined when none does that. */
export function turnedBack(bytes: Uint8Array, seed: number, checksum: number): Uint8Array | undefined {
  const change = (crc32(bytes, seed) ^ checksum) >>> 0
  // What turning each bit of one byte changes, from the last byte on.
  const changes = Array.from({ length: 8 }, (_, bit) => passed(1 << bit))
  for (let offset = bytes.length - 1; offset >= 0; offset--) {
    const bit = changes.indexOf(change)
    if (bit >= 0) {
      const turned = new Uint8Array(bytes)
      turned[offset] = (bytes[offset] as number) ^ (1 << bit)
      return turned
    }
    for (let index = 0; index < 8; index++) changes[index] = passed(changes[index] as number)
  }
  return undefined
}
