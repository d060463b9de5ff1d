// A document's blocks as small plain JSON: paragraphs in lines, lists, tables, and what is kept word for word.
// Made from mdast, without its positions and inline nodes: what a line says, what of it leads in bold, how it was written.
// It never drops text that a reader sees, and never nests deeper than a bound.

import type { List as MdList, Table as MdTable, Nodes, PhrasingContent, RootContent } from 'mdast'
import { toString as textOf } from 'mdast-util-to-string'

/** A line of a paragraph. A line that goes on in lower case is one with the line before it. */
export interface Line {
  /** What a reader sees. */
  text: string
  /** The part of `text` that leads it in bold or italics; empty when it does not start so. */
  strong: string
  /** How it was written. */
  markdown: string
  /** True when the whole line is a link to a place in this document: a line of a table of contents. */
  anchor: boolean
}

export interface Paragraph {
  type: 'paragraph'
  lines: Line[]
}

export interface ListItem {
  /** null when the item has no checkbox. */
  checked: boolean | null
  blocks: Block[]
}

export interface List {
  type: 'list'
  ordered: boolean
  items: ListItem[]
}

export interface Table {
  type: 'table'
  /** A cell's own line breaks (`<br>`) are newlines. */
  header: string[]
  rows: string[][]
  markdown: string
}

/** Code, HTML and whatever else is kept as it was written. */
export interface Verbatim {
  type: 'verbatim'
  kind: 'code' | 'other'
  text: string
  markdown: string
}

export type Block = Paragraph | List | Table | Verbatim

/** Where mdast nodes come from: the text they were parsed from, and how deep inside lists and quotes they are. */
export interface Origin {
  source: string
  quoted: boolean
  depth: number
}

const MAX_DEPTH = 40

/** mdast blocks as ours. Quotes are opened: what they hold stands where they stood. */
export function blocksOf(nodes: readonly RootContent[], origin: Origin): Block[] {
  return nodes.flatMap((node) => blockOf(node, origin))
}

function blockOf(node: RootContent, origin: Origin): Block[] {
  switch (node.type) {
    case 'paragraph':
      return paragraphOf(node.children, written(node, origin))
    case 'heading':
      return paragraphOf([{ type: 'strong', children: node.children }], written(node, origin))
    case 'list':
      return origin.depth > MAX_DEPTH ? [verbatim(node, origin)] : [listOf(node, origin)]
    case 'table':
      return [tableOf(node, origin)]
    case 'blockquote':
      if (origin.depth > MAX_DEPTH) return [verbatim(node, origin)]
      return blocksOf(node.children, { ...origin, quoted: true, depth: origin.depth + 1 })
    case 'thematicBreak':
    case 'definition':
    case 'footnoteDefinition':
    case 'yaml':
      return []
    case 'html':
      return /^<!--/.test(node.value) ? [] : [verbatim(node, origin)]
    default:
      return [verbatim(node, origin)]
  }
}

function listOf(node: MdList, origin: Origin): List {
  const deeper = { ...origin, depth: origin.depth + 1 }
  const items = node.children.map((item) => ({
    checked: item.checked ?? null,
    blocks: blocksOf(item.children, deeper),
  }))
  return { type: 'list', ordered: node.ordered === true, items }
}

function tableOf(node: MdTable, origin: Origin): Table {
  const [header = [], ...rows] = node.children.map((row) => row.children.map((cell) => plainText(cell.children)))
  return { type: 'table', header, rows, markdown: written(node, origin) }
}

function verbatim(node: RootContent, origin: Origin): Verbatim {
  const text = 'value' in node ? node.value : textOf(node)
  return { type: 'verbatim', kind: node.type === 'code' ? 'code' : 'other', text, markdown: written(node, origin) }
}

/** The Markdown of a node, without the indentation and the quote marks of what it stands in. */
function written(node: RootContent, { source, quoted }: Origin): string {
  const { start, end } = node.position ?? {}
  const lines = source.slice(start?.offset ?? 0, end?.offset ?? 0).split('\n')
  const margin = quoted ? /^[ \t]*(?:>[ \t]?)+/ : new RegExp(`^[ \\t]{0,${(start?.column ?? 1) - 1}}`)
  return lines.map((line, index) => (index === 0 ? line : line.replace(margin, ''))).join('\n')
}

/** What a reader sees of inline content, in lines. */
export const plainText = (nodes: readonly PhrasingContent[]): string =>
  readInline(nodes)
    .map((line) => line.text.trim())
    .join('\n')
    .trim()

interface Run {
  text: string
  strong: string
  leading: boolean
  linked: string
}

function paragraphOf(nodes: readonly PhrasingContent[], markdown: string): Paragraph[] {
  const runs = readInline(nodes)
  const sources = markdown.split('\n')
  const aligned = sources.length === runs.length
  const lines = runs.map((run, index) => lineOf(run, aligned ? (sources[index] ?? '') : run.text))
  const seen = lines.filter((line) => line.text !== '')
  return seen.length === 0 ? [] : [{ type: 'paragraph', lines: unwrapped(seen) }]
}

function lineOf(run: Run, markdown: string): Line {
  const text = run.text.replace(/\s+/g, ' ').trim()
  const strong = run.strong.replace(/\s+/g, ' ').trim()
  const anchor = text !== '' && run.linked.replace(/\s+/g, ' ').trim() === text
  return { text, strong, markdown: markdown.trim().replace(/\\$/, ''), anchor }
}

/** `points: 5` in lower case is a field of its own, not the rest of the line before. */
const GOES_ON = /^(?![a-z][a-z -]{0,24}:)[\p{Ll}(]/u

/** Lines, with those that go on in lower case joined to the line before. */
export function unwrapped(lines: readonly Line[]): Line[] {
  const joined: Line[] = []
  for (const line of lines) {
    const last = joined.at(-1)
    if (last !== undefined && line.strong === '' && GOES_ON.test(line.text)) {
      joined[joined.length - 1] = {
        ...last,
        text: `${last.text} ${line.text}`,
        markdown: `${last.markdown}\n${line.markdown}`,
      }
    } else joined.push(line)
  }
  return joined
}

/** Tags that only dress text; any other is text to a reader of a requirement, such as `<role>`. */
const DRESSING =
  /^(?:<\/?(?:a|abbr|b|code|del|details|div|em|font|i|img|input|ins|kbd|label|mark|p|s|small|span|strong|sub|summary|sup|u)\b[^>]*>|<!--[\s\S]*)$/i

function readInline(nodes: readonly PhrasingContent[]): Run[] {
  const runs: Run[] = [emptyRun()]
  readNodes(nodes, runs, { strong: false, linked: false, depth: 0 })
  return runs
}

const emptyRun = (): Run => ({ text: '', strong: '', leading: true, linked: '' })

interface Style {
  strong: boolean
  linked: boolean
  depth: number
}

function readNodes(nodes: readonly Nodes[], runs: Run[], style: Style): void {
  for (const node of nodes) readNode(node, runs, style)
}

function readNode(node: Nodes, runs: Run[], style: Style): void {
  const deeper = { ...style, depth: style.depth + 1 }
  switch (node.type) {
    case 'break':
      return write('\n', runs, style)
    case 'html':
      return write(/^<br\b/i.test(node.value) ? '\n' : DRESSING.test(node.value) ? '' : node.value, runs, style)
    case 'delete':
    case 'footnoteReference':
      return // struck out, or a mere number
    case 'inlineCode':
      return write(node.value.replaceAll('\n', ' '), runs, style)
    case 'link':
      return readNodes(node.children, runs, { ...deeper, linked: node.url.startsWith('#') })
    default:
      if (!('children' in node) || style.depth > MAX_DEPTH) return write(textOf(node), runs, style)
      return readNodes(node.children, runs, {
        ...deeper,
        strong: style.strong || node.type === 'strong' || node.type === 'emphasis',
      })
  }
}

function write(text: string, runs: Run[], style: Style): void {
  const parts = text.split('\n')
  for (const [index, part] of parts.entries()) {
    if (index > 0) runs.push(emptyRun())
    const run = runs.at(-1)
    if (run === undefined || part === '') continue
    run.text += part
    if (style.linked) run.linked += part
    if (run.leading && style.strong) run.strong += part
    else if (part.trim() !== '' || run.strong !== '') run.leading = false
  }
}
