// Tables of HTML: cells that span rows or columns are repeated, so that every row says all that it means.
// A table that holds headings or tables only arranges a page. Spans are bounded: a cell cannot ask for a million others.

import type { Block, Table } from '../blocks.js'
import { attributeOf, childElements, type Element, isElement, nodesBelow } from './dom.js'

const MAX_COLUMNS = 100
const MAX_ROWSPAN = 1_000

/** The cells of a table, row by row, as they were written. */
export const rowsOf = (table: Element): Element[][] =>
  childElements(table)
    .flatMap((part) => (/^(?:thead|tbody|tfoot)$/.test(part.name) ? childElements(part) : [part]))
    .filter(({ name }) => name === 'tr')
    .map((row) => childElements(row).filter(({ name }) => name === 'td' || name === 'th'))
    .filter((row) => row.length > 0)

/** True when the cells hold what no cell of data holds. */
export const arrangesOnly = (rows: readonly Element[][]): boolean => rows.some((row) => row.some(holdsHeadings))

function holdsHeadings(cell: Element): boolean {
  for (const node of nodesBelow(cell.children)) {
    if (isElement(node) && /^(?:h[1-6]|table)$/.test(node.name)) return true
  }
  return false
}

/** The first row is the header, as in Markdown. */
export function tableOf(rows: readonly Element[][], textOf: (cell: Element) => string): Table[] {
  const [header = [], ...body] = spread(rows, textOf)
  if (header.length === 0) return []
  const width = Math.max(header.length, ...body.map((row) => row.length))
  const even = [header, ...body].map((row) => [...row, ...Array.from({ length: width - row.length }, () => '')])
  const [first = [], ...rest] = even
  const markdown = [first, first.map(() => '---'), ...rest].map((row) => `| ${row.map(inRow).join(' | ')} |`).join('\n')
  return [{ type: 'table', header: first, rows: rest, markdown }]
}

const inRow = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', '<br>')

/** What a cell says of the rows below it. */
interface Hanging {
  readonly text: string
  left: number
}

function spread(rows: readonly Element[][], textOf: (cell: Element) => string): string[][] {
  const hanging: (Hanging | undefined)[] = []
  return rows.map((row) => {
    const texts: string[] = []
    const takeHanging = (): void => {
      for (let hung = hanging[texts.length]; hung !== undefined; hung = hanging[texts.length]) {
        if (--hung.left === 0) hanging[texts.length] = undefined
        texts.push(hung.text)
      }
    }
    for (const cell of row) {
      takeHanging()
      const text = textOf(cell)
      const down = spanOf(cell, 'rowspan', MAX_ROWSPAN) - 1
      for (let across = spanOf(cell, 'colspan', MAX_COLUMNS); across > 0 && texts.length < MAX_COLUMNS; across--) {
        if (down > 0) hanging[texts.length] = { text, left: down }
        texts.push(text)
      }
    }
    takeHanging()
    return texts
  })
}

const spanOf = (cell: Element, name: string, most: number): number =>
  Math.min(Math.max(Number.parseInt(attributeOf(cell, name), 10) || 1, 1), most)

/** A cell as text: its lines, and the items of its lists, one below the other. */
export const cellsText = (blocks: readonly Block[]): string => blocks.flatMap(textsOf).join('\n')

function textsOf(block: Block): string[] {
  switch (block.type) {
    case 'paragraph':
      return block.lines.map(({ text }) => text)
    case 'list':
      return block.items.flatMap((item) => item.blocks.flatMap(textsOf))
    case 'table':
      return [block.header, ...block.rows].map((row) => row.join(' '))
    case 'verbatim':
      return [block.text]
  }
}
