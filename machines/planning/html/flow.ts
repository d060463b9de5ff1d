// The flow of a page: its headings and blocks, one after the other, whatever boxes they stand in.
// Boxes that only arrange (div, section, a column of Confluence) are opened; a box with a title (a panel, an expander,
// `<details>`) gives its title first. It never nests deeper than a bound: below it, text is kept as text.

import type { Block, List, ListItem, Paragraph, Verbatim } from '../blocks.js'
import { bodyOf, fallbackOf, isBlockMacro, isMacro, parameterOf, plainBodyOf, tasksOf } from './confluence.js'
import { attributeOf, childElements, type Element, isElement, type Node, nodesBelow, textIn } from './dom.js'
import { isUnseen, paragraphOf, titleOf } from './inline.js'
import { arrangesOnly, cellsText, rowsOf, tableOf } from './table.js'

export interface Heading {
  readonly type: 'heading'
  /** 1 to 6. */
  readonly depth: number
  readonly title: string
}

export type Piece = Heading | Block

/** The pieces of a page, or of a part of it. */
export const flowOf = (nodes: readonly Node[]): Piece[] => new Flow(holdersIn(nodes)).pieces(nodes, 0)

const MAX_DEPTH = 60
const HEADING = /^h([1-6])$/
const BOXES = new Set(
  'address article aside blockquote body center dd details dialog div dl dt fieldset figure figcaption form header hgroup hr html li main menu ol p pre section summary table ul'
    .concat(' ac:layout ac:layout-section ac:layout-cell ac:rich-text-body ac:task-list ac:adf-extension')
    .split(' '),
)

const isBlock = (element: Element): boolean =>
  BOXES.has(element.name) || HEADING.test(element.name) || (isMacro(element) && isBlockMacro(element))

class Flow {
  /** Elements with a block somewhere inside: a paragraph around a panel is a box. */
  readonly #holders: ReadonlySet<Element>

  readonly #inCell: boolean

  constructor(holders: ReadonlySet<Element>, inCell = false) {
    this.#holders = holders
    this.#inCell = inCell
  }

  pieces(nodes: readonly Node[], depth: number): Piece[] {
    if (depth > MAX_DEPTH) return paragraphOf(nodes, this.#inCell)
    const pieces: Piece[] = []
    let line: Node[] = []
    const endLine = (): void => {
      pieces.push(...paragraphOf(line, this.#inCell))
      line = []
    }
    for (const node of nodes) {
      if (!isElement(node) || !(isBlock(node) || this.#holders.has(node))) {
        line.push(node)
        continue
      }
      endLine()
      if (!isUnseen(node)) pieces.push(...this.#piecesOf(node, depth + 1))
    }
    endLine()
    return pieces
  }

  #piecesOf(element: Element, depth: number): Piece[] {
    const { name, children } = element
    const heading = HEADING.exec(name)?.[1]
    if (heading !== undefined) return headingOf(Number(heading), children)
    if (isMacro(element)) return this.#macro(element, depth)
    switch (name) {
      case 'ul':
      case 'ol':
      case 'menu':
        return listOf(this.#items(element, depth), name === 'ol')
      case 'dl':
        return listOf(this.#definitions(element, depth), false)
      case 'ac:task-list':
        return listOf(
          tasksOf(element).map(({ done, nodes }) => ({ checked: done, blocks: this.#blocks(nodes, depth) })),
          false,
        )
      case 'table':
        return this.#table(element, depth)
      case 'pre':
        return codeOf(textIn(children))
      case 'hr':
        return []
      case 'details':
        return this.#details(element, depth)
      case 'ac:adf-extension':
        return this.pieces(fallbackOf(element), depth)
      default:
        return this.pieces(children, depth)
    }
  }

  /** Where no heading can be, in a list or a cell, one is a line in bold. */
  #blocks(nodes: readonly Node[], depth: number): Block[] {
    return this.pieces(nodes, depth).map((piece) => (piece.type === 'heading' ? boldLine(piece.title) : piece))
  }

  #items(list: Element, depth: number): ListItem[] {
    const items: ListItem[] = []
    for (const child of childElements(list)) {
      if (isUnseen(child)) continue
      const last = items.at(-1)
      if (child.name !== 'li' && last !== undefined) last.blocks.push(...this.#blocks([child], depth))
      else
        items.push({
          checked: checkedIn(child),
          blocks: this.#blocks(child.name === 'li' ? child.children : [child], depth),
        })
    }
    return items.filter(({ blocks }) => blocks.length > 0)
  }

  /** A term is an item, and what is said of it stands under it. */
  #definitions(list: Element, depth: number): ListItem[] {
    const parts = childElements(list).flatMap((child) => (child.name === 'div' ? childElements(child) : [child]))
    const items: ListItem[] = []
    for (const part of parts) {
      const last = items.at(-1)
      if (part.name === 'dt' || last === undefined)
        items.push({ checked: null, blocks: this.#blocks(part.children, depth) })
      else last.blocks.push(...this.#blocks(part.children, depth))
    }
    return items.filter(({ blocks }) => blocks.length > 0)
  }

  #table(table: Element, depth: number): Piece[] {
    const rows = rowsOf(table)
    if (arrangesOnly(rows)) {
      return rows.flatMap((row) => row.flatMap((cell) => this.pieces(cell.children, depth)))
    }
    const pairs = rows.map(([key, value]) => ({ key, value }))
    if (rows.length > 0 && rows.every((row) => row.length === 2 && row[0]?.name === 'th' && row[1]?.name === 'td')) {
      return pairs.flatMap(({ key, value }) => this.#field(titleOf(key?.children ?? []), value?.children ?? [], depth))
    }
    const cells = new Flow(this.#holders, true)
    return tableOf(rows, (cell) => cellsText(cells.#blocks(cell.children, depth)))
  }

  /** A row of a table of two columns whose first is its head: `Priority | high`. */
  #field(name: string, nodes: readonly Node[], depth: number): Piece[] {
    const label = `${name.replace(/\s*:$/, '')}:`
    const [first, ...rest] = this.#blocks(nodes, depth)
    if (first?.type !== 'paragraph') return [boldLine(label), ...(first ? [first] : []), ...rest]
    const [line, ...lines] = first.lines
    const led = {
      text: `${label} ${line?.text ?? ''}`,
      strong: label,
      markdown: `**${label}** ${line?.markdown ?? ''}`,
      anchor: false,
    }
    return [{ type: 'paragraph', lines: [led, ...lines] }, ...rest]
  }

  #details(details: Element, depth: number): Piece[] {
    const summary = childElements(details).find(({ name }) => name === 'summary')
    const rest = details.children.filter((child) => child !== summary)
    const inSummary = summary === undefined ? [] : this.pieces(summary.children, depth)
    if (inSummary.some(({ type }) => type === 'heading')) return [...inSummary, ...this.pieces(rest, depth)]
    return titled(titleOf(summary?.children ?? []), this.pieces(rest, depth))
  }

  #macro(macro: Element, depth: number): Piece[] {
    const plain = plainBodyOf(macro)
    if (plain !== undefined) return codeOf(textIn(plain.children))
    return titled(parameterOf(macro, 'title'), this.pieces(bodyOf(macro)?.children ?? [], depth))
  }
}

/** The title of a box is a heading above those in it, or else a line in bold. */
function titled(title: string, pieces: Piece[]): Piece[] {
  if (title === '') return pieces
  const depths = pieces.flatMap((piece) => (piece.type === 'heading' ? [piece.depth] : []))
  if (depths.length === 0) return [boldLine(title), ...pieces]
  return [{ type: 'heading', depth: Math.max(1, Math.min(...depths) - 1), title }, ...pieces]
}

function headingOf(depth: number, nodes: readonly Node[]): Piece[] {
  const title = titleOf(nodes)
  return title === '' ? [] : [{ type: 'heading', depth, title }]
}

const boldLine = (title: string): Paragraph => ({
  type: 'paragraph',
  lines: [{ text: title, strong: title, markdown: `**${title}**`, anchor: false }],
})

const listOf = (items: ListItem[], ordered: boolean): List[] =>
  items.length === 0 ? [] : [{ type: 'list', ordered, items }]

function codeOf(written: string): Verbatim[] {
  const text = written.replace(/^\n|\s+$/g, '')
  if (text === '') return []
  const fence = '`'.repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length + 1)))
  return [{ type: 'verbatim', kind: 'code', text, markdown: `${fence}\n${text}\n${fence}` }]
}

/** An item whose first control is a checkbox. */
function checkedIn(item: Element): boolean | null {
  for (const node of nodesBelow(item.children, ({ name }) => !/^(?:ul|ol|table)$/.test(name))) {
    if (isElement(node) && node.name === 'input' && attributeOf(node, 'type') === 'checkbox')
      return 'checked' in node.attribs
  }
  return null
}

/** Each element above a block, marked once. */
function holdersIn(nodes: readonly Node[]): Set<Element> {
  const holders = new Set<Element>()
  for (const node of nodesBelow(nodes)) {
    if (!isElement(node) || !isBlock(node)) continue
    for (let above = node.parent; above !== null && above.type === 'tag' && !holders.has(above); above = above.parent) {
      holders.add(above)
    }
  }
  return holders
}
