// A machine as JSON: its states and what each of them takes, with the names that its author gave. Pure; it runs nothing,
// and whatever has no name (an inline guard, a function that makes an input) is told as being there.

import type { AnyMachine } from './define.js'

export interface Statechart {
  /** The name of the state; of the machine itself, its id. */
  readonly key: string
  readonly type: 'atomic' | 'compound' | 'parallel' | 'final' | 'history'
  readonly description?: string
  readonly tags?: readonly string[]
  /** The states that it begins with, as paths from the root. */
  readonly initial?: readonly string[]
  readonly invokes?: readonly Invoked[]
  readonly transitions?: readonly Arrow[]
  readonly states?: { readonly [key: string]: Statechart }
}

interface Invoked {
  readonly id: string
  readonly src: string
}

interface Arrow {
  /** Absent: it is taken as soon as it can be. */
  readonly event?: string
  /** Paths from the root; none: it stays where it is. */
  readonly targets: readonly string[]
  readonly guard?: string
  readonly actions?: readonly string[]
}

type Node = AnyMachine['root']

export const statechartOf = (machine: AnyMachine): Statechart => nodeOf(machine.root)

function nodeOf(node: Node): Statechart {
  const { key, type, description, tags, invoke, states } = node
  const begins = type === 'compound' ? (node.initial?.target ?? []) : []
  const arrows = [...node.transitions.values()].flat().concat(node.always ?? [])
  const inner = Object.entries(states as { readonly [key: string]: Node })
  return {
    ...{ key, type },
    ...(description !== undefined && { description }),
    ...(tags.length > 0 && { tags: tags.map(String) }),
    ...(begins.length > 0 && { initial: begins.map(pathOf) }),
    ...(invoke.length > 0 && { invokes: invoke.map(({ id, src }) => ({ id, src: nameOf(src) })) }),
    ...(arrows.length > 0 && { transitions: arrows.map(arrowOf) }),
    ...(inner.length > 0 && { states: Object.fromEntries(inner.map(([name, child]) => [name, nodeOf(child)])) }),
  }
}

type Transition = NonNullable<Node['always']>[number]

function arrowOf({ eventType, target = [], guard, actions }: Transition): Arrow {
  return {
    ...(eventType !== '' && { event: eventType }),
    targets: target.map(pathOf),
    ...(guard !== undefined && { guard: nameOf(guard) }),
    ...(actions.length > 0 && { actions: actions.map(nameOf) }),
  }
}

const pathOf = ({ path }: { readonly path: readonly string[] }): string => path.join('.')

/** By what it was named: in `setup`, or as a function. */
function nameOf(named: unknown): string {
  if (typeof named === 'string') return named
  if (typeof named === 'function') return named.name || 'inline'
  const { type } = named as { readonly type?: unknown }
  return typeof type === 'string' ? type : 'inline'
}
