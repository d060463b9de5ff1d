// What stands under a heading, block by block: paragraphs, lists, tables and code find the item that they belong to.
// Every line goes somewhere: to an item, to a field, or to the prose of the item it stands under.
// What stands before any item, and outside of one, belongs to the document and is left.

import type { Block, List, Paragraph, Verbatim } from '../blocks.js'
import { isGherkin, isNumberedCriterion, isScenarioStep } from './criteria.js'
import { type Cursor, keep, ownerAt, placeAt, rest } from './cursor.js'
import { type Draft, isLeaf, takeField } from './drafts.js'
import { type Field, type FieldKind, fieldsIn } from './fields.js'
import { readList } from './lists.js'
import { opensSentence, readParagraph } from './paragraphs.js'
import { headOf, itemsWithin, markerOf, type Place, type Reading } from './reading.js'
import { readTable } from './tables.js'
import { collectionIn } from './titles.js'

/** Reads blocks at a place; gives the item that is open at their end, for the headings below. */
export function readBody(
  blocks: readonly Block[],
  place: Place,
  reading: Reading,
  hasItemsBelow: boolean,
): Draft | undefined {
  const cursor: Cursor = {
    place,
    open: place.owner === undefined ? [] : [place.owner],
    introduced: false,
    keepsSentences: keepsSentences(blocks, place, reading, hasItemsBelow),
  }
  for (const [index, block] of blocks.entries()) {
    cursor.following = blocks[index + 1]
    readBlock(block, cursor, reading)
  }
  return ownerAt(cursor)
}

function keepsSentences(blocks: readonly Block[], { owner }: Place, reading: Reading, hasItemsBelow: boolean): boolean {
  if (owner === undefined || isLeaf(owner)) return false
  const paragraphs = blocks.filter((block) => block.type === 'paragraph')
  if (paragraphs.filter(({ lines }) => lines.some(opensSentence)).length !== 1) return false
  const marked = ({ lines: [first] }: Paragraph): boolean =>
    first !== undefined && (!!markerOf(first, 'bold', reading) || collectionIn(first.text) !== undefined)
  return hasItemsBelow || itemsWithin(blocks, reading) > 0 || paragraphs.some(marked)
}

function readBlock(block: Block, cursor: Cursor, reading: Reading): void {
  switch (block.type) {
    case 'paragraph':
      return readParagraph(block, cursor, reading)
    case 'list':
      return readListAt(block, cursor, reading)
    case 'table':
      if (!readTable(block, placeAt(cursor), reading)) keep(cursor, block)
      return rest(cursor)
    default:
      return readVerbatim(block, cursor)
  }
}

function readVerbatim(block: Verbatim, cursor: Cursor): void {
  const owner = ownerAt(cursor)
  const scenario = block.kind === 'code' && isGherkin(block.text) && /\bthen\b/i.test(block.text)
  if (owner !== undefined && scenario && (isLeaf(owner) || cursor.waiting?.kind === 'criteria')) {
    takeField(owner, { kind: 'criteria', value: '' }, [block])
  } else keep(cursor, block)
  if (cursor.waiting?.kind !== 'criteria') rest(cursor)
}

function readListAt(list: List, cursor: Cursor, reading: Reading): void {
  const owner = ownerAt(cursor)
  const { waiting, announced, introduced } = cursor
  rest(cursor)
  if (owner !== undefined && waiting !== undefined && takeWaiting(owner, waiting, list)) return
  const place = { ...placeAt(cursor), ...announced }
  const left = readList(list, introduced ? { ...place, apart: true } : place, reading, (blocks, inner) => {
    readBody(blocks, inner, reading, false)
  })
  if (left !== undefined) keep(cursor, left)
}

const BESIDES_CRITERIA: readonly FieldKind[] = ['points', 'priority', 'moscow', 'labels']

/** A list under a label. Points and priorities among criteria are fields all the same. */
function takeWaiting(owner: Draft, waiting: Field, list: List): boolean {
  if (waiting.kind !== 'criteria') return takeField(owner, waiting, [list])
  const items = list.items.filter((item) => {
    const head = headOf(item)
    const [field] = head === undefined ? [] : fieldsIn(head.text, head.strong)
    const besides = field !== undefined && field.value !== '' && BESIDES_CRITERIA.includes(field.kind)
    return !(besides && takeField(owner, field, []))
  })
  return takeField(owner, waiting, [{ ...list, items }])
}

/** What stands under a heading "Acceptance criteria": lists and steps, or each line when there is no list. */
export function readCriteria(blocks: readonly Block[], owner: Draft): void {
  const listed = blocks.some((block) => block.type !== 'paragraph')
  for (const block of blocks) {
    if (block.type === 'list') takeWaiting(owner, { kind: 'criteria', value: '' }, block)
    else if (block.type === 'paragraph') readCriteriaLines(block, owner, listed)
    else if (block.type === 'table' || isGherkin(block.text)) takeField(owner, { kind: 'criteria', value: '' }, [block])
    else owner.prose.push(block)
  }
}

function readCriteriaLines({ lines }: Paragraph, owner: Draft, listed: boolean): void {
  const left = lines.filter((line) => {
    const fields = fieldsIn(line.text, line.strong)
    return fields.length === 0 || !fields.every((field) => takeField(owner, field, []))
  })
  const first = left[0]
  if (first === undefined || (listed && /[:：]$/.test(first.text))) return
  const criteria = !listed || isScenarioStep(first.text) || isNumberedCriterion(first.text)
  if (criteria) takeField(owner, { kind: 'criteria', value: '' }, [{ type: 'paragraph', lines: left }])
  else owner.prose.push({ type: 'paragraph', lines: left })
}
