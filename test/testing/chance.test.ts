// Seeded chance: the contract, and that a seed repeats.

import { expect, test } from 'vitest'
import { createSeededChance } from '../../src/testing/chance.js'
import { chanceContract } from '../contract/chance.js'

chanceContract('seeded', () => createSeededChance(42))

const draw = (seed: number, ids = 0): number[] => {
  const chance = createSeededChance(seed)
  return Array.from({ length: 100 }, () => {
    for (let drawn = 0; drawn < ids; drawn++) chance.id()
    return chance.random()
  })
}

test('the same seed gives the same numbers and ids, another seed others', () => {
  const [one, same, other] = [1, 1, 2].map(createSeededChance)
  expect(one!.id()).toBe(same!.id())
  expect(one!.id()).not.toBe(other!.id())
  expect(draw(7)).toEqual(draw(7))
  expect(draw(7)).not.toEqual(draw(8))
})

test('drawing ids does not change the numbers', () => {
  expect(draw(7, 3)).toEqual(draw(7))
})

test('the numbers are those of Mulberry32', () => {
  const chance = createSeededChance(0)
  expect([chance.random(), chance.random(), chance.random()]).toEqual([
    0.26642920868471265, 0.0003297457005828619, 0.2232720274478197,
  ])
})
