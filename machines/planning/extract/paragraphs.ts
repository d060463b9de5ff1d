// Paragraphs, line by line: a line announces an item, is a field, tells a story, or is prose.
// The readers are tried in order, and the first that takes a line takes as many of the following as belong to it.
// A line counts by its beginning; what the middle of a paragraph says is prose, but for a whole story sentence.

import type { Block, Line, Paragraph } from '../blocks.js'
import { keysOf } from './codes.js'
import { isNumberedCriterion, isScenarioStep, opensScenario } from './criteria.js'
import { above, type Cursor, keep, ownerAt, rest, start } from './cursor.js'
import { type Draft, drafted, isLeaf, lineOf, takeField, tell } from './drafts.js'
import { type Field, fieldsAmong, fieldsIn } from './fields.js'
import { type Form, outlineNumber, withoutOutline } from './markers.js'
import { headOf, isNamed, markerOf, namesParent, type Reading } from './reading.js'
import { type Sentence, sentenceIn } from './sentences.js'
import { collectionIn, isGeneric } from './titles.js'

/** A line in its paragraph. */
interface Place {
  line: Line
  /** The lines after it, up to a bound. */
  following: readonly Line[]
  first: boolean
  /** True when no prose of the same paragraph stands before it. */
  leads: boolean
  cursor: Cursor
  reading: Reading
  /** Leaves the prose before this line to the item that was open until now. */
  flush: () => void
}

/** Gives how many lines it took. */
type LineReader = (place: Place) => number

const READERS: readonly LineReader[] = [
  readMarker,
  readFields,
  readTitle,
  readAnnouncement,
  readSentence,
  readSteps,
  readWithin,
]

/** No sentence and no value is longer than this. */
const MOST_LINES = 100

/** Reads a paragraph; what is prose in it stays with the item that is open where it stands. */
export function readParagraph(paragraph: Paragraph, cursor: Cursor, reading: Reading): void {
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
    const following = lines.slice(index + 1, index + MOST_LINES)
    const place: Place = { line, following, first: index === 0, leads: prose.length === 0, cursor, reading, flush }
    const taken = firstTaken(place)
    if (taken === 0) prose.push(line)
    index += Math.max(taken, 1)
  }
  const last = prose.at(-1)
  if (last !== undefined && last === lines.at(-1)) introduce(last, waited, cursor)
  flush()
}

function firstTaken(place: Place): number {
  for (const read of READERS) {
    const taken = read(place)
    if (taken > 0) return taken
  }
  return 0
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
  const owner = ownerAt(cursor)
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

/** "**Story 3:** Sign up", "Epic: Accounts". */
function readMarker({ line, first, leads, cursor, reading, flush }: Place): number {
  const form: Form = line.strong === '' ? 'plain' : 'bold'
  const marker = leads && !line.anchor ? markerOf(line, form, reading) : undefined
  if (marker === undefined || (form === 'plain' && (marker.title === '' || !isShortLine(line)))) return 0
  const owner = ownerAt(cursor)
  const sentence = marker.keys.length === 0 ? sentenceIn(marker.title) : undefined
  // "User story: As a …" is the sentence of the story it stands in.
  if (isLeaf(owner) && sentence !== undefined && owner.sentence === undefined) return 0
  // "Epic: Accounts" inside a story names its epic; at the level of the story it is the next epic.
  if (namesParent(marker, owner) && (owner === cursor.place.owner || !first || isNamed(reading, marker))) {
    takeField(owner, { kind: 'parent', value: withoutLabel(line.text), parentType: marker.type }, [])
    return 1
  }
  flush()
  const { groups } = cursor.place
  const news = { ...marker, form, written: line.text, marker, container: above(cursor, marker.type), groups }
  start(drafted(news), cursor, reading)
  if (marker.tail !== '') keep(cursor, { type: 'paragraph', lines: [lineOf(marker.tail)] })
  return 1
}

const isShortLine = ({ text }: Line): boolean => text.length <= 160 && /^[\p{Lu}\p{N}[(]/u.test(text)

/** "Epic: Accounts" without "Epic:"; "Epic 2: Accounts" as it is. */
const withoutLabel = (text: string): string => text.replace(/^(?:epic|feature)\s*[:：]\s*/i, '')

function readFields({ line, following, cursor }: Place): number {
  const owner = ownerAt(cursor)
  const grouped = cursor.place.grouping && owner === cursor.place.owner
  const [first, ...more] = owner === undefined || grouped ? [] : fieldsIn(line.text, line.strong)
  if (owner === undefined) return 0
  if (first === undefined) {
    for (const field of grouped ? [] : fieldsAmong(line.text)) takeField(owner, field, [])
    return 0 // the rest of such a line is prose
  }
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
function readTitle({ line, following, cursor, reading, flush }: Place): number {
  if (line.strong !== line.text || line.text.length > 120 || /[:：.]$/.test(line.text)) return 0
  const owner = ownerAt(cursor)
  if (isLeaf(owner) && owner === cursor.place.owner) return 0
  const [next] = following
  const told = next === undefined ? tellsStory(cursor.following) : sentenceOver(following)?.code === ''
  const names =
    !isGeneric(line.text) && collectionIn(line.text) === undefined && fieldsIn(line.text, line.strong).length === 0
  if (!told || !names) return 0
  flush()
  const { text: title } = line
  const { groups } = cursor.place
  const container = above(cursor, 'story')
  start(
    drafted({ type: 'story', form: 'bold', strong: true, title, written: title, container, groups }),
    cursor,
    reading,
  )
  return 1
}

/** A block that opens with a story sentence, or a list with one or with acceptance criteria or points. */
function tellsStory(block: Block | undefined): boolean {
  if (block?.type === 'paragraph') return sentenceOver(block.lines)?.code === ''
  if (block?.type !== 'list') return false
  const heads = block.items.flatMap((item) => headOf(item) ?? [])
  const [first, second] = heads
  if (first !== undefined && opensSentence(first)) return second === undefined || sentenceIn(second.text) === undefined
  const kinds = heads.flatMap((head) => fieldsIn(head.text, head.strong)).map(({ kind }) => kind)
  return kinds.includes('criteria') || (kinds.includes('points') && kinds.length > 1)
}

/** True when paragraphs among the blocks are stories of their own. */
export const holdsStories = (blocks: readonly Block[]): boolean =>
  blocks.some((block, index) => {
    const [first] = block.type === 'paragraph' ? block.lines : []
    if (block.type !== 'paragraph' || first === undefined) return false
    if (sentenceOver(block.lines) !== undefined) return true
    const titled = first.strong === first.text && fieldsIn(first.text, first.strong).length === 0
    return titled && tellsStory(blocks[index + 1])
  })

/** "**User stories**" or "Stories:" before a list. */
function readAnnouncement({ line, following, cursor }: Place): number {
  const alone = following.length === 0 && cursor.following?.type === 'list' && ownerAt(cursor) !== undefined
  const label = /[:：]$/.test(line.text) || (line.text.length < 60 && (line.strong === line.text || alone))
  const collection = label ? collectionIn(line.text) : undefined
  if (collection === undefined) return 0
  const { types, strong, enablerType } = collection
  const listed = line.strong !== '' || (cursor.following?.type === 'list' && following.length === 0)
  if (ownerAt(cursor) === undefined && !(strong && listed)) return 0
  cursor.announced = { collection: types, strong, enablerType }
  return 1
}

/** A story sentence over one or several lines. */
function readSentence({ line, following, cursor, reading, flush }: Place): number {
  const lines = [line, ...following]
  const found = cursor.keepsSentences ? undefined : sentenceOver(lines)
  if (found === undefined) return 0
  const { sentence, code, count } = found
  const owner = ownerAt(cursor)
  if (isLeaf(owner) && code === '') {
    if (owner.sentence !== undefined && owner === cursor.place.owner) return 0
    if (owner.sentence === undefined) return tellWhole(owner, sentence, lines.slice(0, count))
  }
  if (sentence.plural && owner === undefined && cursor.place.collection.length === 0) return 0
  flush()
  const strong = sentence.soThat !== '' || cursor.place.strong
  const { groups } = cursor.place
  const container = above(cursor, 'story')
  const title = withoutOutline(code)
  const draft = drafted({ type: 'story', form: 'plain', strong, title, written: line.text, container, groups })
  draft.keys.push(...keysOf('story', outlineNumber(code)))
  start(draft, cursor, reading)
  return tellWhole(draft, sentence, lines.slice(0, count))
}

function tellWhole(draft: Draft, sentence: Sentence, lines: readonly Line[]): number {
  tell(draft, sentence, lines)
  for (const field of fieldsIn(sentence.rest)) takeField(draft, field, [])
  return lines.length
}

export const opensSentence = (line: Line): boolean => /^(?:as (?:an?|the|any)|in order to)\s/i.test(line.text)

/** "PO-001" before the sentence is the story's code, "User story:" its label. */
const BEFORE_SENTENCE =
  /^(?:(?:user )?story\s*[:：]\s*)?([A-Z][A-Z0-9]*(?:[-_.]?\d+)+)?\s*[:：.)–—-]*\s*(?=(?:as (?:an?|the|any)|in order to)\s)/i

interface Told {
  sentence: Sentence
  /** What stands before the sentence and names it; empty when nothing does. */
  code: string
  /** How many lines it takes. */
  count: number
}

/** The code or the title before a sentence, and how much of the line that is. */
function leadOf(line: Line | undefined): { code: string; length: number } | undefined {
  const text = line?.text ?? ''
  const coded = BEFORE_SENTENCE.exec(text)
  if (coded !== null) return { code: coded[1] ?? '', length: coded[0].length }
  const strong = line?.strong ?? ''
  // "**1.1 Guest list** – As a host, …"
  const gap = /^\s*[:：–—-]\s+(?=(?:as (?:an?|the|any)|in order to)\s)/i.exec(text.slice(strong.length))
  return strong === '' || gap === null ? undefined : { code: strong, length: strong.length + gap[0].length }
}

function sentenceOver(lines: readonly Line[]): Told | undefined {
  const lead = leadOf(lines[0])
  if (lead === undefined) return undefined
  const ends = (line: Line): boolean => fieldsIn(line.text, line.strong).length > 0 || opensSentence(line)
  const end = lines.findIndex((line, index) => index > 0 && ends(line))
  const own = lines.slice(0, end < 0 ? lines.length : end)
  const text = own.map((line) => line.text).join(' ')
  const sentence = sentenceIn(text.slice(lead.length))
  return sentence && { sentence, code: lead.code, count: own.length }
}

/** "Given …" in a story needs no label. */
function readSteps({ line, following, cursor }: Place): number {
  const owner = ownerAt(cursor)
  if (!isLeaf(owner) || cursor.place.apart) return 0
  if (!opensScenario(line.text) && !isNumberedCriterion(line.text)) return 0
  const lines = [line, ...following]
  const end = lines.findIndex(({ text }) => !isScenarioStep(text) && !isNumberedCriterion(text))
  const steps = lines.slice(0, end < 0 ? lines.length : end)
  takeField(owner, { kind: 'criteria', value: '' }, [{ type: 'paragraph', lines: steps }])
  return steps.length
}

/** "…. As a clerk, I want to enter a ship once so that I type it once. …": a whole sentence, wherever it stands. */
const WITHIN = /(?<=[.!?]["”’)]?\s+)As an? [^,.;:]{2,60}, I (?:want|need|would like)\b[^.!?]{5,300}[.!?](?=\s|$)/g

/** The stories that prose tells, where the prose is not that of a story itself. What is around them stays prose. */
function readWithin({ line, cursor, reading, flush }: Place): number {
  const owner = ownerAt(cursor)
  if (cursor.keepsSentences || (isLeaf(owner) && !(owner.form === 'plain' && owner.sentence))) return 0
  const told = [...line.text.matchAll(WITHIN)].flatMap(([text]) => sentenceIn(text) ?? [])
  if (told.length === 0) return 0
  keep(cursor, { type: 'paragraph', lines: [line] })
  flush()
  for (const sentence of told) {
    const container = above(cursor, 'story')
    const { groups } = cursor.place
    const strong = sentence.soThat !== ''
    const written = line.text
    start(drafted({ type: 'story', form: 'plain', strong, title: '', written, container, groups }), cursor, reading)
    tellWhole(ownerAt(cursor) as Draft, sentence, [])
  }
  return 1
}
