// HTML to sections: web pages, and the storage format of Confluence, which is HTML with elements of its own.
// The same structure as `parse.ts` makes of Markdown: a flat list of headings with the blocks under them, in document
// order. What no reader sees (scripts, navigation, drawings) is left out; whatever else has text keeps it.

import { DomHandler, Parser } from 'htmlparser2'
import { emptyDocument, PlanningError } from './errors.js'
import { elementsNamed, type Node, textIn } from './html/dom.js'
import { flowOf } from './html/flow.js'
import type { ParsedDocument, Section } from './parse.js'

/**
 * HTML to sections, in document order. A page whose title stands outside of its text brings that: it is a heading above
 * all others.
 *
 * @throws PlanningError `EMPTY_DOCUMENT` for a page without a visible character, `UNREADABLE_DOCUMENT` for one that is
 * nested too deeply.
 * @example
 * parseHtml('<h1>Checkout</h1><p>Pay by card.</p>').sections[0] // {depth: 1, title: 'Checkout', blocks: [...]}
 */
export function parseHtml(html: string, title?: string): ParsedDocument {
  const nodes = nodesOf(html)
  const sections = sectionsOf(nodes)
  if (sections.length === 0) throw emptyDocument()
  if (title !== undefined) return { title: '', sections: under(title, sections) }
  const named = sections.some((section) => section.title !== '')
  return { title: named ? '' : pageTitleIn(nodes), sections }
}

function under(title: string, sections: readonly Section[]): Section[] {
  const [first, ...rest] = sections
  const preamble = first?.depth === 0 ? first.blocks : []
  const others = first?.depth === 0 ? rest : sections
  return [
    { depth: 1, title, blocks: preamble },
    ...others.map((section) => ({ ...section, depth: Math.min(section.depth + 1, 6) })),
  ]
}

/** The cost of a closing tag is the depth at which it stands. */
const MAX_OPEN_ELEMENTS = 2_000

function nodesOf(html: string): readonly Node[] {
  const handler = new BoundedHandler()
  const parser = new Parser(handler, { recognizeCDATA: true, recognizeSelfClosing: true })
  parser.end(html.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n'))
  return handler.root.children
}

class BoundedHandler extends DomHandler {
  override onopentag(name: string, attributes: { [name: string]: string }): void {
    super.onopentag(name, attributes)
    if (this.tagStack.length <= MAX_OPEN_ELEMENTS) return
    const message = `More than ${MAX_OPEN_ELEMENTS} elements are open within one another. Simplify the page, then try again.`
    throw new PlanningError('UNREADABLE_DOCUMENT', message)
  }
}

function sectionsOf(nodes: readonly Node[]): Section[] {
  const sections: Section[] = []
  for (const piece of flowOf(nodes)) {
    if (piece.type === 'heading') {
      sections.push({ depth: piece.depth, title: piece.title, blocks: [] })
      continue
    }
    if (sections.length === 0) sections.push({ depth: 0, title: '', blocks: [] })
    sections.at(-1)?.blocks.push(piece)
  }
  return sections
}

/** What the browser shows in its tab is the title only of a page that has no heading: it often ends with the site's name. */
function pageTitleIn(nodes: readonly Node[]): string {
  const [title] = elementsNamed('title', nodes)
  return title === undefined ? '' : textIn(title.children).replace(/\s+/g, ' ').trim()
}
