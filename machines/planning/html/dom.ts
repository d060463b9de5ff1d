// Questions to a tree of HTML: what an element is called, what it holds, what of it is text.
// None of them recurses, so that no page, however deep, can exhaust the stack.

import type { DomHandler } from 'htmlparser2'

export type Node = DomHandler['root']['children'][number]
export type Element = Extract<Node, { readonly attribs: unknown }>

export const isElement = (node: Node): node is Element =>
  node.type === 'tag' || node.type === 'script' || node.type === 'style'

/** The text that a node is itself, if it is one. */
export const ownText = (node: Node): string | undefined => (node.type === 'text' ? node.data : undefined)

export const attributeOf = (element: Element, name: string): string => element.attribs[name] ?? ''

export const childrenOf = (node: Node): readonly Node[] => ('children' in node ? node.children : [])

export const childElements = (element: Element): readonly Element[] => element.children.filter(isElement)

export const childNamed = (element: Element, ...names: string[]): Element | undefined =>
  childElements(element).find(({ name }) => names.includes(name))

/** All nodes below, in document order; not below an element for which `into` says no. */
export function* nodesBelow(nodes: readonly Node[], into: (element: Element) => boolean = () => true): Iterable<Node> {
  const waiting = [...nodes].reverse()
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    yield node
    if (isElement(node) && !into(node)) continue
    const children = childrenOf(node)
    for (let index = children.length - 1; index >= 0; index--) waiting.push(children[index] as Node)
  }
}

export function* elementsNamed(name: string, nodes: readonly Node[]): Iterable<Element> {
  for (const node of nodesBelow(nodes)) if (isElement(node) && node.name === name) yield node
}

/** All text below, as it was written. */
export function textIn(nodes: readonly Node[]): string {
  let text = ''
  for (const node of nodesBelow(nodes)) text += ownText(node) ?? ''
  return text
}
