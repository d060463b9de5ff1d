// Groups against a naive list, and what a page of one costs: counted in members that are looked at.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Group } from '../src/group.js'
import { NOWHERE } from '../src/record.js'

let looks = 0

class Member {
  readonly #birth: number

  constructor(birth: number) {
    this.#birth = birth
  }

  get birth(): number {
    looks++
    return this.#birth
  }
}

const membersOf = (count: number): Member[] => Array.from({ length: count }, (_, birth) => new Member(birth))

function groupOf(members: readonly Member[]): Group<Member> {
  const group = new Group<Member>()
  for (const member of members) group.add(member)
  return group
}

/** How many looks at members it takes. */
function cost(act: () => unknown): number {
  looks = 0
  act()
  return looks
}

function page(group: Group<Member>, after: number, limit: number): Member[] {
  const found: Member[] = []
  for (const member of group.after(after)) if (found.push(member) === limit) break
  return found
}

test('members come by birth, each once, however they joined, left and came back between the lists', () => {
  const members = membersOf(40)
  const step = fc.record({ index: fc.nat(39), kind: fc.constantFrom('add', 'delete', 'list'), after: fc.nat(40) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
      const group = new Group<Member>()
      const naive = new Set<number>()
      for (const { index, kind, after } of steps) {
        const member = members[index] as Member
        if (kind === 'add' && !naive.has(index)) {
          group.add(member)
          naive.add(index)
        } else if (kind === 'delete') {
          group.delete(member)
          naive.delete(index)
        } else if (kind === 'list') {
          const expected = [...naive].filter((birth) => birth >= after).sort((a, b) => a - b)
          expect([...group.after(after - 1)].map(({ birth }) => birth)).toEqual(expected)
        }
        expect([group.size, group.has(member)]).toEqual([naive.size, naive.has(index)])
      }
    }),
    { numRuns: 200 },
  )
})

test('a page costs what it shows, not what there is, while members join at the end and leave', () => {
  const members = membersOf(20_000)
  const group = groupOf(members.slice(0, 10_000))
  page(group, NOWHERE, 1)
  for (let birth = 10_000; birth < 10_100; birth++) {
    const costs = cost(() => {
      group.add(members[birth] as Member)
      group.delete(members[birth - 5000] as Member)
      expect(page(group, 2000, 10)).toHaveLength(10)
    })
    expect(costs).toBeLessThan(40)
  }
})

test('a member that leaves and comes back time and again takes no more room', () => {
  const members = membersOf(100)
  const group = groupOf(members)
  page(group, NOWHERE, 1)
  for (let round = 0; round < 1000; round++) {
    group.delete(members[50] as Member)
    group.add(members[50] as Member)
  }
  expect(cost(() => [...group.after(NOWHERE)])).toBeLessThan(5000)
})
