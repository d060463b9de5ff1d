// Lists: which bullets are items, which are fields of the item they stand under, and which are its prose.
// A bullet is judged by its first line; what is nested in it belongs to the item it makes.
// Bullets that are none of these stay together, in order, as prose.

import type { Block, Line, List, ListItem } from '../blocks.js'
import { criteriaIn, isNumberedCriterion, itemText, opensScenario } from './criteria.js'
import { type Draft, drafted, isLeaf, lineOf, rankOf, takeField, tell } from './drafts.js'
import { type Field, fieldsIn } from './fields.js'
import { markerIn } from './markers.js'
import {
  add,
  headOf,
  isWish,
  itemsWithin,
  markerOf,
  NOWHERE,
  namesParent,
  type Place,
  type Reading,
  restOf,
} from './reading.js'
import { sentenceIn } from './sentences.js'
import { collectionIn } from './titles.js'

/** Reads blocks that stand inside of something found here. */
export type ReadInside = (blocks: readonly Block[], place: Place) => void

/** Reads a list that stands at `place`; what it does not take comes back, for the owner's prose. */
export function readList(list: List, place: Place, reading: Reading, inside: ReadInside): List | undefined {
  const left: ListItem[] = []
  /** Items of this very list, each under the one before it: "Epic: …" and then "Story: …" in one flat list. */
  const ladder: Draft[] = []
  let waiting: Field | undefined
  if (place.owner === undefined && isLegend(list, reading)) return undefined
  for (const item of joinedSentences(list.items)) {
    if (waiting !== undefined && place.owner !== undefined && isPlainBullet(item, reading)) {
      takeField(place.owner, { ...waiting, value: itemText(item) }, [])
      continue
    }
    waiting = openField(item, place.owner)
    const begun = reading.drafts.length
    const at = { ...place, owner: ownerOn(ladder, item, place, reading) }
    if (waiting === undefined && !readItem(item, at, reading, inside)) left.push(item)
    const made = reading.drafts[begun]
    if (made !== undefined && made.form === 'bullet' && !isLeaf(made)) ladder.push(made)
  }
  return left.length === 0 ? undefined : { ...list, items: left }
}

/** The last item of the list that can hold what this bullet announces; else whatever the list stands in. */
function ownerOn(ladder: readonly Draft[], item: ListItem, { owner }: Place, reading: Reading): Draft | undefined {
  const head = ladder.length === 0 ? undefined : headOf(item)
  const marker = head && markerOf(head, 'bullet', reading)
  if (marker === undefined) return owner
  const above = ladder.findLast(({ type }) => rankOf(type) < rankOf(marker.type))
  return above !== undefined && (owner === undefined || rankOf(above.type) > rankOf(owner.type)) ? above : owner
}

/** "- **Epic**: …", "- **Feature**: …", "- **Bug**: …", each once: a list that explains words or describes a page. */
function isLegend({ items }: List, reading: Reading): boolean {
  const labels = items.map((item) =>
    /^([\p{L} ]{3,30})[:：]/u
      .exec(headOf(item)?.text ?? '')?.[1]
      ?.trim()
      .toLowerCase(),
  )
  if (items.length < 2 || labels.includes(undefined) || new Set(labels).size < labels.length) return false
  if (items.some((item) => restOf(item).length > 0)) return false
  const heads = items.flatMap((item) => headOf(item) ?? [])
  const foreign = labels.some(
    (label) => markerIn(`${label}: X`, { form: 'heading', lettersCount: false }) === undefined,
  )
  const bold = heads.every((head) => head.strong.replace(/[:：]$/, '') === head.text.split(/[:：]/)[0])
  return (foreign || bold) && heads.some((head) => markerOf(head, 'bullet', reading) !== undefined)
}

/** "- Acceptance criteria:" whose criteria are the next bullets of the same list. */
function openField(item: ListItem, owner: Draft | undefined): Field | undefined {
  const head = headOf(item)
  if (owner === undefined || head === undefined || restOf(item).length > 0) return undefined
  const [field, ...more] = fieldsIn(head.text, head.strong)
  const lists = field?.kind === 'criteria' || field?.kind === 'depends' || field?.kind === 'labels'
  return field !== undefined && lists && field.value === '' && more.length === 0 ? field : undefined
}

function isPlainBullet(item: ListItem, reading: Reading): boolean {
  const head = headOf(item)
  return head !== undefined && fieldsIn(head.text, head.strong).length === 0 && !markerOf(head, 'bullet', reading)
}

/** True when the item was taken: as an item of the plan, a field, a reference or a criterion. */
function readItem(item: ListItem, place: Place, reading: Reading, inside: ReadInside): boolean {
  const head = spoken(headOf(item), place)
  if (head === undefined) return false
  if (head.anchor) return linked(head.text, place, reading)
  const { owner } = place
  const sentence = sentenceIn(head.text)
  if (isLeaf(owner) && owner.sentence === undefined && owner.form !== 'row' && sentence !== undefined) {
    tell(owner, sentence, [head])
    inside(restOf(item), place)
    return true
  }
  return (
    readMarked(item, head, place, reading, inside) ||
    readLettered(item, head, place, reading, inside) ||
    readField(item, head, place, inside) ||
    readNestedCollection(item, head, place, inside) ||
    (sentence !== undefined &&
      (!sentence.plural || inPlan(place)) &&
      readUnmarked(item, head, 'story', place, reading, inside)) ||
    readMember(item, head, place, reading, inside) ||
    readCriterion(item, head, place) ||
    readGroup(item, head, place, reading, inside)
  )
}

/** "I want …, so that …" under the heading of a role is said by that role. */
function spoken(head: Line | undefined, { owner, groups }: Place): Line | undefined {
  const [role] = groups
  if (head === undefined || owner !== undefined || role === undefined || role.length > 40) return head
  if (!isWish(head.text)) return head
  const said = role.charAt(0).toLowerCase() + role.slice(1)
  return { ...head, text: `As ${/^[aeiou]/i.test(role) ? 'an' : 'a'} ${said}, ${head.text}` }
}

const inPlan = (place: Place): boolean => place.owner !== undefined || place.collection.length > 0

function linked(text: string, { owner }: Place, { links }: Reading): boolean {
  if (owner === undefined || isLeaf(owner)) return false
  links.push({ owner, text })
  return true
}

function readMarked(item: ListItem, head: Line, place: Place, reading: Reading, inside: ReadInside): boolean {
  const marker = markerOf(head, 'bullet', reading)
  if (marker === undefined) return false
  const { owner } = place
  if (namesParent(marker, owner)) {
    owner.parents.push({ text: head.text.replace(/^(?:epic|feature)\s*:\s*/i, ''), type: marker.type, implied: false })
    return true
  }
  // "- Story: As a …" under a story's heading is that story's sentence.
  if (isLeaf(owner) && marker.keys.length === 0 && sentenceIn(marker.title) !== undefined) return false
  const rest = restOf(item)
  if (marker.title === '' && marker.tail === '' && rest.length === 0) return linked(head.text, place, reading)
  const draft = drafted({
    ...marker,
    form: 'bullet',
    written: head.text,
    marker,
    container: owner,
    groups: place.groups,
    checked: item.checked === true,
  })
  begin(draft, marker.tail, rest, reading, inside)
  return true
}

/** "A.1 Customer shows a code" under "Epic A". */
function readLettered(item: ListItem, head: Line, place: Place, reading: Reading, inside: ReadInside): boolean {
  const found = /^([A-Z])\.?\d{1,2}[.:)]?\s+(?=\S)/.exec(head.text)
  const { owner } = place
  if (found === null || !owner?.keys.includes(`${owner.type}${found[1]?.toLowerCase()}`) || isLeaf(owner)) return false
  const named = { ...head, text: head.text.slice(found[0].length) }
  return readUnmarked(item, named, 'story', { ...place, strong: true }, reading, inside)
}

function begin(draft: Draft, tail: string, rest: readonly Block[], reading: Reading, inside: ReadInside): void {
  add(reading, draft)
  const before: Block[] = tail === '' ? [] : [{ type: 'paragraph', lines: [lineOf(tail)] }]
  inside([...before, ...rest], { ...NOWHERE, owner: draft })
}

function readField(item: ListItem, head: Line, place: Place, inside: ReadInside): boolean {
  const { owner } = place
  if (owner === undefined) return false
  const [first, ...more] = fieldsIn(head.text, head.strong)
  const rest = restOf(item)
  if (first === undefined || !takeField(owner, first, rest)) return false
  for (const field of more) takeField(owner, field, [])
  const usedRest =
    first.value === '' || first.kind === 'criteria' || first.kind === 'labels' || first.kind === 'depends'
  if (!usedRest) inside(rest, place)
  return true
}

/** "- Stories:" with the stories nested in it. */
function readNestedCollection(item: ListItem, head: Line, place: Place, inside: ReadInside): boolean {
  const collection = /[:：]$/.test(head.text) || head.strong === head.text ? collectionIn(head.text) : undefined
  const rest = restOf(item)
  if (collection === undefined || rest.length === 0) return false
  inside(rest, {
    ...place,
    collection: collection.types,
    strong: collection.strong,
    enablerType: collection.enablerType,
  })
  return true
}

function readUnmarked(
  item: ListItem,
  head: Line,
  type: Draft['type'],
  place: Place,
  reading: Reading,
  inside: ReadInside,
): boolean {
  const { title, tail } = titleAndTail(head)
  const sentence = sentenceIn(head.text)
  const strong = place.strong || (sentence !== undefined && sentence.soThat !== '')
  const { owner: container, groups, enablerType } = place
  const draft = drafted({
    type,
    form: 'bullet',
    strong,
    title,
    written: head.text,
    container,
    groups,
    enablerType,
    checked: item.checked === true,
  })
  begin(draft, tail, restOf(item), reading, inside)
  return true
}

/** "**Login** — users can …" is a title and its explanation; "**Fast** checkout" is a title. */
function titleAndTail({ text, strong }: Line): { title: string; tail: string } {
  const tail = text.slice(strong.length).trim()
  const split = strong.length > 3 && text.startsWith(strong) && /^[^\p{Ll}([]/u.test(tail)
  if (!split || sentenceIn(text) !== undefined) return { title: text, tail: '' }
  return { title: strong.replace(/[:：.]+$/, ''), tail: tail.replace(/^[\s:：–—.-]+/, '') }
}

/** A bullet of a collection, unless it only groups others. */
function readMember(item: ListItem, head: Line, place: Place, reading: Reading, inside: ReadInside): boolean {
  const [type, ...deeper] = place.collection
  if (type === undefined || itemsWithin(item.blocks.slice(1), reading) > 1 || head.text.length > 400) return false
  if (deeper.length === 0) return readUnmarked(item, head, type, place, reading, inside)
  return readUnmarked(item, head, type, place, reading, (blocks, at) =>
    inside(blocks, at.owner === place.owner ? at : { ...at, collection: deeper, strong: place.strong }),
  )
}

function readCriterion(item: ListItem, head: Line, { owner, apart }: Place): boolean {
  if (!isLeaf(owner) || apart) return false
  if (item.checked === null && !opensScenario(head.text) && !isNumberedCriterion(head.text)) return false
  owner.criteria.push(...criteriaIn('', [{ type: 'list', ordered: false, items: [item] }]))
  return true
}

/** A bullet that is no item, but holds some. */
function readGroup(item: ListItem, head: Line, place: Place, reading: Reading, inside: ReadInside): boolean {
  const rest = restOf(item)
  if (itemsWithin(rest, reading) === 0) return false
  inside(rest, { ...place, groups: [head.text.replace(/[:：]$/, ''), ...place.groups] })
  return true
}

/** "- As a buyer" / "- I want …" / "- So that …" in three bullets are one sentence. */
function joinedSentences(items: readonly ListItem[]): ListItem[] {
  const joined: ListItem[] = []
  for (const item of items) {
    const last = joined.at(-1)
    const head = headOf(item)
    const before = last === undefined ? undefined : headOf(last)
    if (last !== undefined && head !== undefined && before !== undefined && goesOn(before, head)) {
      const line = { ...before, text: `${before.text} ${head.text}`, markdown: `${before.markdown}\n${head.markdown}` }
      joined[joined.length - 1] = {
        ...last,
        blocks: [{ type: 'paragraph', lines: [line] }, ...restOf(last), ...restOf(item)],
      }
    } else joined.push(item)
  }
  return joined
}

/** A bullet that brings the next part of the sentence, or the next step of the scenario, that those before it began. */
function goesOn({ text }: Line, { text: next }: Line): boolean {
  if (/^given\b/i.test(text)) return text.length < 600 && /^(?:when|then|and|but)\b/i.test(next)
  if (text.length > 600 || !/^(?:[A-Z]+-?\d+\s*[:–—-]?\s*)?as (?:an?|the)\b/i.test(text)) return false
  if (!/\bI (?:want|need|can|would like)\b/i.test(text)) return /^(?:I (?:want|need|can|would like)|in)\b/i.test(next)
  const reason = /\b(?:so that|in order to)\b/i
  return !reason.test(text) && next.search(reason) === 0 && !/,\s*as an?\s/i.test(next)
}
