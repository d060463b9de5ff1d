// Markers: how a writer says that a line is an item: "Epic 1 — …", "US-12: …", "[Story] …", "F1.2 …".
// A marker gives the item's type, the names that others may call it by, and the title that is left.
// It is judged by the line alone and by the form it stands in; it never decides that a document is a plan.

import type { EnablerType, ItemType } from '../document.js'
import {
  codeIn,
  codeKeys,
  dotted,
  isForeign,
  keysOf,
  LOOSE_MARK,
  MARK,
  normalNumber,
  titleAfter,
  trackerCode,
} from './codes.js'
import { enablerTypeIn } from './values.js'

/** Where a line stands: a heading, a paragraph that leads in bold, any other paragraph, or a list item. */
export type Form = 'heading' | 'bold' | 'plain' | 'bullet'

export interface Marker {
  type: ItemType
  /** The item's number as written, such as `1.2`; empty when it has none. */
  number: string
  /** Normalised names for references: `us12`, `story1.2`. */
  keys: string[]
  /** What follows the marker; empty when nothing does. */
  title: string
  labels: string[]
  enablerType?: EnablerType
  /** What follows a title in quotes. */
  tail?: string
  /** The item above, when the marker says it too: "Epic 3, Story 4". */
  parent?: string
  /** False for what also occurs in ordinary prose, and counts only when the document is a plan by other signs. */
  strong: boolean
}

/** Single letters with a number (`S3:`) are words of many trades: they count when the document uses several. */
export interface MarkerOptions {
  form: Form
  lettersCount: boolean
}

const LONGEST = 400

/** The marker that `text` starts with (or ends with, in brackets), if it does. */
export function markerIn(text: string, options: MarkerOptions): Marker | undefined {
  if (text.length > LONGEST && options.form === 'plain') return undefined
  const bare = spelledOut(withoutOutline(text), options)
  return (
    wordMarker(bare, options) ??
    codeMarker(bare, options) ??
    wordMarker(unbracketed(bare), options) ??
    codeMarker(unbracketed(bare), options) ??
    chore(bare, options) ??
    suffixMarker(bare, options) ??
    trackedWord(bare, options)
  )
}

/** "us: send a message" in a list, and `REQ-STORY-01` of a specification, without what hides the word. */
function spelledOut(text: string, { form }: MarkerOptions): string {
  if (form === 'bullet' && /^us\s*:\s+\S/i.test(text)) return `Story${text.slice(2)}`
  return text.replace(/^REQ[-_](?=(?:EPIC|FEAT|FEATURE|STORY|US|ENABLER|SPIKE)[-_]?\d)/, '')
}

/** "#1202 story: plugins can be written in TypeScript" */
function trackedWord(text: string, options: MarkerOptions): Marker | undefined {
  const tracked = trackerCode(text)
  const marker = tracked && wordMarker(tracked.title, options)
  return tracked && marker && { ...marker, keys: [...marker.keys, ...tracked.keys] }
}

/** A line without its leading ornaments and outline number: "🎯 2.1 Feature: Search" is "Feature: Search". */
export const withoutOutline = (text: string): string =>
  text
    .replace(/^[^\p{L}\p{N}[(<{#"'“‘]+/u, '')
    .replace(/^\d{1,3}(?:\.\d{1,3}){0,5}[.)]?\s*(?:[-–—:]\s+)?(?=\S)/, '')
    .replace(/^[^\p{L}\p{N}[(<{#"'“‘]+/u, '')
    .trim()

/** The outline number that a line starts with: `2.1` of "2.1 Search". */
export const outlineNumber = (text: string): string => /^\W*(\d{1,3}(?:\.\d{1,3}){0,5})[.):]?\s/.exec(text)?.[1] ?? ''

const WORD = new RegExp(
  '^(?:(?:architect(?:ure|ural)|infrastructure|technical[ -]debt|tech[ -]debt|technical|tech|research|' +
    'exploration|security|compliance|platform|business|portfolio|user|job|agile)[ -]?)?' +
    String.raw`(?:enabler[ -](?:epic|feature|story)|enabler|epic|feature|story|spike)(?!\p{L})(?:[ -](?:title|name|card|spec(?:ification)?|implementation|hypothesis(?: statement)?)(?!\p{L}))?`,
  'iu',
)
const DEBT = /^tech(?:nical)?[ -]debt(?: item)?(?!\p{L})/iu
const NUMBER =
  /^\s*(?:#|[Nn][or]\.?\s?|-)?\s*((?:[A-Za-z]{1,6}[-_.]?)?\d{1,6}(?:[.\-_]\d{1,4}){0,5}[a-z]?)(?![\p{L}\p{N}])/u
const LETTER = /^\s+([IVX]{1,5}|[A-Z])(?=\s*[:.)–—|([]|\s+--?\s)/
/** 'Epic "Checkout" — owner Lea' */
const QUOTED = /^\s+["“„«](.{2,120}?)["”“»](?:$|\s*[—–:(-]\s*(.*)$)/

function wordMarker(text: string, options: MarkerOptions): Marker | undefined {
  const word = (WORD.exec(text) ?? DEBT.exec(text))?.[0]
  if (word === undefined) return undefined
  const rest = text.slice(word.length)
  return numberedWord(word, rest, options) ?? plainWord(word, rest, options)
}

function numberedWord(word: string, rest: string, options: MarkerOptions): Marker | undefined {
  const found = NUMBER.exec(rest) ?? LETTER.exec(rest)
  const number = found?.[1]
  if (found === null || number === undefined) return undefined
  const second = secondWord(word, number, rest.slice(found[0].length), options)
  if (second !== undefined) return second
  const { marked, title } = titleAfter(rest.slice(found[0].length), LOOSE_MARK)
  if (isPlaceholder(title) || (!marked && !/^(?:$|["“'‘([]|\p{Lu})/u.test(title))) return undefined
  return built(word, number, title, options.form !== 'plain' || marked)
}

/** "Epic 3, Story 4: Preferences" is story 4 of epic 3. */
function secondWord(word: string, number: string, rest: string, options: MarkerOptions): Marker | undefined {
  const tail = /^\s*[,/›>–—-]\s*(?=\p{L})/u.exec(rest)
  if (tail === null || typeOfWord(word) === 'story') return undefined
  const after = rest.slice(tail[0].length)
  const next = WORD.exec(after)?.[0]
  if (next === undefined || typeOfWord(next) === typeOfWord(word)) return undefined
  const inner = numberedWord(next, after.slice(next.length), options)
  return inner && { ...inner, parent: `${word} ${number}` }
}

function plainWord(word: string, rest: string, { form }: MarkerOptions): Marker | undefined {
  const quoted = QUOTED.exec(rest)
  if (quoted !== null) return { ...built(word, '', quoted[1] ?? '', form === 'heading'), tail: quoted[2] ?? '' }
  const { marked, title } = titleAfter(rest, MARK)
  if (!marked || title === '' || saysNothing(title) || isPlaceholder(title)) return undefined
  if (form !== 'heading' && isDefinition(title)) return undefined
  const strong = form === 'heading' || (form !== 'plain' && isPlanningWord(word, form))
  const marker = built(word, '', title, strong)
  // "Story: US-001 - Pay by card"
  const code = codeMarker(title, { form: 'heading', lettersCount: true })
  if (code?.type === marker.type) return { ...marker, title: code.title, keys: code.keys, number: code.number }
  const tracked = trackerCode(title)
  return tracked === undefined ? marker : { ...marker, ...tracked }
}

/** "Feature: …" and "Story: …" also start lines of change logs and magazines. */
const isPlanningWord = (word: string, form: Form): boolean =>
  /epic|enabler|user|spike/i.test(word) || (form === 'bullet' && typeOfWord(word) === 'story')

/** "Epic: a large body of work that …" explains the word; it is not an epic. */
const isDefinition = (title: string): boolean =>
  /^(?:is|are|means|refers|describes)\s/.test(title) ||
  /^(?:an?|any|the|one|something)\s+(?:[\w-]+\s+){0,3}?(?:body|bodies|collection|group|set|piece|unit|chunk|slice|description|container|capability|functionality|initiative|requirement|theme|work|level|way|type|kind|increment|statement|objective|concept|need|part)\b/i.test(
    title,
  )

/** True for the words by which a writer says that there is nothing to say, and for the blanks of a template. */
export const saysNothing = (text: string): boolean =>
  /^(?:none|nothing|n\/?a|tbd|tbc|todo|unknown|-+|–|—|\.{2,}|…|no(?:ne)? (?:known )?(?:dependenc(?:y|ies)|blockers?))\.?$/i.test(
    text.trim(),
  ) || /^(?:\[[^\]]*\]|\{[^}]*\}|<[^>]*>|\.\.\.)$/.test(text.trim())

/** The blank of a template: "[Name]", "<title>", "{large feature group} (Priority: P1)". */
const isPlaceholder = (title: string): boolean =>
  /^(?:\[(?!(?:p|high|medium|low|must|should|could)\b)[^\]\d]*\]|<[^>\d]*>|\{[^}\d]*\})\s*(?:\([^()]*\))?$/i.test(title)

function typeOfWord(word: string): ItemType {
  const last = /epic|feature/i.exec(word)?.[0]?.toLowerCase()
  if (last === 'epic' || last === 'feature') return last
  return /enabler|spike|debt|technical|tech|architect|infrastructure|research|exploration/i.test(word)
    ? 'enabler'
    : 'story'
}

/** The type that a whole value names: "User story", "Technical debt". */
export function typeNamed(value: string): ItemType | undefined {
  const words = value.trim()
  return words.length < 40 && (WORD.exec(words)?.[0] ?? DEBT.exec(words)?.[0]) === words ? typeOfWord(words) : undefined
}

function built(word: string, written: string, title: string, strong: boolean): Marker {
  const type = typeOfWord(word)
  const enablerType = type === 'enabler' ? enablerTypeIn(word) : undefined
  return {
    type,
    number: isForeign(type, written) ? '' : dotted(written),
    keys: keysOf(type, written),
    title,
    labels: type !== 'enabler' && /enabler/i.test(word) ? ['enabler'] : [],
    ...(enablerType === undefined ? {} : { enablerType }),
    strong,
  }
}

/** "[Epic] Checkout" and "[US-12] Pay" with the brackets opened. */
const unbracketed = (text: string): string => text.replace(/^[[(<]([^\])>]{1,40})[\])>]\s*[:–—-]?\s*/, '$1: ')

/** "[Tech] Move the queue" beside "[Story] …": what has no user is an enabler, in a document that is a plan anyway. */
function chore(text: string, { form }: MarkerOptions): Marker | undefined {
  const [, word, title] =
    /^\[(tech(?:nical)?|infra(?:structure)?|architecture|chore|refactor(?:ing)?|research)\]\s*[:–—-]?\s*(\S.*)$/i.exec(
      text,
    ) ?? []
  if (word === undefined || title === undefined || form === 'plain') return undefined
  const named = word.replace(/^(?:tech|chore|refactor(?:ing)?)$/i, 'technical').replace(/^infra$/i, 'infrastructure')
  return built(`${named} enabler`, '', title, false)
}

/** "Checkout (Epic)", "Pay by card [Story 3]". */
function suffixMarker(text: string, options: MarkerOptions): Marker | undefined {
  const found = /^(.{2,200}?)\s*[[(]([^\])]{2,30})[\])]$/.exec(text)
  const [, title, inner] = found ?? []
  if (title === undefined || inner === undefined || options.form === 'plain') return undefined
  // "Search by town (US, 3)" has its points in the same brackets
  const [kind = '', points] = inner.split(/\s*,\s*/)
  const word = /^us$/i.test(kind) ? 'Story' : WORD.exec(kind)?.[0]
  const number = word === undefined ? undefined : /^us$/i.test(kind) ? '' : kind.slice(word.length).trim()
  if (word === undefined || number === undefined || !/^(?:#?[\d.]{1,10}|[A-Z]|)$/.test(number)) return undefined
  if (points !== undefined && !/^\d{1,3}(?: ?(?:points?|pts?|sp))?$/i.test(points)) return undefined
  const whole = points === undefined ? title : `${title} (${points.replace(/\D+$/, '')} points)`
  return built(word, number.replace('#', ''), whole, options.form === 'heading' || points !== undefined)
}

function codeMarker(text: string, { form, lettersCount }: MarkerOptions): Marker | undefined {
  const code = codeIn(text)
  if (code === undefined) return undefined
  const single = code.letters.length === 1
  if (single && code.letters !== code.letters.toUpperCase()) return undefined
  const rest = text.slice(code.length)
  const { marked, title } = titleAfter(rest, LOOSE_MARK)
  // In a document that uses several of them, one is a name that no other trade has.
  const full = code.numbers.includes('.') || (lettersCount && code.ofProject === true)
  if (isPlaceholder(title)) return undefined
  const stands = full || !single || (title === '' && lettersCount && form === 'heading')
  const titled = form === 'heading' && !single ? true : /^(?:$|["“'‘([]|\p{Lu}|\p{Ll}\p{Lu})/u.test(title)
  if (!marked && !(stands && form !== 'plain' && titled)) return undefined
  if (single && !full && !lettersCount && !(form === 'heading' && code.type !== 'story')) return undefined
  const sure = /^(?:e|epic|us|feat|feature|story|enabler|spike)$/i.test(code.letters)
  if (!marked && title !== '' && !full && form !== 'heading' && !(sure && !single)) return undefined
  const strong =
    form === 'heading' ? sure || full || (marked && !single) : (sure && !single) || (full && form !== 'plain')
  const found = { type: code.type, number: normalNumber(code.numbers), keys: codeKeys(code), title, labels: [], strong }
  // "F1-E1: Retention concept (enabler)": a word says more than a letter.
  const said = suffixMarker(title, { form, lettersCount })
  return said === undefined ? found : { ...said, number: found.number, keys: found.keys, strong }
}

/** True when the line starts with a single-letter code: what `lettersCount` is counted from. */
export function letterCodeIn(text: string): string | undefined {
  const code = codeIn(unbracketed(withoutOutline(text)))
  return code !== undefined && /^[EFS]$/.test(code.letters) ? code.key : undefined
}
