// One flipped bit is found by its checksum, wherever it is; more than one is not taken for one.
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sessionsIn } from '../src/files/segment.js'
import { turnedBack } from '../src/flipped.js'
import { property } from './property.js'

const flip = (bytes: Uint8Array, bit: number): Uint8Array => {
  const other = new Uint8Array(bytes)
  other[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
  return other
}

property([fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(2 ** 32 - 1), fc.nat()])(
  'any one bit of any bytes, whatever checksum they continue, is turned back',
  (bytes, seed, at) => {
    const checksum = crc32(bytes, seed)
    expect(turnedBack(flip(bytes, at % (bytes.length * 8)), seed, checksum)).toEqual(bytes)
  },
)

property([fc.uint8Array({ minLength: 2, maxLength: 300 }), fc.nat(), fc.nat()])(
  'two bits are not',
  (bytes, at, other) => {
    const [one, two] = [at % (bytes.length * 8), other % (bytes.length * 8)]
    fc.pre(one !== two)
    expect(turnedBack(flip(flip(bytes, one), two), 0, crc32(bytes))).toBeUndefined()
  },
)

test('of a line that a torn write has left shorter than its two checksums, no session is made out', () => {
  const line = Buffer.from('0a1b2c3d 4e5f6071 {')
  for (let length = 0; length < line.length; length++) expect(sessionsIn(line.subarray(0, length))).toEqual([])
})
