// Inline HTML to lines: what a reader sees of it, what of it leads in bold, and the same as Markdown.
// A line ends where the page breaks it (`<br>`), never where its source does.

import { type Line, type Paragraph, unwrapped } from '../blocks.js'
import { fallbackOf, isMacro, linkNodes, macroText } from './confluence.js'
import { attributeOf, childrenOf, type Element, isElement, type Node, ownText, textIn } from './dom.js'

/** A stretch of text in one dress. */
interface Span extends Dress {
  text: string
}

interface Dress {
  readonly bold: boolean
  readonly italic: boolean
  readonly code: boolean
  readonly href: string
}

const PLAIN: Dress = { bold: false, italic: false, code: false, href: '' }
const MAX_DEPTH = 100

/** At most one paragraph; none when there is nothing to see. In a cell each line stands for itself. */
export function paragraphOf(nodes: readonly Node[], inCell: boolean): Paragraph[] {
  const lines = linesOf(nodes)
  return lines.length === 0 ? [] : [{ type: 'paragraph', lines: inCell ? lines : unwrapped(lines) }]
}

/** What a reader sees, on one line. */
export const titleOf = (nodes: readonly Node[]): string =>
  linesOf(nodes)
    .map(({ text }) => text)
    .join(' ')

function linesOf(nodes: readonly Node[]): Line[] {
  const spans: Span[] = []
  collect(nodes, PLAIN, spans, 0)
  const lines: Span[][] = [[]]
  for (const span of spans) {
    for (const [index, text] of span.text.split('\n').entries()) {
      if (index > 0) lines.push([])
      if (text !== '') lines.at(-1)?.push({ ...span, text })
    }
  }
  return lines.map(lineOf).filter(({ text }) => text !== '')
}

const BOLD = new Set(['b', 'strong', 'th'])
const ITALIC = new Set(['i', 'em', 'cite', 'dfn'])
const CODE = new Set(['code', 'kbd', 'samp', 'tt', 'var'])

function collect(nodes: readonly Node[], dress: Dress, spans: Span[], depth: number): void {
  if (depth > MAX_DEPTH) return write(textIn(nodes), dress, spans)
  for (const node of nodes) {
    const text = ownText(node)
    if (text !== undefined) write(text, dress, spans)
    else if (isElement(node)) collectElement(node, dress, spans, depth + 1)
    else collect(childrenOf(node), dress, spans, depth + 1) // a CDATA section
  }
}

function collectElement(element: Element, dress: Dress, spans: Span[], depth: number): void {
  const { name, children } = element
  if (isUnseen(element)) return
  if (isMacro(element)) return write(macroText(element), dress, spans)
  if (name === 'br') return void spans.push({ ...PLAIN, text: '\n' })
  if (name === 'img') return write(attributeOf(element, 'alt'), dress, spans)
  if (name === 'time' && children.length === 0) return write(attributeOf(element, 'datetime'), dress, spans)
  if (name === 'ac:adf-extension') return collect(fallbackOf(element), dress, spans, depth)
  if (name === 'ac:link') {
    const { nodes, text } = linkNodes(element)
    write(text, dress, spans)
    return collect(nodes, dress, spans, depth)
  }
  collect(children, dressIn(element, dress), spans, depth)
}

function dressIn(element: Element, dress: Dress): Dress {
  const { name } = element
  if (BOLD.has(name)) return { ...dress, bold: true }
  if (ITALIC.has(name)) return { ...dress, italic: true }
  if (CODE.has(name)) return { ...dress, code: true }
  return name === 'a' ? { ...dress, href: attributeOf(element, 'href') } : dress
}

const UNSEEN = new Set(
  'audio canvas embed frame head iframe math nav noscript object script select style svg template textarea title video'
    .concat(
      ' button input footer del s strike ac:emoticon ac:image ac:parameter ac:placeholder ac:task-id ac:task-status',
    )
    .split(' '),
)

/** True for what no reader sees, or is struck out, or belongs to the site and not to the page. */
export const isUnseen = (element: Element): boolean =>
  UNSEEN.has(element.name) ||
  'hidden' in element.attribs ||
  attributeOf(element, 'aria-hidden') === 'true' ||
  /(?:^|;)\s*display\s*:\s*none/i.test(attributeOf(element, 'style'))

/** White space of the source is one space; `\n` stands for a break only where `collectElement` puts it. */
function write(text: string, dress: Dress, spans: Span[]): void {
  const flat = text.replace(/[\s\u00a0]+/g, ' ').replace(/[\u200b\u00ad]/g, '')
  if (flat === '') return
  const last = spans.at(-1)
  if (last !== undefined && last.text !== '\n' && isSameDress(last, dress)) last.text += flat
  else spans.push({ ...dress, text: flat })
}

const isSameDress = (one: Dress, other: Dress): boolean =>
  one.bold === other.bold && one.italic === other.italic && one.code === other.code && one.href === other.href

function lineOf(spans: readonly Span[]): Line {
  const text = tidy(spans.map((span) => span.text).join(''))
  const leading = spans.findIndex(({ bold, italic, text }) => !(bold || italic) && text.trim() !== '')
  const strong = spans.slice(0, leading === -1 ? spans.length : leading).filter(({ bold, italic }) => bold || italic)
  const anchored = spans.every(({ href, text }) => href.startsWith('#') || text.trim() === '')
  return {
    text,
    strong: tidy(strong.map((span) => span.text).join('')),
    markdown: atLineStart(tidy(spans.map(markdownOf).join(''))),
    anchor: text !== '' && anchored,
  }
}

const tidy = (text: string): string => text.replace(/ +/g, ' ').trim()

/** Markdown's marks go inside of the spaces around the text. */
function markdownOf({ text, bold, italic, code, href }: Span): string {
  const core = text.trim()
  if (core === '') return ' '
  let marked = code ? `\`${core.replaceAll('`', "'")}\`` : escaped(core)
  if (italic) marked = `*${marked}*`
  if (bold) marked = `**${marked}**`
  if (/^(?:https?:|mailto:)/i.test(href)) marked = `[${marked}](<${href.replace(/[\s<>]/g, encodeURIComponent)}>)`
  return `${/^\s/.test(text) ? ' ' : ''}${marked}${/\s$/.test(text) ? ' ' : ''}`
}

/** What Markdown would take for a mark of its own. */
const MARKS = new RegExp(
  [
    '[\\\\`*~]',
    '(?<![\\p{L}\\p{N}])_|_(?![\\p{L}\\p{N}])',
    '<(?=[a-z/!?])',
    '&(?=#?\\w+;)',
    '\\[(?=\\^|[^\\]]*\\][([:])',
  ].join('|'),
  'giu',
)
const escaped = (text: string): string => text.replace(MARKS, '\\$&')

/** A heading, a quote, an item of a list, or a line under a heading. */
const atLineStart = (markdown: string): string =>
  markdown.replace(/^(?=[#>+=-](?: |$)|#{2,6}(?: |$)|(?:=+|-+)$)/, '\\').replace(/^(\d+)(?=[.)](?: |$))/, '$1\\')
