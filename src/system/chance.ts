// The chance port over the system: UUIDs of version 7, which sort by time of creation, and Math.random.
// Ids made within one process sort strictly; those of several processes by millisecond.

import { randomBytes } from 'node:crypto'
import { uuidv7 } from 'uuidv7'
import type { Chance } from '../chance.js'

export const systemChance: Chance = {
  id: () => uuidv7(),
  secret: () => randomBytes(32).toString('base64url'),
  random: () => Math.random(),
}
