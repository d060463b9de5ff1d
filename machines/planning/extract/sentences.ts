// User-story sentences: "As a …, I want …, so that …" in the ways people write it.
// Read from the start of a text only, in a bounded part of it; the middle of a paragraph never makes a story.
// The blanks of a template ("As a <role>, I want …") are not a story.

export interface Sentence {
  asA: string
  iWant: string
  /** Empty when the sentence gives no reason. */
  soThat: string
  /** What follows the sentence in the text. */
  rest: string
  /** True when it says "we want": ordinary prose does so too. */
  plural: boolean
}

const LONGEST = 1_500
/** How every sentence begins: most text is none, and its first letters tell. */
const BEGINNING = /^[\s"“'‘*_>-]*(?:as|in)\s/i
const ROLE = /^as\s+(?:an?|the|any)\b\s*:?\s*/i
const WISH =
  /(?:^|[\s,;:–—-])(I|we)(?:\s*['’]d|\s+would)?\s+(?:also\s+|only\s+|really\s+)?(want|wish|need|like|can|could|should\s+be\s+able|must\s+be\s+able|am\s+able|expect|will\s+be\s+able|should|must|may|have|require)\b\s*:?\s*((?:to\s+be\s+able\s+)?to\b)?\s*/i
const REASON =
  /[\s,;:.–—-]+(?:so\s+that|so\s+(?=(?:I|we|they|that|my|our|the|it|he|she|you|nobody|no)\b)|in\s+order\s+(?:to|that|for)|because|such\s+that)\b\s*:?\s*/i
const REASON_FIRST = /^in order (?:to|that)\s+(.{2,300}?)[,;]?\s+(?=as an?\b)/i
/** "As a result, I can …" */
const TURN_OF_PHRASE =
  /^(?:result|(?:general |first )?rule|consequence|matter of fact|whole|reminder|(?:side )?note|bonus|start|side effect|workaround|precaution|(?:first|next|last|final) \w+)$/i
const SENTENCE_END = /[.!?](?=\s+[\p{Lu}"“(]|\s*$)/u

/** The story sentence that `text` starts with. */
export function sentenceIn(text: string): Sentence | undefined {
  if (!BEGINNING.test(text)) return undefined
  const whole = text
    .slice(0, LONGEST)
    .replace(/\s+/g, ' ')
    .replace(/^[\s"“'‘*_>-]+/, '')
  const first = REASON_FIRST.exec(whole)
  const sentence = roleAndWish(first === null ? whole : whole.slice(first[0].length))
  if (sentence === undefined) return undefined
  return {
    ...sentence,
    soThat: sentence.soThat || trimmed(first?.[1] ?? ''),
    rest: `${sentence.rest}${text.slice(LONGEST)}`.trim(),
  }
}

function roleAndWish(text: string): Sentence | undefined {
  const opening = ROLE.exec(text)
  if (opening === null) return undefined
  const after = text.slice(opening[0].length)
  const wish = WISH.exec(after.slice(0, 260))
  if (wish === null) return undefined
  const asA = roleIn(after.slice(0, wish.index))
  const { iWant, soThat, rest } = wishAndReason(after.slice(wish.index + wish[0].length))
  if (asA === undefined || iWant.length < 2 || isBlank(iWant)) return undefined
  const to = wish[3] !== undefined || /can|could|able|should|must|may/i.test(wish[2] ?? '') ? 'to ' : ''
  return { asA, iWant: `${to}${iWant}`, soThat, rest, plural: /^we$/i.test(wish[1] ?? '') }
}

function roleIn(text: string): string | undefined {
  if (SENTENCE_END.test(text.trim().replace(/[.]$/, ''))) return undefined
  const role = trimmed(text.replace(/,\s*(?:who|when|while|if|whenever|in)\b.*$/i, '')) || trimmed(text)
  return role === '' || role.length > 120 || isBlank(role) || TURN_OF_PHRASE.test(role) ? undefined : role
}

function wishAndReason(text: string): { iWant: string; soThat: string; rest: string } {
  const end = SENTENCE_END.exec(text)
  const reason = REASON.exec(text)
  // "… to pay. So that …" goes on; a later sentence with its own "so that" does not.
  const joined = reason !== null && (end === null || reason.index <= end.index)
  if (!joined)
    return { iWant: trimmed(firstSentence(text)), soThat: '', rest: text.slice(firstSentence(text).length).trim() }
  const after = text.slice(reason.index + reason[0].length)
  const soThat = firstSentence(after)
  return {
    iWant: trimmed(text.slice(0, reason.index)),
    soThat: trimmed(soThat),
    rest: after.slice(soThat.length).trim(),
  }
}

function firstSentence(text: string): string {
  const end = SENTENCE_END.exec(text)
  return end === null ? text : text.slice(0, end.index + 1)
}

const trimmed = (text: string): string => text.replace(/^[\s,;:.–—"“-]+|[\s,;:.–—"”-]+$/g, '')

/** A blank to fill in: `<role>`, `[goal]`, `{type of user}`, `___`, "…". */
const isBlank = (text: string): boolean => /^(?:[<[{].*[>\]}]|[_.…\s]+|\\?_.*)$/.test(text)

/** A title from what is wanted: "to pay by card" is "Pay by card". */
export function titleOf(sentence: Sentence): string {
  const wish = sentence.iWant.replace(/^(?:to\s+)?(?:be able to\s+)?/i, '')
  return shortened(wish.charAt(0).toUpperCase() + wish.slice(1))
}

/** How long a title may be. */
export const TITLE_CHARS = 100

/** At most a hundred characters, cut between words. */
export function shortened(text: string): string {
  if (text.length <= TITLE_CHARS) return text
  const cut = text.slice(0, TITLE_CHARS)
  return `${cut.slice(0, Math.max(cut.lastIndexOf(' '), TITLE_CHARS / 2)).replace(/[\s,;:.–—-]+$/, '')}…`
}
