// Fields: lines such as "Priority: High", "Depends on US-3", "Acceptance criteria:", and notes in a title such as "(5 points)".
// A line gives one or several fields, or none; a title is given back without its notes.
// What a field's value means is read elsewhere; a line that merely contains such a word is prose.

import type { ItemType } from '../document.js'
import { trackerCode } from './codes.js'
import { pointsIn, priorityIn, unitPointsIn } from './values.js'

export type FieldKind =
  | 'criteria'
  | 'points'
  | 'priority'
  | 'moscow'
  | 'labels'
  | 'depends'
  | 'blocks'
  | 'parent'
  | 'type'
  | 'title'
  | 'description'
  | 'sentence'
  | 'id'

export interface Field {
  kind: FieldKind
  /** Empty when the value stands below: in a list, a paragraph or a section. */
  value: string
  /** For a parent: the type that the label names ("Epic:"). */
  parentType?: ItemType
}

const LABELS: readonly [FieldKind, string][] = [
  [
    'criteria',
    String.raw`(?:\w+ )?acceptance criteri(?:a|on)|acceptance (?:tests?|scenarios?)|acceptance|conditions? of satisfaction|success criteria|a\.?c\.?s?|criteria`,
  ],
  [
    'points',
    `story[ -]?points?(?: estimate)?|points?|pts|sp|(?:effort )?estimat(?:e|es|ion)|estimated (?:effort|points|complexity|size)|effort|size|complexity|weight`,
  ],
  ['moscow', 'moscow(?: priority)?|priority \\(moscow\\)'],
  ['priority', 'priority|prio|importance|urgency'],
  ['labels', 'labels?|tags?'],
  [
    'depends',
    `depend(?:s|ent|ing)? (?:up)?on|dependenc(?:y|ies)|depends|is blocked by|blocked (?:by|on)|pre-?requisites?|requires`,
  ],
  ['blocks', 'blocks|blocking|is required by|required by'],
  [
    'parent',
    `(?:parent|part of|belongs to)(?: (?:epic|feature|item|issue|story))?|(?:epic|feature)(?: (?:link|id|key|ref))?`,
  ],
  ['type', '(?:issue |item |work item |enabler )?type|category'],
  ['title', '(?:(?:epic|feature|story|enabler) )?(?:title|name)|summary'],
  ['description', 'description'],
  ['sentence', '(?:user )?story(?: statement)?|as a user story|narrative'],
  ['id', '(?:(?:epic|feature|story|user story|enabler|issue) )?(?:id|key)'],
]

const ONE = new RegExp(
  `^(?:${LABELS.map(([kind, words]) => `(?<${kind}>${words})`).join('|')})(?:\\s*\\([^()]{1,40}\\))?\\s*$`,
  'i',
)

/** The field that a whole label names: "Acceptance criteria", "Depends on". */
export function labelKind(label: string): FieldKind | undefined {
  if (label.length > 60) return undefined
  const groups = ONE.exec(label.trim())?.groups ?? {}
  return LABELS.find(([kind]) => groups[kind] !== undefined)?.[0]
}

/** Fields that may share a line: "Points: 5 | Priority: High". */
const SHARED: readonly FieldKind[] = [
  'points',
  'priority',
  'moscow',
  'labels',
  'depends',
  'blocks',
  'parent',
  'type',
  'id',
]
const SHARED_LABEL = new RegExp(
  `(?:^|[\\s|·•;,(])(${LABELS.filter(([kind]) => SHARED.includes(kind))
    .map(([, words]) => words)
    .join('|')})\\s*[:=：]\\s*`,
  'gi',
)

const CHECKED = /^[☐☑✅✔✓❌🔲\s]+/u
const LABELLED = /^([A-Za-z][\w./ -]{0,40}?(?:\s*\([^()]{1,40}\))?)\s*[:=：]\s*(.*)$/s
const SPOKEN =
  /^(?:this (?:story|feature|epic|enabler|item|work) )?((?:is )?(?:depends? (?:up)?on|dependent (?:up)?on|blocked by))\s+(.{2,300})$/is
const COUNTED = /^(story[ -]?points?|estimate|points?|priority|prio|effort)\s*(?:[–—-]|\s)\s*\(?(.{1,30}?)\)?$/i

/** The fields of a line; empty when it is not a line of fields. `strong` is the part of it that leads in bold. */
export function fieldsIn(text: string, strong = ''): Field[] {
  const line = text.replace(CHECKED, '')
  const bold = strong.replace(/[\s:：]+$/, '')
  const kind = bold === '' ? undefined : labelKind(bold)
  if (kind !== undefined && line.startsWith(bold)) {
    return split(fieldOf(kind, bold, line.slice(bold.length).replace(/^(?:\s*\([^()]{1,40}\))?\s*[:：=–—-]?\s*/, '')))
  }
  if (/^acceptance (?:criteria|scenarios|tests)$/i.test(line)) return [{ kind: 'criteria', value: '' }]
  const labelled = LABELLED.exec(line)
  const named = labelled === null ? undefined : labelKind(labelled[1] ?? '')
  if (labelled !== null && named !== undefined) return split(fieldOf(named, labelled[1] ?? '', labelled[2] ?? ''))
  return spoken(line)
}

/** The fields of a heading: it needs no colon to be a label. */
export function headingFieldsIn(title: string): Field[] {
  const kind = labelKind(title.replace(/[\s:：]+$/, ''))
  return kind === undefined ? fieldsIn(title) : [fieldOf(kind, title, '')]
}

function spoken(line: string): Field[] {
  const depends = SPOKEN.exec(line)
  if (depends !== null) return [{ kind: 'depends', value: firstClause(depends[2] ?? '') }]
  const counted = line.length > 60 ? null : COUNTED.exec(line)
  if (counted === null) return wholeNote(line)
  const kind = labelKind(counted[1] ?? '') ?? 'points'
  const value = counted[2] ?? ''
  const readable = kind === 'priority' ? priorityIn(value) !== undefined : /^\d/.test(value)
  return readable ? [{ kind, value }] : []
}

const firstClause = (text: string): string => /^.*?(?=[.;](?:\s|$)|$)/s.exec(text)?.[0] ?? text

function fieldOf(kind: FieldKind, label: string, value: string): Field {
  const field = { kind, value: value.trim() }
  const named = kind === 'parent' ? /epic|feature/i.exec(label)?.[0]?.toLowerCase() : undefined
  return named === 'epic' || named === 'feature' ? { ...field, parentType: named } : field
}

/** The fields that follow in the value of the first. */
function split(first: Field): Field[] {
  if (!SHARED.includes(first.kind)) return [first]
  const starts = [...first.value.matchAll(SHARED_LABEL)].filter((match) => match.index > 0)
  if (starts.length === 0) return [first]
  const tidy = (text: string): string => text.replace(/^[\s|·•;,()–—]+|[\s|·•;,(–—]+$/g, '')
  const rest = starts.map((match, index) => {
    const value = first.value.slice(match.index + match[0].length, starts[index + 1]?.index).replace(/\s--?\s*$/, '')
    return fieldOf(labelKind(match[1] ?? '') ?? 'labels', match[1] ?? '', tidy(value))
  })
  return [{ ...first, value: tidy(first.value.slice(0, starts[0]?.index)) }, ...rest]
}

/** Fields among others in a line: "Status: open | Owner: Kim | Priority: P1". */
export function fieldsAmong(text: string): Field[] {
  if (!/\s[|·•]\s/.test(text)) return []
  return text.split(/\s[|·•]\s/).flatMap((part) => fieldsIn(part.trim()).filter((field) => field.value !== ''))
}

/** A line that is nothing but a note: "5 points", "P1", "High priority". */
function wholeNote(line: string): Field[] {
  const text = line.replace(/^[[({]|[\])}.]$/g, '').trim()
  return text.length > 40 ? [] : notesIn(text)
}

/** The fields that a note means, or none when any part of it means nothing. */
function notesIn(note: string): Field[] {
  const listed = LABELLED.exec(note)
  const kind = labelKind(listed?.[1] ?? '')
  if (listed !== null && (kind === 'labels' || kind === 'depends')) return split(fieldOf(kind, '', listed[2] ?? ''))
  const parts = note.split(/\s*[,;|/·]\s*/).filter((part) => part !== '')
  const fields = parts.map(noteOf)
  return fields.every((field) => field !== undefined) ? fields : []
}

function noteOf(part: string): Field | undefined {
  if (unitPointsIn(part) !== undefined) return { kind: 'points', value: part }
  if (/^p[0-5]$/i.test(part) || /^(?:urgent|critical|high|medium|low)(?:[ -]priority)?$/i.test(part)) {
    return { kind: 'priority', value: part }
  }
  if (/^(?:must|should|could|won['’]?t)(?:[ -]have)?$/i.test(part)) return { kind: 'priority', value: part }
  if (/^#\p{L}[\w-]*$/u.test(part)) return { kind: 'labels', value: part }
  const labelled = LABELLED.exec(part)
  const kind = labelKind(labelled?.[1] ?? '')
  if (labelled !== null && kind !== undefined && SHARED.includes(kind))
    return fieldOf(kind, labelled[1] ?? '', labelled[2] ?? '')
  const depends = SPOKEN.exec(part)
  return depends === null ? undefined : { kind: 'depends', value: depends[2] ?? '' }
}

export interface Titled {
  title: string
  fields: Field[]
  /** Names that the title gives the item in passing: "Pay by card (US-12)". */
  keys: string[]
}

const BRACKETED = /\s*(?:\(([^()]{1,80})\)|\[([^[\]]{1,80})\]|\{([^{}]{1,80})\})[\s.:]*$/
const TRAILING = /\s*(?:[–—|·,:]|\s--?)\s*([^–—|·,:()]{2,40})$/

/** A title without the notes at its end: "Pay by card (5 points) [P1] #mvp". */
export function titled(text: string): Titled {
  const found: Titled = { title: text.trim(), fields: [], keys: [] }
  for (let round = 0; round < 6 && takeNote(found); round++);
  found.title = found.title.replace(/[\s:：–—|-]+$|(?<=[^.]{3})\.$/, '').trim()
  return found
}

function takeNote(found: Titled): boolean {
  const bracketed = BRACKETED.exec(found.title)
  if (bracketed !== null) {
    const inner = (bracketed[1] ?? bracketed[2] ?? bracketed[3] ?? '').trim()
    const fields = notesIn(inner)
    const code = fields.length > 0 ? undefined : trackerCode(inner)
    if (fields.length === 0 && !(code?.title === '') && !inner.startsWith('#')) return false
    found.keys.push(...(code?.keys ?? []))
    return cut(found, bracketed.index, fields)
  }
  const tag = /\s+#(\p{L}[\w-]{1,40})$/u.exec(found.title)
  if (tag !== null) return cut(found, tag.index, [{ kind: 'labels', value: tag[1] ?? '' }])
  if (takeDotted(found)) return true
  const trailing = TRAILING.exec(found.title)
  const fields = trailing === null ? [] : trailingFields(trailing[1] ?? '')
  if (trailing !== null && fields.length > 0) return cut(found, trailing.index, fields)
  return takeLabelled(found)
}

const SPOKEN_TAIL = /\s*(?:[,;–—]|\s--?)\s+((?:depends? on|blocked by)\s.{2,200})$/i

/** "Search — Points: 3 — Priority: high", "Search, depends on US-22". */
function takeLabelled(found: Titled): boolean {
  const tail = SPOKEN_TAIL.exec(found.title)
  if (tail !== null) return cut(found, tail.index, spoken(tail[1] ?? ''))
  for (const match of found.title.matchAll(SHARED_LABEL)) {
    const before = found.title.slice(0, match.index + 1).trimEnd()
    if (match.index < 3 || !/[–—|·•;,]$|\s--?$/.test(before)) continue
    const [label = '', value] = [match[1], found.title.slice(match.index + match[0].length)]
    const fields = split(fieldOf(labelKind(label) ?? 'labels', label, value))
    if (fields.every(isReadable)) return cut(found, before.replace(/[\s–—|·•;,-]+$/, '').length, fields)
  }
  return false
}

function isReadable({ kind, value }: Field): boolean {
  if (kind === 'points') return pointsIn(value) !== undefined
  if (kind === 'priority' || kind === 'moscow') return priorityIn(value) !== undefined
  return kind === 'labels' || kind === 'depends' || kind === 'blocks'
}

/** "Push on mention · 5 pts · mobile": what follows the first dot or bar is notes and labels, if any of it is a note. */
function takeDotted(found: Titled): boolean {
  const [title = '', ...parts] = found.title.split(/\s+[·•|]\s+/)
  const notes = parts.map(noteOf)
  const known = parts.every((part, index) => notes[index] !== undefined || /^[\p{L}\d_-]{2,20}$/u.test(part))
  if (!known || notes.every((note) => note === undefined)) return false
  const fields = notes.map((note, index): Field => note ?? { kind: 'labels', value: parts[index] ?? '' })
  return cut(found, title.length, fields)
}

/** Behind a dash only what no title says: "Search — 5 points", "Search | P1". */
const trailingFields = (text: string): Field[] =>
  unitPointsIn(text) !== undefined || /^(?:p[0-5]|(?:urgent|critical|high|medium|low) priority)$/i.test(text)
    ? notesIn(text)
    : []

function cut(found: Titled, at: number, fields: readonly Field[]): true {
  found.title = found.title.slice(0, at).trim()
  found.fields.push(...fields)
  return true
}
