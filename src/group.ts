// The sessions that have something in common: which they are, and, once somebody lists them, in which order they began.
// A page costs what it shows, not what there is. The order is kept only for groups that are listed; it is mended when
// somebody asks again, and holds no more than twice what the group does.

import type { Position } from './record.js'

interface Member {
  readonly birth: Position
}

/** Which members there are: a Set of its own, or a collection that its owner keeps anyway. */
interface Members<T> extends Iterable<T> {
  readonly size: number
  has(member: T): boolean
  add(member: T): unknown
  delete(member: T): unknown
}

/** What an order may hold of members that have left, beside as many as are there. */
const LEFT = 64

export class Group<T extends Member> {
  readonly #members: Members<T>
  /** By birth, up to what was added since; those that have left may still be in it, those that came back twice. */
  #order: T[] | undefined
  #sorted = false

  constructor(members: Members<T> = new Set()) {
    this.#members = members
  }

  get size(): number {
    return this.#members.size
  }

  has(member: T): boolean {
    return this.#members.has(member)
  }

  add(member: T): void {
    this.#members.add(member)
    if (!this.#order) return
    const last = this.#order.at(-1)
    if (last && last.birth >= member.birth) this.#sorted = false
    this.#order.push(member)
    this.#bound()
  }

  delete(member: T): void {
    this.#members.delete(member)
    this.#bound()
  }

  /** The members that began after a position, oldest first. */
  *after(position: Position): Generator<T> {
    const order = this.#inOrder()
    let before: T | undefined
    for (let index = firstAfter(order, position); index < order.length; index++) {
      const member = order[index] as T
      if (member !== before && this.#members.has(member)) yield member
      before = member
    }
  }

  #inOrder(): readonly T[] {
    this.#order ??= [...this.#members]
    if (!this.#sorted) this.#order.sort((a, b) => a.birth - b.birth)
    this.#sorted = true
    return this.#order
  }

  #bound(): void {
    if (!this.#order || this.#order.length <= 2 * this.#members.size + LEFT) return
    this.#order = undefined
    this.#sorted = false
  }
}

/** Groups of members that have the same value of something: of their kind, or of an attribute. */
export class Groups<T extends Member> {
  readonly #groups: Map<string, Map<unknown, Group<T>>> = new Map()

  get(name: string, value: unknown): Group<T> | undefined {
    return this.#groups.get(name)?.get(value)
  }

  join(name: string, value: unknown, member: T): void {
    let groups = this.#groups.get(name)
    if (!groups) {
      groups = new Map()
      this.#groups.set(name, groups)
    }
    let group = groups.get(value)
    if (!group) {
      group = new Group()
      groups.set(value, group)
    }
    group.add(member)
  }

  leave(name: string, value: unknown, member: T): void {
    const groups = this.#groups.get(name)
    const group = groups?.get(value)
    group?.delete(member)
    if (group?.size === 0) groups?.delete(value)
    if (groups?.size === 0) this.#groups.delete(name)
  }
}

function firstAfter(members: readonly Member[], position: Position): number {
  let low = 0
  let high = members.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((members[middle] as Member).birth > position) high = middle
    else low = middle + 1
  }
  return low
}
