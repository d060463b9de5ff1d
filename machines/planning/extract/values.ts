// The values of fields, from the words and numbers that people write for them.
// Each function gives undefined for what it cannot read: a doubtful value stays in the item's prose, it is never guessed.

import type { EnablerType, Priority } from '../document.js'

const PRIORITIES: readonly [Priority, RegExp][] = [
  ['urgent', /\b(?:urgent|critical|blocker|highest|very high|showstopper|immediate)\b/],
  ['high', /\b(?:high|must|major|important)\b/],
  ['medium', /\b(?:medium|normal|moderate|med|mid|should)\b/],
  ['low', /\b(?:low|lowest|minor|could|nice|won'?t|wont|trivial|optional|later)\b/],
]

const BY_CODE: Readonly<Record<string, Priority>> = {
  p0: 'urgent',
  p1: 'high',
  p2: 'medium',
  p3: 'low',
  p4: 'low',
  p5: 'low',
  // A bare number is read as Linear and Jira number them.
  1: 'urgent',
  2: 'high',
  3: 'medium',
  4: 'low',
  5: 'low',
  h: 'high',
  m: 'medium',
  l: 'low',
}
const BY_MOSCOW: Readonly<Record<string, Priority>> = { m: 'high', s: 'medium', c: 'low', w: 'low' }

/** "High", "must have", `P1` (P0 is urgent), `1` (1 is urgent). With `moscow`, the letters M, S, C and W too. */
export function priorityIn(text: string, options: { moscow?: boolean } = {}): Priority | undefined {
  const words = text.toLowerCase().replace(/’/g, "'").trim()
  if (words.length > 60) return undefined
  const named = PRIORITIES.find(([, pattern]) => pattern.test(words))?.[0]
  if (named !== undefined) return named
  const code = /^\W*(p?[0-5]|[hmlscw])\b/.exec(words)?.[1] ?? ''
  return (options.moscow ? BY_MOSCOW[code] : undefined) ?? BY_CODE[code]
}

/** "5", "5 points", "~3 SP", "0.5", "½"; not "5 days", not "3-5". */
export function pointsIn(text: string): number | undefined {
  const found =
    /^\W{0,3}?(\d{1,3}(?:[.,]\d{1,2})?|½)\s*(?:story\s*points?|points?|pts?|sp)?\.?(?:\s*\([^)]*\))?\W*$/i.exec(text)
  const number = found?.[1]
  if (number === undefined) return undefined
  return number === '½' ? 0.5 : Number(number.replace(',', '.'))
}

/** "5 points", "3 pts", "8 SP": only with the unit, as it stands in a title. */
export const unitPointsIn = (text: string): number | undefined =>
  /\d\s*(?:story\s*points?|points?|pts?|sp)\.?\W*$/i.test(text) ? pointsIn(text) : undefined

/** "a, b", "#a #b", "`a` · `b`". */
export function labelsIn(text: string): string[] {
  const parts = /(?:^|\s)#\p{L}/u.test(text) && !/[,;|·]/.test(text) ? text.split(/\s+/) : text.split(/[,;|·•\n]/)
  return parts
    .map((part) =>
      part
        .trim()
        .replace(/^[#`"'[(]+|[`"'\]).]+$/g, '')
        .trim(),
    )
    .filter((part) => part !== '' && part.length <= 60)
}

const TYPED: readonly [EnablerType, RegExp][] = [
  ['technical debt', /\btech(?:nical)?[ -]debt\b/i],
  ['research', /\b(?:research|exploration|spike)\b/i],
  ['infrastructure', /\b(?:infrastructure|infra)\b/i],
  ['architecture', /\b(?:architecture|architectural)\b/i],
]

/** The enabler type that a text names outright. */
export const enablerTypeIn = (text: string): EnablerType | undefined =>
  TYPED.map(([type, pattern]) => ({ type, at: text.search(pattern) }))
    .filter(({ at }) => at >= 0)
    .sort((a, b) => a.at - b.at)[0]?.type

const SUGGESTED: readonly [EnablerType, RegExp][] = [
  ['technical debt', /\b(?:refactor\w*|clean[ -]?up|legacy|deprecat\w*|retire|rewrite|pay (?:down|off))\b/i],
  ['research', /\b(?:investigat\w*|proof of concept|poc|prototype|explor\w*|evaluat\w*|feasibility|benchmark)\b/i],
  [
    'infrastructure',
    /\b(?:ci(?:\/cd)?|pipelines?|deploy\w*|kubernetes|terraform|hosting|clusters?|monitoring|observability|provision\w*|environments?|backups?|cdn)\b/i,
  ],
  ['architecture', /\b(?:architect\w*|design decision|adr|event bus|domain model|schema|service boundar\w*)\b/i],
]

/** The enabler type that a title suggests without naming it. */
export const enablerTypeOf = (title: string): EnablerType | undefined =>
  enablerTypeIn(title) ?? SUGGESTED.find(([, pattern]) => pattern.test(title))?.[0]
