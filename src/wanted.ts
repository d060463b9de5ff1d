// What somebody waits for or asks after: a state, a tag, or what a function says; in this process, over HTTP or in what is
// stored. Pure, and without XState: whoever has only a snapshot can ask it.

import { HoldfastError } from './errors.js'
import type { SessionSnapshot, Wanted } from './handle.js'
import type { StateValue } from './state.js'

/** What is waited for, as a question to a snapshot. */
export function testOf(wanted: Wanted): (snapshot: SessionSnapshot) => boolean {
  if (typeof wanted === 'function') return (snapshot) => answered(wanted(snapshot))
  if (isTag(wanted)) return ({ tags }) => tags.includes(wanted.tag)
  return ({ value }) => isIn(value, wanted)
}

/** As XState's `matches`: `a`, `a.b` and `{ a: 'b' }` name states, with whatever is inside them. */
export function isIn(value: StateValue, wanted: StateValue): boolean {
  const names = nested(wanted)
  if (typeof value === 'string') return names === value
  if (typeof names === 'string') return Object.hasOwn(value, names)
  return Object.entries(names).every(([name, inner]) => Object.hasOwn(value, name) && isIn(value[name] ?? {}, inner))
}

/** As much of a state node as is read here. */
interface Node {
  readonly states: { readonly [name: string]: Node }
}

/** Throws INVALID_ARGUMENT for a state that the machine does not have: to wait for it would be to wait for ever. */
export function admitWanted(wanted: Wanted, root: Node): void {
  if (typeof wanted === 'function' || isTag(wanted) || has(root, nested(wanted))) return
  const names = Object.keys(root.states)
  const known = names.length > 0 ? `it has ${names.join(', ')}` : 'it has none'
  throw new HoldfastError('INVALID_ARGUMENT', `the machine has no state ${told(wanted)}; ${known}`)
}

function has({ states }: Node, wanted: StateValue): boolean {
  const inner = typeof wanted === 'string' ? { [wanted]: {} } : wanted
  return Object.entries(inner).every(([name, below]) => {
    const node = Object.hasOwn(states, name) ? states[name] : undefined
    return node !== undefined && has(node, below)
  })
}

/** For who has waited long enough. */
export function notInTime(id: string, wanted: Wanted, timeoutMs: number, value?: StateValue): HoldfastError {
  const where = value === undefined ? '' : `; it is in ${JSON.stringify(value)}`
  return new HoldfastError('TIMEOUT', `session ${id} did not come to ${told(wanted)} within ${timeoutMs} ms${where}`)
}

function told(wanted: Wanted): string {
  if (typeof wanted === 'function') return 'what was asked for'
  return isTag(wanted) ? `a state tagged "${wanted.tag}"` : JSON.stringify(wanted)
}

const isTag = (wanted: Exclude<Wanted, (...args: never[]) => boolean>): wanted is { readonly tag: string } =>
  typeof wanted === 'object' && 'tag' in wanted && typeof wanted.tag === 'string'

/** A promise would be taken for a yes, and its rejection would end the process. */
function answered(answer: unknown): boolean {
  if (!(answer instanceof Promise)) return Boolean(answer)
  answer.catch(() => {})
  throw new HoldfastError('INVALID_ARGUMENT', 'what until asks is answered at once, true or false, not by a promise')
}

function nested(value: StateValue): StateValue {
  if (typeof value !== 'string' || !value.includes('.')) return value
  const dot = value.indexOf('.')
  return { [value.slice(0, dot)]: nested(value.slice(dot + 1)) }
}
