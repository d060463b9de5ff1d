// Tables: a row an item, or a row a field of the item that the table stands under.
// Columns are known by their headings; a column nobody knows becomes a line of the item's description.
// A table that compares, counts or refers to items makes none.

import type { Table } from '../blocks.js'
import type { ItemType } from '../document.js'
import { keysOf, plainKey, trackerCode } from './codes.js'
import { type Draft, drafted, isLeaf, lineOf, rankOf, setKey, takeField } from './drafts.js'
import { type Field, type FieldKind, labelKind } from './fields.js'
import { markerIn, saysNothing, typeNamed } from './markers.js'
import { add, type Place, type Reading } from './reading.js'
import { sentenceIn } from './sentences.js'

type Column = FieldKind | ItemType | 'name' | 'asA' | 'iWant' | 'soThat' | 'other'

const HEADINGS: readonly [Column, RegExp][] = [
  ['story', /^(?:user )?stor(?:y|ies)(?: (?:title|name|statement|description))?$/],
  ['enabler', /^(?:technical )?(?:enabler|spike)s?(?: (?:title|name))?$/],
  ['feature', /^(?:parent )?features?(?: (?:title|name|link))?$/],
  ['epic', /^(?:parent )?epics?(?: (?:title|name|link))?$/],
  ['id', /^(?:#|no\.?|nr\.?|number|ref(?:erence)?|code|(?:issue )?key|ticket|issue|(?:[\w-]+ )?id)$/],
  ['name', /^(?:title|name|summary|item|work item|backlog item|requirement|task|deliverable)$/],
  ['asA', /^(?:as an?(?:\/an)?(?: \.{3}|…)?|role|persona|actor|user(?: type)?)$/],
  ['iWant', /^(?:i (?:want|need|can)(?: to)?|i['’]d like(?: to)?|want|goal|action)(?: \.{3}|…)?$/],
  ['soThat', /^(?:so that(?: i can)?|benefit|reason|outcome|value)(?: \.{3}|…)?$/],
  ['description', /^(?:description|details?)$/],
]

/** True when the table was taken: as items, or as fields of the owner. */
export function readTable(table: Table, place: Place, reading: Reading): boolean {
  return readItems(table, place, reading) || readPairs(table, place)
}

function columnsOf(table: Table): Column[] {
  const columns = table.header.map(columnOf)
  // "User" and "Goal" are roles and wishes only side by side.
  const told = columns.includes('asA') && columns.includes('iWant')
  const plain = columns.map((column) =>
    !told && (column === 'asA' || column === 'iWant' || column === 'soThat') ? 'other' : column,
  )
  return plain
}

function columnOf(heading: string): Column {
  const words = heading
    .toLowerCase()
    .replace(/[*:：?…]|\.{2,}/g, '')
    .replace(/\s+/g, ' ')
    .trim()
  const known = HEADINGS.find(([, pattern]) => pattern.test(words))?.[0]
  return known ?? labelKind(words.replace(/\s*\([^)]*\)$/, '')) ?? 'other'
}

const namesItems = (column: Column): boolean =>
  column === 'story' || column === 'feature' || column === 'epic' || column === 'enabler'

/** False for a column of counts ("Stories: 12") and of mere references ("US-1, US-2", "Epic 2"). */
function holdsTitles(table: Table, index: number): boolean {
  const cells = table.rows.map((row) => row[index] ?? '').filter((cell) => cell !== '')
  const wordy = cells.filter((cell) => /\p{L}{2}/u.test(cell.replace(REFERENCE, '')))
  return wordy.length * 2 > cells.length
}

const REFERENCE = /\b(?:(?:epic|feature|story|enabler)\s*#?[\d.]+|[A-Z]{1,7}[-_]?[\d.]+)\b/gi

function readItems(table: Table, place: Place, reading: Reading): boolean {
  const columns = columnsOf(table)
  const type = rowType(table, columns, place)
  if (type === undefined) return false
  const drafts = table.rows.flatMap((row) => readRow(row, { table, columns, type, place, reading }))
  for (const draft of drafts) add(reading, draft)
  return drafts.length > 0
}

const PLANNED: readonly Column[] = [
  'id',
  'points',
  'priority',
  'moscow',
  'criteria',
  'labels',
  'depends',
  'parent',
  'epic',
]

/** The type of the rows; "each its own" where a column says it. Undefined for a table that is not one of items. */
function rowType(table: Table, columns: readonly Column[], { collection, owner }: Place): ItemType | 'own' | undefined {
  const has = (...wanted: Column[]): boolean => wanted.some((column) => columns.includes(column))
  const planned = columns.some((column) => PLANNED.includes(column))
  const titles = (column: Column): boolean => has(column) && holdsTitles(table, columns.indexOf(column))
  const told = has('asA') ? 'story' : (['story', 'enabler', 'feature', 'epic'] as const).find(titles)
  const named = told ?? (has('name', 'description') ? idType(table, columns) : undefined)
  if (isLeaf(owner)) return undefined
  if (has('type') && has('name', 'story', 'feature', 'description') && typedRows(table, columns)) return 'own'
  const [first] = collection
  if (named !== undefined) {
    const sentences = table.rows.some((row) => row.some((cell) => sentenceIn(cell) !== undefined))
    const sure =
      has('asA') || sentences || planned || first === named || (named === 'epic' && has('description', 'name'))
    return sure ? named : undefined
  }
  if (!has('name', 'description')) return undefined
  if (toldRows(table, columns)) return 'story'
  return has('id') && codedRows(table, columns) ? 'own' : first
}

/** "Story ID" says what the rows are. */
function idType(table: Table, columns: readonly Column[]): ItemType | undefined {
  const heading = table.header[columns.indexOf('id')] ?? ''
  return typeNamed(/^(.+) (?:id|key|no\.?|#)$/i.exec(heading)?.[1] ?? '')
}

/** Rows of requirements that are story sentences, most of them. */
function toldRows(table: Table, columns: readonly Column[]): boolean {
  const told = table.rows.filter((row) =>
    columns.some((column, index) => (column === 'name' || column === 'description') && sentenceIn(row[index] ?? '')),
  )
  return told.length * 2 > table.rows.length
}

const typedRows = (table: Table, columns: readonly Column[]): boolean =>
  table.rows.some((row) => typeNamed(row[columns.indexOf('type')] ?? '') !== undefined)

const codedRows = (table: Table, columns: readonly Column[]): boolean =>
  table.rows.every((row) => typeOfCode(row[columns.indexOf('id')] ?? '') !== undefined)

const typeOfCode = (cell: string): ItemType | undefined => markerIn(cell, { form: 'heading', lettersCount: true })?.type

interface Row {
  table: Table
  columns: readonly Column[]
  type: ItemType | 'own'
  place: Place
  reading: Reading
}

function readRow(row: readonly string[], { table, columns, type: rowsType, place }: Row): Draft[] {
  const cell = (column: Column): string => (columns.includes(column) ? (row[columns.indexOf(column)] ?? '').trim() : '')
  const type = rowsType === 'own' ? (typeNamed(cell('type')) ?? typeOfCode(cell('id'))) : rowsType
  if (type === undefined) return []
  const title = rowTitle(type, cell)
  const bare = title.replace(/\s+/g, ' ')
  if (bare === '' || /^(?:sub-?)?(?:total|sum)s?$/i.test(bare) || saysNothing(bare)) return []
  const marker = markerIn(bare, { form: 'heading', lettersCount: true })
  const draft = drafted({
    type,
    form: 'row',
    strong: type !== 'feature' || place.strong,
    title: marker?.type === type && marker.title !== '' ? marker.title : bare,
    written: cell('id') || bare,
    ...(marker?.type === type && { marker }),
    container: place.owner,
    groups: place.groups,
    enablerType: place.enablerType,
  })
  for (const [index, column] of columns.entries())
    takeCell(draft, column, (row[index] ?? '').trim(), table.header[index] ?? '', bare)
  return [draft]
}

function rowTitle(type: ItemType, cell: (column: Column) => string): string {
  if (cell('asA') !== '' && cell('iWant') !== '') {
    const [role, wish, reason] = [cell('asA'), cell('iWant'), cell('soThat')].map((part) => part.replace(/\s+/g, ' '))
    const wished = wish?.replace(/^(?:i (?:want|need) )?(?:to )?/i, 'to ')
    return `As a ${role?.replace(/^as an? /i, '')}, I want ${wished}${reason ? `, so that ${reason.replace(/^so that /i, '')}` : ''}`
  }
  const own = cell(type)
  const name = cell('name') || cell('title')
  return name !== '' && (own === '' || sentenceIn(own) === undefined) ? name : own || name || cell('description')
}

const TOLD: readonly Column[] = ['asA', 'iWant', 'soThat', 'name', 'title']

function takeCell(draft: Draft, column: Column, text: string, heading: string, title: string): void {
  if (text === '' || saysNothing(text) || text.replace(/\s+/g, ' ') === title) return
  if (column === 'id') {
    const marker = markerIn(text, { form: 'heading', lettersCount: true })
    const numbered = /^\d+(?:\.\d+)*$/.test(text) ? keysOf(draft.type, text) : undefined
    const keys = marker?.type === draft.type ? marker.keys : (numbered ?? trackerCode(text)?.keys ?? [plainKey(text)])
    draft.keys.push(...keys)
    setKey(draft, text)
    draft.number ||= marker?.number ?? ''
  } else if (namesItems(column)) takeName(draft, column as ItemType, text)
  else if (TOLD.includes(column)) return
  else if (column === 'other' || !takeField(draft, fieldOf(column as FieldKind, text), [])) {
    draft.prose.push({ type: 'paragraph', lines: [lineOf(`${heading}: ${text.replace(/\n/g, ' ')}`)] })
  }
}

const fieldOf = (kind: FieldKind, value: string): Field => ({ kind, value })

/** The epic of a story, or the sentence of a story that also has a title. */
function takeName(draft: Draft, type: ItemType, text: string): void {
  const sentence = type === draft.type ? sentenceIn(text) : undefined
  if (sentence !== undefined && draft.type === 'story') {
    draft.sentence ??= sentence
    draft.prose.push({ type: 'paragraph', lines: [lineOf(text)] })
  } else if (rankOf(type) < rankOf(draft.type)) draft.parents.push({ text, type, implied: true })
}

/** A table of two columns whose rows are fields: "| Priority | High |". */
function readPairs(table: Table, { owner }: Place): boolean {
  if (owner === undefined || table.header.length !== 2) return false
  const rows = [table.header, ...table.rows].map(([label = '', value = '']) => ({
    label,
    value,
    kind: labelKind(label),
  }))
  const known = rows.filter((row) => row.kind !== undefined)
  if (known.length < 2 || known.length * 2 < table.rows.length) return false
  const left = rows.filter(({ kind, value }) => kind === undefined || !takeField(owner, fieldOf(kind, value), []))
  const lines = left.filter(({ label }) => !/^(?:field|attribute|property|key|)$/i.test(label))
  if (lines.length > 0) {
    owner.prose.push({ type: 'paragraph', lines: lines.map(({ label, value }) => lineOf(`${label}: ${value}`)) })
  }
  return true
}
