// Chance that a test can repeat: the same seed gives the same numbers and the same ids.
// Ids sort by creation, and drawing one does not change the numbers that follow.
// Never use it for anything that must not be guessed.

import type { Chance } from '../chance.js'

/** Ids of one source keep their order up to this many. */
const COUNTER_DIGITS = 10

/** Seeded chance; the seed is taken as a 32-bit integer. */
export function createSeededChance(seed: number): Chance {
  const random = mulberry32(seed)
  const suffix = mulberry32(seed ^ 0x5bd1e995)
  const secrets = mulberry32(seed ^ 0x2545f491)
  let count = 0
  return {
    id: () => `${String(++count).padStart(COUNTER_DIGITS, '0')}-${hex(suffix())}`,
    secret: () => Buffer.from(Array.from({ length: 8 }, () => hex(secrets())).join(''), 'hex').toString('base64url'),
    random,
  }
}

const hex = (fraction: number): string =>
  Math.floor(fraction * 2 ** 32)
    .toString(16)
    .padStart(8, '0')

/**
 * Mulberry32 by Tommy Ettinger (2017), public domain:
 * https://gist.github.com/tommyettinger/46a874533244883189143505d203312c
 * It passes gjrand and repeats after 2^32 numbers: ample for tests.
 */
function mulberry32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
