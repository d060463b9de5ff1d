// Headings that are not items but say what stands below them: "User stories", "Glossary", "Overview".
// A collection makes items of its child headings or bullets; an aside (glossary, out of scope, …) never holds items.
// Whole titles only: "Feature comparison" and "The epic story of our company" say nothing here.

import type { EnablerType, ItemType } from '../document.js'
import { withoutOutline } from './markers.js'
import { enablerTypeIn } from './values.js'

export interface Collection {
  /** The types of what stands below, outermost first: "Epics and stories". */
  types: ItemType[]
  /** What the stories are for: "User stories for Checkout"; empty when it does not say. */
  topic: string
  enablerType?: EnablerType
  /** False for "Features" and "Enablers", which advertisements and designs have too. */
  strong: boolean
  /** True for "Key features": a collection only where the document has no other features. */
  highlights: boolean
}

const TERM: readonly [ItemType, string][] = [
  ['epic', 'epics?'],
  ['feature', 'features?'],
  ['story', '(?:user[ -]?stor(?:y|ies)|stor(?:y|ies)|user requirements)'],
  [
    'enabler',
    '(?:(?:architect\\w*|infrastructure|technical|tech|research|technical debt|exploration) )?(?:enabler(?: stor(?:y|ies))?s?|spikes?)|technical stories',
  ],
]
const ANY = `(?:${TERM.map(([, words]) => words).join('|')})`
const BEFORE =
  '(?:(?:the|all|list of|our|planned|proposed|mvp|initial|detailed|candidate|high-level|backlog|product|sprint|release|prioriti[sz]ed|new|core|key|main|functional|cross-cutting|shared|global|general|other|remaining|additional|future|phase \\d+|v?\\d+(?:\\.\\d+)?|sprint \\d+) )*'
const AFTER =
  '(?: (?:list|backlog|breakdown|catalog(?:ue)?|inventory|overview|summary|details?|map|table|index|by \\w+))?'
const WITH = `(?:\\s*(?:,|and|&|/|\\+|with)\\s*(?:and )?(?:${ANY}|acceptance criteria|requirements|use cases|tasks|estimates|priorities))*`
const COLLECTION = new RegExp(`^${BEFORE}(${ANY}${WITH})${AFTER}$`)
const TOPICAL = /^(?:(user stor(?:y|ies)|stories)(?: for |\s*[:—–|]\s*| - )(.{2,80})|(.{2,60}) user stories)$/

/** The collection that a title announces. */
export function collectionIn(title: string): Collection | undefined {
  const plain = withoutOutline(title)
    .replace(/[:：.]+$/, '')
    .replace(/\s*\([^()]*\)$/, '')
    .replace(/\s+/g, ' ')
    .trim()
    .toLowerCase()
  if (plain.length > 100) return undefined
  return named(plain) ?? topical(plain)
}

function named(plain: string): Collection | undefined {
  const words = COLLECTION.exec(plain)?.[1]
  if (
    words === undefined ||
    (isSingular(words) && !/(?:list|backlog|breakdown|catalog(?:ue)?|inventory)$/.test(plain))
  ) {
    return undefined
  }
  const types = typesIn(words)
  const enablerType = types[0] === 'enabler' ? enablerTypeIn(words) : undefined
  const strong = types.length > 1 || /epic|user/.test(words)
  const highlights = /^(?:key|core|main|general) /.test(plain)
  return { types, topic: '', ...(enablerType && { enablerType }), strong: strong && !highlights, highlights }
}

const isSingular = (words: string): boolean => /^(?:epic|feature|user[ -]?story|story|enabler|spike)$/.test(words)

function typesIn(words: string): ItemType[] {
  const found = TERM.map(([type, term]) => ({ type, at: words.search(new RegExp(`(?:^|[^a-z])${term}(?![a-z])`)) }))
  const types = found.filter(({ at }) => at >= 0).sort((a, b) => a.at - b.at)
  return types.map(({ type }) => type)
}

function topical(plain: string): Collection | undefined {
  const [, , after, before] = TOPICAL.exec(plain) ?? []
  const topic = after ?? before
  return topic === undefined ? undefined : { types: ['story'], topic, strong: true, highlights: false }
}

const ASIDE =
  /^(?:(?:a )?glossary|terminology|terms(?: used)?|definitions?|definitions? (?:and|&) \w+|abbreviations|acronyms|legend|(?:table of )?contents|toc|references|(?:revision|version|document|change) history|change ?log|release notes|out[ -]of[ -]scope|not in scope|won['’]?t have|exclusions|non[- ]goals|(?:\w+ )?templates?|(?:some )?examples?|how (?:to|we) .*|(?:naming )?conventions|reading guide|about this document|further reading)(?: .{0,30})?$/i

/** True for a section that explains or excludes: nothing in it is an item. */
export const isAside = (title: string): boolean => ASIDE.test(withoutOutline(title).replace(/[:：.]+$/, ''))

const GENERIC = new RegExp(
  '^(?:overview|introduction|summary|executive summary|background|context|notes?|goals?|objectives?|purpose|scope|' +
    'in scope|assumptions?|risks?|constraints?|open questions?|questions|dependencies|(?:non-?|functional |technical )*requirements|' +
    'acceptance criteria|description|priorit(?:y|ies|isation|ization)|estimates?|estimation|timeline|milestones|stakeholders|' +
    '(?:user )?(?:personas|roles|types)|users|(?:success )?metrics|kpis|roadmap|appendix|technical notes|implementation(?: notes| details)?|details|' +
    'rationale|(?:\\w+ )?(?:information|info|metadata|properties|attributes|planning)|business (?:value|goals?|context|case)|value|hypothesis|benefits?|(?:user )?story|(?:user )?story statement|story|' +
    'definition of (?:done|ready)|(?:sub-?)?tasks?|todo|resources|links|attachments|vision|problem(?: statement)?|status|' +
    'ui scope|test(?:ing)? (?:notes|plan|cases|strategy)|edge cases|risks? (?:and|&) \\w+|changes?|history|intro|legend)$',
  'i',
)

/** True for a heading that names a part of an item or of a document, never an item. */
export const isGeneric = (title: string): boolean => GENERIC.test(withoutOutline(title).replace(/[:：.]+$/, ''))

const PLAN =
  /\b(?:plan|planning|requirements?|prd|backlog|roadmap|product spec\w*|functional spec\w*|work breakdown|user stories|scope of work|mvp|program increment)\b/i

/** True for a document's title that says the document is a plan. */
export const saysPlan = (title: string): boolean => PLAN.test(title)
