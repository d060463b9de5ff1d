// What stands under a heading, block by block: pseudo-headings, fields, sentences, lists and tables find their item here.
// Every line goes somewhere: to an item, to a field, or to the prose of the item it stands under.
// Lines before any item, and outside of one, belong to the document and are left.

import type { Block, Line, List, Paragraph, Verbatim } from '../blocks.js'
import { isGherkin, isNumberedCriterion, isScenarioStep, opensScenario } from './criteria.js'
import { type Draft, drafted, isLeaf, lineOf, rankOf, takeField, tell } from './drafts.js'
import { type Field, fieldsIn } from './fields.js'
import { namesParent, readList } from './lists.js'
import type { Form } from './markers.js'
import { headOf, itemsWithin, markerOf, NOWHERE, type Place, type Reading } from './reading.js'
import { type Sentence, sentenceIn } from './sentences.js'
import { readTable } from './tables.js'
import { collectionIn, isGeneric } from './titles.js'

/** How a body is read on from one block to the next. */
interface Cursor {
  place: Place
  /** The owner, then the items found in this body that are still open. */
  open: Draft[]
  /** A label whose value stands in the next block. */
  waiting?: Field | undefined
  /** Prose introduced the next list, or a label that is no field. */
  introduced: boolean
  /** What the next list was announced to hold. */
  announced?: Pick<Place, 'collection' | 'strong' | 'enablerType'> | undefined
  /** What follows the block that is being read. */
  following?: Block | undefined
  /** The sentence of an epic or a feature that has stories besides is its own. */
  keepsSentences: boolean
}

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
  return cursor.open.at(-1)
}

function keepsSentences(blocks: readonly Block[], { owner }: Place, reading: Reading, hasItemsBelow: boolean): boolean {
  if (owner === undefined || isLeaf(owner)) return false
  const sentences = blocks.filter((block) => block.type === 'paragraph' && block.lines.some(opensSentence))
  return sentences.length === 1 && (hasItemsBelow || itemsWithin(blocks, reading) > 0 || holdsMarked(blocks, reading))
}

const opensSentence = (line: Line): boolean => /^(?:as (?:an?|the|any)|in order to)\s/i.test(line.text)

const holdsMarked = (blocks: readonly Block[], reading: Reading): boolean =>
  blocks.some(
    (block) =>
      block.type === 'paragraph' &&
      block.lines[0] !== undefined &&
      markerOf(block.lines[0], 'bold', reading) !== undefined,
  )

function readBlock(block: Block, cursor: Cursor, reading: Reading): void {
  switch (block.type) {
    case 'paragraph':
      return readParagraph(block, cursor, reading)
    case 'list':
      return readListAt(block, cursor, reading)
    case 'table':
      if (!readTable(block, at(cursor), reading)) keep(cursor, block)
      return rest(cursor)
    default:
      return readVerbatim(block, cursor)
  }
}

/** The place of what comes next: under the innermost open item. */
function at({ place, open }: Cursor): Place {
  const owner = open.at(-1)
  if (owner === place.owner) return place
  return { ...NOWHERE, owner }
}

function keep({ open }: Cursor, block: Block): void {
  open.at(-1)?.prose.push(block)
}

function rest(cursor: Cursor): void {
  cursor.waiting = undefined
  cursor.announced = undefined
  cursor.introduced = false
}

function readVerbatim(block: Verbatim, cursor: Cursor): void {
  const owner = cursor.open.at(-1)
  const scenario = block.kind === 'code' && isGherkin(block.text) && /\bthen\b/i.test(block.text)
  if (owner !== undefined && scenario && (isLeaf(owner) || cursor.waiting?.kind === 'criteria')) {
    takeField(owner, { kind: 'criteria', value: '' }, [block])
  } else keep(cursor, block)
  if (cursor.waiting?.kind !== 'criteria') rest(cursor)
}

function readListAt(list: List, cursor: Cursor, reading: Reading): void {
  const owner = cursor.open.at(-1)
  const { waiting, announced, introduced } = cursor
  rest(cursor)
  if (owner !== undefined && waiting !== undefined && takeWaiting(owner, waiting, list)) return
  const place = { ...at(cursor), ...announced }
  const left = readList(list, introduced ? { ...place, apart: true } : place, reading, (blocks, inner) => {
    readBody(blocks, inner, reading, false)
  })
  if (left !== undefined) keep(cursor, left)
}

/** A list under a label. Points and priorities among criteria are fields all the same. */
function takeWaiting(owner: Draft, waiting: Field, list: List): boolean {
  if (waiting.kind !== 'criteria') return takeField(owner, waiting, [list])
  const items = list.items.filter((item) => {
    const line = item.blocks[0]?.type === 'paragraph' ? item.blocks[0].lines[0] : undefined
    const [field] = line === undefined ? [] : fieldsIn(line.text, line.strong)
    const scalar =
      field?.kind === 'points' || field?.kind === 'priority' || field?.kind === 'moscow' || field?.kind === 'labels'
    return !(field !== undefined && scalar && field.value !== '' && takeField(owner, field, []))
  })
  return takeField(owner, waiting, [{ ...list, items }])
}

function readParagraph(paragraph: Paragraph, cursor: Cursor, reading: Reading): void {
  const { lines } = paragraph
  const prose: Line[] = []
  const flush = (): void => {
    if (prose.length > 0) keep(cursor, { type: 'paragraph', lines: prose.splice(0) })
  }
  const waited = cursor.waiting
  rest(cursor)
  if (waited !== undefined && takesParagraph(paragraph, waited, cursor)) return
  for (let index = 0; index < lines.length; ) {
    const line = lines[index] as Line
    const taken =
      readMarker(line, index, prose.length === 0, cursor, reading, flush) ||
      readFields(line, lines.slice(index + 1), cursor) ||
      readTitle(line, lines.slice(index + 1), cursor, reading, flush) ||
      readAnnouncement(line, cursor) ||
      readSentence(lines.slice(index), cursor, reading, flush) ||
      readSteps(lines.slice(index), cursor)
    if (taken === 0) prose.push(line)
    index += Math.max(taken, 1)
  }
  if (prose.length > 0 && prose.at(-1) === lines.at(-1)) introduce(prose.at(-1) as Line, waited, cursor)
  flush()
}

/** A line of prose before a list: "Tasks:" makes it a list of its own; "The following must hold:" keeps a label open. */
function introduce(line: Line, waited: Field | undefined, cursor: Cursor): void {
  const label = line.strong.replace(/[:：]$/, '') === line.text.replace(/[:：]$/, '')
  const colon = /[:：]$/.test(line.text)
  if (colon && !label && waited?.kind === 'criteria') cursor.waiting = waited
  else cursor.introduced = (label && line.text.length < 60) || colon
}

/** A paragraph under a label: steps of a scenario, or the label's value. */
function takesParagraph(paragraph: Paragraph, waited: Field, cursor: Cursor): boolean {
  const owner = cursor.open.at(-1)
  const first = paragraph.lines[0]
  if (owner === undefined || first === undefined || fieldsIn(first.text, first.strong).length > 0) return false
  if (waited.kind === 'criteria') {
    if (!isScenarioStep(first.text) && !isNumberedCriterion(first.text)) return false
    cursor.waiting = waited
    return takeField(owner, waited, [paragraph])
  }
  if (waited.kind === 'description' || waited.kind === 'sentence') return false
  return paragraph.lines.length === 1 && first.text.length < 200 && takeField(owner, waited, [paragraph])
}

/** A line that announces an item: "**Story 3:** Sign up". Gives how many lines were taken. */
function readMarker(
  line: Line,
  index: number,
  atStart: boolean,
  cursor: Cursor,
  reading: Reading,
  flush: () => void,
): number {
  const form: Form = line.strong === '' ? 'plain' : 'bold'
  if (!atStart || line.anchor || (form === 'plain' && line.text.length > 160)) return 0
  const marker = markerOf(line, form, reading)
  const owner = cursor.open.at(-1)
  if (marker === undefined || (form === 'plain' && (marker.title === '' || !/^[\p{Lu}\p{N}[(]/u.test(line.text))))
    return 0
  if (
    isLeaf(owner) &&
    marker.keys.length === 0 &&
    sentenceIn(marker.title) !== undefined &&
    owner.sentence === undefined
  ) {
    return 0 // "User story: As a …" is the sentence of the story it stands in
  }
  if (namesParent(marker, owner) && isField(line, index, owner, cursor, reading)) {
    owner.parents.push({
      text: line.text.replace(/^(?:epic|feature)\s*[:：]\s*/i, ''),
      type: marker.type,
      implied: false,
    })
    return 1
  }
  flush()
  const written = line.text
  start(
    drafted({ ...marker, form, written, marker, container: above(cursor, marker.type), groups: cursor.place.groups }),
    cursor,
    reading,
  )
  if (marker.tail !== '') keep(cursor, { type: 'paragraph', lines: [lineOf(marker.tail)] })
  return 1
}

/** "Epic: Accounts" inside a story names its epic; at the level of the story it is the next epic. */
function isField(line: Line, index: number, owner: Draft, cursor: Cursor, reading: Reading): boolean {
  if (owner === cursor.place.owner || index > 0) return true
  const marker = markerOf(line, 'bold', reading)
  const [name] = marker === undefined ? [] : [marker.title.toLowerCase()]
  return reading.drafts.some((draft) => draft.type === marker?.type && draft.title.toLowerCase() === name)
}

/** Closes what is open until something may hold an item of this type. */
function above(cursor: Cursor, type: Draft['type']): Draft | undefined {
  const { open, place } = cursor
  for (let top = open.at(-1); top !== undefined && top !== place.owner; top = open.at(-1)) {
    if (rankOf(top.type) < rankOf(type)) break
    open.pop()
  }
  return open.at(-1)
}

function start(draft: Draft, cursor: Cursor, reading: Reading): void {
  reading.drafts.push(draft)
  cursor.open.push(draft)
}

function readFields(line: Line, following: readonly Line[], cursor: Cursor): number {
  const owner = cursor.open.at(-1)
  const grouped = cursor.place.grouping && owner === cursor.place.owner
  const [first, ...more] = owner === undefined || grouped ? [] : fieldsIn(line.text, line.strong)
  if (owner === undefined || first === undefined) return 0
  if (first.value === '') {
    if (first.kind === 'sentence') return 1
    if (first.kind === 'title' || first.kind === 'type') return 0
    cursor.waiting = first
    return 1 + takeLinesBelow(owner, first, following)
  }
  if (!takeField(owner, first, [])) return 0
  for (const field of more) takeField(owner, field, [])
  return 1
}

/** Values in the lines of the same paragraph: "Acceptance criteria:" and then "Given …". */
function takeLinesBelow(owner: Draft, field: Field, following: readonly Line[]): number {
  const end = following.findIndex((line) => fieldsIn(line.text, line.strong).length > 0)
  const lines = following.slice(0, end < 0 ? following.length : end)
  if (field.kind !== 'criteria' || lines.length === 0) return 0
  takeField(owner, field, [{ type: 'paragraph', lines }])
  return lines.length
}

/** A line in bold is a story's title when the story's sentence or fields follow it. */
function readTitle(
  line: Line,
  following: readonly Line[],
  cursor: Cursor,
  reading: Reading,
  flush: () => void,
): number {
  if (line.strong !== line.text || line.text.length > 120 || /[:：.]$/.test(line.text)) return 0
  const owner = cursor.open.at(-1)
  if (isLeaf(owner) && owner === cursor.place.owner) return 0
  const [next] = following
  const told = next === undefined ? tellsStory(cursor.following) : opensSentence(next)
  if (!told || isGeneric(line.text) || collectionIn(line.text) !== undefined) return 0
  flush()
  const container = above(cursor, 'story')
  const { groups } = cursor.place
  start(
    drafted({ type: 'story', form: 'bold', strong: true, title: line.text, written: line.text, container, groups }),
    cursor,
    reading,
  )
  return 1
}

/** True when paragraphs among the blocks are stories of their own. */
export const holdsStories = (blocks: readonly Block[]): boolean =>
  blocks.some((block, index) => {
    const [first] = block.type === 'paragraph' ? block.lines : []
    if (block.type !== 'paragraph' || first === undefined) return false
    if (sentenceOver(block.lines) !== undefined) return true
    return (
      first.strong === first.text && fieldsIn(first.text, first.strong).length === 0 && tellsStory(blocks[index + 1])
    )
  })

/** A block that opens with a story sentence, or a list with one or with acceptance criteria or points. */
function tellsStory(block: Block | undefined): boolean {
  if (block?.type === 'paragraph') return block.lines[0] !== undefined && opensSentence(block.lines[0])
  if (block?.type !== 'list') return false
  const heads = block.items.flatMap((item) => headOf(item) ?? [])
  const [first, second] = heads
  if (first !== undefined && opensSentence(first)) return second === undefined || sentenceIn(second.text) === undefined
  const kinds = heads.flatMap((head) => fieldsIn(head.text, head.strong)).map(({ kind }) => kind)
  return kinds.includes('criteria') || (kinds.includes('points') && kinds.length > 1)
}

/** "**User stories**" or "Stories:" before a list. */
function readAnnouncement(line: Line, cursor: Cursor): number {
  const label = /[:：]$/.test(line.text) || (line.strong === line.text && line.text.length < 60)
  const collection = label ? collectionIn(line.text) : undefined
  const { types, strong, enablerType } = collection ?? { types: [], strong: false }
  if (types.length === 0 || (cursor.open.length === 0 && !(strong && line.strong !== ''))) return 0
  cursor.announced = { collection: types, strong, enablerType }
  return 1
}

/** A story sentence over one or several lines. */
function readSentence(lines: readonly Line[], cursor: Cursor, reading: Reading, flush: () => void): number {
  const found = sentenceOver(lines)
  if (found === undefined || cursor.keepsSentences) return 0
  const { sentence, code, count } = found
  const owner = cursor.open.at(-1)
  if (isLeaf(owner) && owner.sentence === undefined && code === '') {
    tell(owner, sentence, lines.slice(0, count))
    takeRest(owner, sentence)
    return count
  }
  if (sentence.plural && owner === undefined && cursor.place.collection.length === 0) return 0
  if (isLeaf(owner) && code === '' && owner === cursor.place.owner) return 0
  flush()
  const draft = drafted({
    type: 'story',
    form: 'plain',
    strong: sentence.soThat !== '' || cursor.place.strong,
    title: code,
    written: lines[0]?.text ?? '',
    container: above(cursor, 'story'),
    groups: cursor.place.groups,
  })
  tell(draft, sentence, lines.slice(0, count))
  takeRest(draft, sentence)
  start(draft, cursor, reading)
  return count
}

function takeRest(draft: Draft, sentence: Sentence): void {
  for (const field of fieldsIn(sentence.rest)) takeField(draft, field, [])
}

/** "PO-001" before the sentence is the story's code, "User story:" its label. */
const BEFORE_SENTENCE =
  /^(?:(?:user )?story\s*[:：]\s*)?([A-Z][A-Z0-9]*(?:[-_.]?\d+)+)?\s*[:：.)–—-]*\s*(?=(?:as (?:an?|the|any)|in order to)\s)/i

function sentenceOver(lines: readonly Line[]): { sentence: Sentence; code: string; count: number } | undefined {
  const lead = BEFORE_SENTENCE.exec(lines[0]?.text ?? '')
  if (lead === null) return undefined
  const end = lines.findIndex(
    (line, index) => index > 0 && (fieldsIn(line.text, line.strong).length > 0 || opensSentence(line)),
  )
  const own = lines.slice(0, end < 0 ? lines.length : end)
  const text = own
    .map((line) => line.text)
    .join(' ')
    .slice(lead[0].length)
  const sentence = sentenceIn(text)
  return sentence && { sentence, code: lead[1] ?? '', count: own.length }
}

/** "Given …" in a story needs no label. */
function readSteps(lines: readonly Line[], cursor: Cursor): number {
  const owner = cursor.open.at(-1)
  const [first] = lines
  if (!isLeaf(owner) || first === undefined || cursor.place.apart) return 0
  if (!opensScenario(first.text) && !isNumberedCriterion(first.text)) return 0
  const end = lines.findIndex((line) => !isScenarioStep(line.text) && !isNumberedCriterion(line.text))
  const steps = lines.slice(0, end < 0 ? lines.length : end)
  takeField(owner, { kind: 'criteria', value: '' }, [{ type: 'paragraph', lines: steps }])
  return steps.length
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
