// A UUID that is the same whenever it is derived from the same text: what is made under it is made once. Pure.

import { createHash } from 'node:crypto'

/** In the format of version 4, as trackers ask for. */
export function uuidOf(text: string): string {
  const hash = createHash('sha256').update(text).digest()
  hash[6] = ((hash[6] as number) & 0x0f) | 0x40
  hash[8] = ((hash[8] as number) & 0x3f) | 0x80
  const hex = hash.toString('hex', 0, 16)
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
