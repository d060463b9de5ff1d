// The contract of the Chance port, run over every adapter.

import { describe, expect, test } from 'vitest'
import type { Chance } from '../../src/chance.js'

const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/

export function chanceContract(name: string, create: () => Chance): void {
  describe(`the chance contract: ${name}`, () => {
    test('an id is one that files and addresses can carry', () => {
      const chance = create()
      for (let drawn = 0; drawn < 1000; drawn++) expect(chance.id()).toMatch(ID)
    })

    test('ids are unique and sort as they were made', () => {
      const chance = create()
      const ids = Array.from({ length: 10_000 }, () => chance.id())
      expect(new Set(ids).size).toBe(ids.length)
      expect([...ids].sort()).toEqual(ids)
    })

    test('a secret is 256 bits, another each time, and drawing one changes no id and no number that follows', () => {
      const chance = create()
      const secrets = Array.from({ length: 1000 }, () => chance.secret())
      for (const secret of secrets) {
        expect(secret).toMatch(/^[A-Za-z0-9_-]{43}$/)
        expect(Buffer.from(secret, 'base64url')).toHaveLength(32)
      }
      expect(new Set(secrets).size).toBe(secrets.length)
      expect(chance.id()).toMatch(ID)
      expect(chance.random()).toBeLessThan(1)
    })

    test('random numbers lie in [0, 1) and spread over it', () => {
      const chance = create()
      const tenths = new Array<number>(10).fill(0)
      for (let drawn = 0; drawn < 10_000; drawn++) {
        const number = chance.random()
        expect(number >= 0 && number < 1).toBe(true)
        tenths[Math.floor(number * 10)]! += 1
      }
      for (const count of tenths) expect(count).toBeGreaterThan(800)
    })
  })
}
