// Markdown text to sections: every heading of the document with the blocks that stand under it.
// A flat list in document order, plain JSON, the same for the same text; GFM tables, checkboxes and front matter included.
// It knows nothing of planning, and it never reads the text as one piece: the parser's cost grows faster than its input.

import type { Root } from 'mdast'
import { fromMarkdown } from 'mdast-util-from-markdown'
import { frontmatterFromMarkdown } from 'mdast-util-frontmatter'
import { gfmFromMarkdown } from 'mdast-util-gfm'
import { frontmatter } from 'micromark-extension-frontmatter'
import { gfm } from 'micromark-extension-gfm'
import { type Block, blocksOf, plainText } from './blocks.js'
import { emptyDocument, PlanningError } from './errors.js'

/** A heading and what stands under it, up to the next heading of any depth. */
export interface Section {
  /** 1 to 6; 0 for what stands before the first heading. */
  depth: number
  title: string
  blocks: Block[]
}

export interface ParsedDocument {
  /** From the front matter; empty when that has none. */
  title: string
  sections: Section[]
}

/**
 * Markdown to sections, in document order.
 *
 * @throws PlanningError `EMPTY_DOCUMENT` for a text without a visible character, `UNREADABLE_DOCUMENT` for one that the
 * Markdown parser gives up on.
 * @example
 * parseMarkdown('# Checkout\n\nPay by card.').sections[0] // {depth: 1, title: 'Checkout', blocks: [...]}
 */
export function parseMarkdown(markdown: string): ParsedDocument {
  const text = markdown.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n')
  if (text.trim() === '') throw emptyDocument()
  const document: ParsedDocument = { title: '', sections: [] }
  let start = 0
  while (start < text.length) {
    const { tree, source, end } = nextPiece(text, start)
    addTree(document, tree, source)
    start = end
  }
  return document
}

const PIECE_CHARS = 2_000
const FRONT_MATTER = /^---[ \t]*\n[\s\S]*?\n---[ \t]*(?:\n|$)/

interface Piece {
  tree: Root
  source: string
  end: number
}

/** The next piece that can be parsed on its own: longer when a fence or a comment is still open at its end. */
function nextPiece(text: string, start: number): Piece {
  const least = start === 0 ? (FRONT_MATTER.exec(text)?.[0].length ?? 0) : 0
  for (let size = PIECE_CHARS; ; size *= 4) {
    const end = seamAfter(text, Math.max(start + size, least))
    const source = text.slice(start, end)
    const tree = treeOf(source, start === 0)
    if (end === text.length || !endsOpen(tree, source)) return { tree, source, end }
  }
}

/** Before a heading, before a bullet at the margin, or after a blank line when the next line is not indented. */
const SEAM = /\n(?=#{1,6}[ \t]|[-*+][ \t]+\S)|\n[ \t]*\n(?=\S)/g

function seamAfter(text: string, from: number): number {
  SEAM.lastIndex = from
  const seam = SEAM.exec(text)
  return seam === null ? text.length : seam.index + seam[0].length
}

/**
 * GFM's tables, checkboxes and strikethrough, without its bare links: to find those costs a third of the time, and
 * changes nothing that a reader sees. 91 is `[`, 126 is `~`.
 */
const { text: inline = {}, ...blockwise } = gfm()
const grammar = { ...blockwise, text: { 91: inline[91], 126: inline[126] } }
const treeGrammar = gfmFromMarkdown().filter((extension) => !('transforms' in extension))

function treeOf(source: string, first: boolean): Root {
  try {
    return fromMarkdown(source, {
      extensions: first ? [grammar, frontmatter(['yaml'])] : [grammar],
      mdastExtensions: first ? [treeGrammar, frontmatterFromMarkdown(['yaml'])] : [treeGrammar],
    })
  } catch (cause) {
    const message = 'The Markdown could not be parsed: it may be nested too deeply. Simplify it, then try again.'
    throw new PlanningError('UNREADABLE_DOCUMENT', message, { cause })
  }
}

/** Seams are found by looking at lines alone, so one may lie inside a fence or a comment: then the last node is open. */
function endsOpen(tree: Root, source: string): boolean {
  const last = tree.children.at(-1)
  const written = source.slice(last?.position?.start.offset ?? 0).trimEnd()
  if (last?.type === 'code') {
    const fence = /^(`{3,}|~{3,})/.exec(written)?.[1]
    return fence !== undefined && !new RegExp(`\\n {0,3}${fence}[\`~]*$`).test(written)
  }
  if (last?.type !== 'html') return false
  if (written.startsWith('<!--')) return !written.includes('-->')
  const raw = /^<(script|pre|style|textarea)\b/i.exec(written)?.[1]
  return raw !== undefined && !written.toLowerCase().includes(`</${raw.toLowerCase()}`)
}

function addTree(document: ParsedDocument, tree: Root, source: string): void {
  for (const [index, node] of tree.children.entries()) {
    if (node.type === 'yaml') document.title = titleIn(node.value)
    else if (node.type === 'heading') {
      const title = plainText(node.children).replace(/\s+/g, ' ')
      document.sections.push({ depth: node.depth, title, blocks: [] })
    } else {
      const blocks = blocksOf([node], { source, quoted: false, depth: 0 })
      addBlocks(sectionAtEnd(document), blocks, index === 0)
    }
  }
}

function sectionAtEnd(document: ParsedDocument): Section {
  const last = document.sections.at(-1)
  if (last !== undefined) return last
  const preamble = { depth: 0, title: '', blocks: [] }
  document.sections.push(preamble)
  return preamble
}

/** A list that a seam cut in two is made whole. */
function addBlocks(section: Section, blocks: readonly Block[], atSeam: boolean): void {
  const last = section.blocks.at(-1)
  const [first, ...rest] = blocks
  const cut = atSeam && last?.type === 'list' && first?.type === 'list' && last.ordered === first.ordered
  if (cut) last.items.push(...first.items)
  section.blocks.push(...(cut ? rest : blocks))
}

function titleIn(yaml: string): string {
  const value = /^title[ \t]*:[ \t]*(.*)$/im.exec(yaml)?.[1]?.trim() ?? ''
  const quoted = /^(["'])(.*)\1$/.exec(value)
  return (quoted?.[2] ?? value).trim()
}
