// Names: which item a text means by "Story 1.2", "US-12: Pay by card", "Accounts" or `story-3`.
// Written markers come first, then titles, then planning ids. What several items answer to is settled by nearness.
// It only looks up; a name that nothing answers to is the caller's to report.

import type { ItemType } from '../document.js'
import { trackerCode } from './codes.js'
import { type Draft, titleFor } from './drafts.js'
import { markerIn, saysNothing } from './markers.js'

/** A title as it is compared: letters and digits, in lower case. */
export const plainTitle = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim()

export interface Names {
  keys: Map<string, Draft[]>
  titles: Map<string, Draft[]>
  /** By the first letters of their title, for names that are a part of it. */
  openings: Map<string, Draft[]>
  ids: Map<string, Draft>
}

const OPENING_CHARS = 8

export function namesOf(drafts: readonly Draft[], ids: ReadonlyMap<Draft, string>): Names {
  const names: Names = { keys: new Map(), titles: new Map(), openings: new Map(), ids: new Map() }
  for (const draft of drafts) {
    const title = plainTitle(titleFor(draft))
    for (const key of new Set(draft.keys)) add(names.keys, key, draft)
    add(names.titles, title, draft)
    if (title.length >= OPENING_CHARS) add(names.openings, title.slice(0, OPENING_CHARS), draft)
    names.ids.set(ids.get(draft) ?? '', draft)
  }
  return names
}

function add(map: Map<string, Draft[]>, key: string, draft: Draft): void {
  const drafts = map.get(key)
  if (drafts === undefined) map.set(key, [draft])
  else drafts.push(draft)
}

/** The items that a name may mean; empty when there are none. */
export function namesake(text: string, names: Names): Draft[] {
  const name = text
    .trim()
    .replace(/^(?:the|a|an)\s+/i, '')
    .replace(/[.\s]+$/, '')
  if (name === '') return []
  return byTitle(name, names) ?? byMarker(name, names) ?? byId(name, names) ?? byOpening(name, names) ?? []
}

/** A title as it stands, or behind its marker: "Enabler: Private links". */
function byTitle(name: string, { titles }: Names): Draft[] | undefined {
  const found = titles.get(plainTitle(name))
  if (found !== undefined) return found
  const marker = markerIn(name, { form: 'bullet', lettersCount: true })
  const same = marker?.keys.length === 0 ? titles.get(plainTitle(marker.title)) : undefined
  return same?.filter((draft) => draft.type === marker?.type)
}

function byMarker(name: string, { keys }: Names): Draft[] | undefined {
  for (const key of referenceKeys(name)) {
    const found = keys.get(key)
    if (found !== undefined) return found
  }
  return undefined
}

function byId(name: string, { ids }: Names): Draft[] | undefined {
  const found = ids.get(name.toLowerCase())
  return found && [found]
}

/** "Payment gateway" for "Payment gateway integration", and the other way round; only when one title fits. */
function byOpening(name: string, { openings }: Names): Draft[] | undefined {
  const title = plainTitle(name)
  if (title.length < OPENING_CHARS) return undefined
  const near = (openings.get(title.slice(0, OPENING_CHARS)) ?? []).filter((draft) => {
    const other = plainTitle(titleFor(draft))
    return `${other} `.startsWith(`${title} `) || `${title} `.startsWith(`${other} `)
  })
  return near.length === 1 ? near : undefined
}

const LEADING =
  /^(?:user[ -])?(epic|feature|story|stories|enabler|spike)s?\s*#?\s*([A-Z]{0,5}[-.]?\d+(?:\.\d+)*)(?![\p{L}\p{N}])/iu

/** The keys that a reference asks for, the most telling first. */
function referenceKeys(name: string): string[] {
  const [, word, number] = LEADING.exec(name) ?? []
  const spoken = word === undefined ? name : `${word.replace(/^stories$/i, 'story')} ${number}`
  const marker =
    markerIn(spoken, { form: 'bullet', lettersCount: true }) ?? markerIn(name, { form: 'bullet', lettersCount: true })
  const code = /^[A-Z]{1,7}[-_]?\d+(?:\.\d+)*(?![\p{L}\p{N}])/u.exec(name)?.[0]
  const coded = code === undefined ? undefined : markerIn(code, { form: 'heading', lettersCount: true })
  const bare = /^#?(\d+(?:\.\d+)*)$/.exec(name)?.[1]
  const any =
    bare === undefined ? [] : (['story', 'enabler', 'feature', 'epic'] as const).map((type) => `${type}${bare}`)
  return [...(marker?.keys ?? []), ...(coded?.keys ?? []), ...(trackerCode(name)?.keys ?? []), ...any]
}

/** True for a name that is nothing but a marker: "US-12", "Story 1.2". */
export const isBareReference = (name: string): boolean =>
  markerIn(name, { form: 'heading', lettersCount: true })?.title === '' || trackerCode(name)?.title === ''

export interface Mentioned {
  found: Draft[]
  missing: string[]
  ambiguous: string[]
}

/** What stands between names, kept when they are split: a title may itself have commas and "and" in it. */
const SEPARATOR = /(\s*(?:[,;\n&+]|\/(?=\s)|\band\b|\bplus\b)\s*)/i
const MOST_NAMES = 60
const LONGEST_TITLE_PARTS = 6

/** The items that a list of names means: "Stories 1.2 and 1.3, Payment gateway". */
export function mentioned(text: string, names: Names, nearest: (found: Draft[]) => Draft | undefined): Mentioned {
  const result: Mentioned = { found: [], missing: [], ambiguous: [] }
  const quiet = text.replace(/\([^()]*\)/g, (note) => note.replace(/[,;&+]|\band\b/gi, ' '))
  const pieces = quiet.split(SEPARATOR).slice(0, 2 * MOST_NAMES - 1)
  let word = ''
  for (let index = 0; index < pieces.length; ) {
    const { drafts, end, name } = longestName(pieces, index, word, names)
    word = LEADING.exec(name)?.[1] ?? (/^#?\d/.test(name) ? word : '')
    const one = nearest(drafts)
    if (one !== undefined) result.found.push(one)
    else if (drafts.length > 0) result.ambiguous.push(name)
    else if (name !== '' && !saysNothing(name)) result.missing.push(name)
    index = end + 1
  }
  return result
}

interface Named {
  drafts: Draft[]
  /** The index behind the last piece of the name. */
  end: number
  name: string
}

/** The longest run of pieces from `index` on that is one title; a single piece otherwise. Odd pieces are separators. */
function longestName(pieces: readonly string[], index: number, word: string, names: Names): Named {
  const furthest = Math.min(index + 2 * LONGEST_TITLE_PARTS - 1, pieces.length)
  for (let end = furthest; end > index + 1; end -= 2) {
    const name = pieces.slice(index, end).join('')
    const drafts = titled(name, names)
    if (drafts !== undefined) return { drafts, end, name }
  }
  const name = (pieces[index] ?? '').trim()
  const spoken = word !== '' && /^#?\d/.test(name) ? `${word} ${name}` : name
  return { drafts: namesake(spoken, names), end: index + 1, name: spoken }
}

/** A text that is a title, or a marker followed by the title of what it marks. */
function titled(name: string, names: Names): Draft[] | undefined {
  const exact = names.titles.get(plainTitle(name))
  if (exact !== undefined) return exact
  const marker = markerIn(name, { form: 'bullet', lettersCount: true })
  if (marker === undefined || marker.title === '') return undefined
  const same = names.titles
    .get(plainTitle(marker.title))
    ?.filter((draft) => marker.keys.some((key) => draft.keys.includes(key)))
  return same === undefined || same.length === 0 ? undefined : same
}

const MENTION =
  /\b(?:epic|feature|(?:user )?story|enabler|spike)\s*#?[A-Z]{0,4}-?\d+(?:\.\d+)*|\b[A-Z]{1,7}-(?:[A-Z]{1,8}-?)?\d+(?:\.\d+)*\b|\b[EFS]\d+(?:\.\d+)*\b/gi

/** The markers that a longer text mentions. */
export const mentionsIn = (text: string): string[] => [...text.matchAll(MENTION)].map(([mention]) => mention)

/** Types that a parent of an item may have, nearest first. */
export const parentTypes = (type: ItemType): ItemType[] =>
  type === 'epic' ? [] : type === 'feature' ? ['epic'] : ['feature', 'epic']
