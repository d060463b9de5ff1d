// A parsed document on its way from step to step: the same content without what goes without saying.
// It travels through the journal, and most of a parsed document is repetition: a line that is written as it reads is kept
// as one text. For any document, `received(handed(document))` equals `document`. Nothing else may look inside.

import type { Block, Line, ListItem } from '../blocks.js'
import type { ParsedDocument, Section } from '../parse.js'

export interface HandedDocument {
  readonly title: string
  readonly sections: readonly HandedSection[]
}

type HandedSection = readonly [depth: number, title: string, ...blocks: HandedBlock[]]

/** A list: whether it is ordered, then its items. A paragraph: its lines. Anything else as it is. */
type HandedBlock =
  | { readonly l: readonly HandedItem[]; readonly o?: true }
  | readonly HandedLine[]
  | Exclude<Block, { type: 'paragraph' | 'list' }>

type HandedItem = readonly HandedBlock[] | { readonly c: boolean; readonly b: readonly HandedBlock[] }

/** A text, or text, strong and Markdown, and whether it is an anchor. */
type HandedLine = string | readonly [text: string, strong: string, markdown: string, anchor?: true]

export const handed = ({ title, sections }: ParsedDocument): HandedDocument => ({
  title,
  sections: sections.map(({ depth, title, blocks }) => [depth, title, ...blocks.map(handedBlock)]),
})

export const received = ({ title, sections }: HandedDocument): ParsedDocument => ({
  title,
  sections: sections.map(([depth, title, ...blocks]): Section => ({ depth, title, blocks: blocks.map(receivedBlock) })),
})

function handedBlock(block: Block): HandedBlock {
  if (block.type === 'paragraph') return block.lines.map(handedLine)
  if (block.type !== 'list') return block
  const items = block.items.map(handedItem)
  return block.ordered ? { l: items, o: true } : { l: items }
}

function receivedBlock(block: HandedBlock): Block {
  if (isParagraph(block)) return { type: 'paragraph', lines: block.map(receivedLine) }
  if ('type' in block) return block
  return { type: 'list', ordered: block.o === true, items: block.l.map(receivedItem) }
}

function handedItem({ checked, blocks }: ListItem): HandedItem {
  const all = blocks.map(handedBlock)
  return checked === null ? all : { c: checked, b: all }
}

function receivedItem(item: HandedItem): ListItem {
  if ('b' in item) return { checked: item.c, blocks: item.b.map(receivedBlock) }
  return { checked: null, blocks: item.map(receivedBlock) }
}

function handedLine({ text, strong, markdown, anchor }: Line): HandedLine {
  if (anchor) return [text, strong, markdown, true]
  return strong === '' && markdown === text ? text : [text, strong, markdown]
}

function receivedLine(line: HandedLine): Line {
  if (typeof line === 'string') return { text: line, strong: '', markdown: line, anchor: false }
  const [text, strong, markdown, anchor = false] = line
  return { text, strong, markdown, anchor }
}

const isParagraph = (block: HandedBlock): block is readonly HandedLine[] => Array.isArray(block)
