// Codes and numbers by which items are called: `US-12`, `F1.2`, `E1-F2-S3`, `ACC-7`, "1.2".
// Each is read from the start of a text, with the title that follows it, and normalised so that two spellings are one name.
// Whether a code makes a line an item is not decided here.

import type { ItemType } from '../document.js'

/** What sets a marker off from its title. */
export const MARK: RegExp = /^\s*(?:[:：–—|→]|--?(?=\s|$)|=>|[=>](?=\s))\s*/
/** The same after a number, which says enough: "Story 3. Sign up". */
export const LOOSE_MARK: RegExp = /^\s*(?:[:：–—|→.)\]]|--?(?=\s|$)|=>|[=>](?=\s))+\s*/
const NOTE = /^\s*(\([^()]{1,60}\)|\[[^[\]]{1,60}\])(?=\s*(?:[:–—|→]|--?\s))/

/** What follows a mark, and whether there is one. A note before the mark goes behind the title: "Epic 1 (P1): Pay". */
export function titleAfter(rest: string, mark: RegExp): { marked: boolean; title: string } {
  const note = NOTE.exec(rest)
  const body = note === null ? rest : rest.slice(note[0].length)
  const found = mark.exec(body)
  const title = (found === null ? body : body.slice(found[0].length)).trim()
  return { marked: found !== null, title: note === null ? title : `${title} ${note[1]}`.trim() }
}

const LETTERS: Readonly<Record<string, ItemType>> = {
  e: 'epic',
  ep: 'epic',
  epic: 'epic',
  f: 'feature',
  ft: 'feature',
  fe: 'feature',
  feat: 'feature',
  feature: 'feature',
  s: 'story',
  us: 'story',
  st: 'story',
  story: 'story',
  en: 'enabler',
  enb: 'enabler',
  enabler: 'enabler',
  spike: 'enabler',
}
const SEGMENT = /^([A-Za-z]{1,7})([-_]?|(?<=US) )(\d{1,6}(?:\.\d{1,4}){0,5}[a-z]?)(?![\p{L}\p{N}])/u
const CHAINED = /^([A-Z]{1,7})([-_]?)(\d{1,6}(?:\.\d{1,4}){0,5})(?=[-._/]?[A-Z]{1,7}[-_]?\d)[-._/]?/

/** `US-P1`, `US-APP-12`: a code with the name of a module in it. */
const MODULAR =
  /^(US|EPIC|FEAT|FEATURE|STORY|ENABLER|ENB|EN)[-_](?!EAST|WEST|NORTH|SOUTH|CENTRAL)[A-Z]{1,8}[-_]?\d{1,6}(?:\.\d{1,4}){0,5}(?![\p{L}\p{N}])/u

/** `KYC-F1-S2`: the name of a project before a code. */
const PROJECT = /^([A-Z][A-Z0-9]{1,9})[-_](?=(?:EP|E|FT|F|US|ST|S|EN)\d{1,4}(?![\p{L}\p{N}]))/u

export interface Code {
  type: ItemType
  letters: string
  /** The numbers of all segments, dotted: `1.2.3` for `E1-F2-S3`. Empty when they count within a module. */
  numbers: string
  key: string
  length: number
  /** True when the name of a project stands before it. */
  ofProject?: true
}

/** A code such as `US-12`, `F1.2`, `E1-F2-S3` or `KYC-F1-S2` that `text` starts with. */
export function codeIn(text: string): Code | undefined {
  const [project = '', name = ''] = PROJECT.exec(text) ?? []
  if (project === '' || LETTERS[name.toLowerCase()] !== undefined) return plainCodeIn(text)
  const code = plainCodeIn(text.slice(project.length))
  const [key, length] = [plainKey(project) + (code?.key ?? ''), project.length + (code?.length ?? 0)]
  return code && { ...code, key, length, ofProject: true }
}

function plainCodeIn(text: string): Code | undefined {
  const modular = MODULAR.exec(text)
  const [whole = '', prefix = ''] = modular ?? []
  const module = LETTERS[prefix.toLowerCase()]
  if (module !== undefined)
    return { type: module, letters: prefix, numbers: '', key: plainKey(whole), length: whole.length }
  let length = 0
  const numbers: string[] = []
  let inFeature = false
  for (let chained = CHAINED.exec(text); chained !== null && numbers.length < 3; ) {
    const above = LETTERS[(chained[1] ?? '').toLowerCase()]
    if (above === undefined) return undefined
    inFeature ||= above === 'feature'
    numbers.push(chained[3] ?? '')
    length += chained[0].length
    chained = CHAINED.exec(text.slice(length))
  }
  const last = SEGMENT.exec(text.slice(length))
  const letters = last?.[1] ?? ''
  const named = LETTERS[letters.toLowerCase()]
  // No epic stands in a feature: the E of `F1-E2` is an enabler's.
  const type = named === 'epic' && inFeature ? 'enabler' : named
  if (last === null || type === undefined) return undefined
  numbers.push(last[3] ?? '')
  length += last[0].length
  return { type, letters, numbers: numbers.join('.'), key: plainKey(text.slice(0, length)), length }
}

/** A code of any tracker, such as `ACC-12` or `#34`: a name for the item, but no sign of its type. */
export function trackerCode(text: string): { keys: string[]; title: string } | undefined {
  const found =
    /^[[(]?([A-Z][A-Z0-9]{0,9}(?:[-_][A-Z0-9]{1,10}){0,2}[-_.]\d{1,6}(?:\.\d{1,4}){0,3}|#\d{1,6})[\])]?(?![\p{L}\p{N}])/u.exec(
      text,
    )
  const code = found?.[1]
  if (found === null || code === undefined) return undefined
  return { keys: [plainKey(code)], title: titleAfter(text.slice(found[0].length), LOOSE_MARK).title }
}

/** The names that an item of a type with this number answers to. */
export function keysOf(type: ItemType, written: string): string[] {
  if (written === '') return []
  const number = dotted(written)
  if (isForeign(type, written)) return [plainKey(written)]
  const lettered = /^[A-Za-z]+[-_.]?\d/.test(written)
  return [...new Set([...(lettered ? [plainKey(written)] : []), `${type}${number || written.toLowerCase()}`])]
}

/** True for a number with the letters of a tracker or of another order: "Story ACC-7", "Story A.1". */
export function isForeign(type: ItemType, written: string): boolean {
  const letters = /^([A-Za-z]+)[-_.]?\d/.exec(written)?.[1]
  return letters !== undefined && LETTERS[letters.toLowerCase()] !== type
}

/** The code of the type that a line in a collection starts with: "E1 Monitoring" under "Epics". */
export function memberCode(text: string, type: ItemType): { keys: string[]; title: string } | undefined {
  const code = codeIn(text)
  if (code?.type !== type || code.letters !== code.letters.toUpperCase()) return undefined
  const { title } = titleAfter(text.slice(code.length), LOOSE_MARK)
  return title === '' ? undefined : { title, keys: codeKeys(code) }
}

/** The names that an item with this code answers to. */
export const codeKeys = ({ key, type, numbers }: Code): string[] =>
  numbers === '' ? [key] : [...new Set([key, `${type}${normalNumber(numbers)}`])]

/** The digits of a number as written, dotted and without leading zeros: `1.2` of `E01-2`; empty for a letter. */
export const dotted = (written: string): string => normalNumber(written.replace(/^[A-Za-z]+[-_.]?(?=\d)/, ''))

export const normalNumber = (number: string): string =>
  /^\d/.test(number)
    ? number
        .toLowerCase()
        .replace(/[-_]/g, '.')
        .split('.')
        .map((part) => part.replace(/^0+(?=\d)/, ''))
        .join('.')
    : ''

/** The first code in a text that is one of the names `keys`, as it is written there. */
export const writtenKey = (text: string, keys: readonly string[]): string | undefined =>
  text
    .match(/#?[A-Za-z0-9]+(?:[-_.][A-Za-z0-9]+)*/g)
    ?.find((word) => /[#A-Za-z]/.test(word) && keys.includes(plainKey(word)))

/** A code as it is compared: `us12` for "US-012" and "us 12". */
export const plainKey = (code: string): string =>
  code
    .toLowerCase()
    .replace(/[^a-z0-9.#]+/g, '')
    .replace(/(^|[^0-9])0+(?=\d)/g, '$1')
