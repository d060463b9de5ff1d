// Headings: which are items, which announce items, which are fields of the item above, and which are part of its prose.
// Depth is hierarchy: what stands under an item's heading belongs to it. Items of equal depth remember each other,
// for documents that write every heading alike. A heading is an item by its own words, or by what stands under it.

import type { Block, Line } from '../blocks.js'
import type { ItemType } from '../document.js'
import { readBody, readCriteria } from './body.js'
import { type Draft, drafted, isLeaf, lineOf, rankOf, takeField } from './drafts.js'
import { type Field, fieldsIn, headingFieldsIn } from './fields.js'
import { type Marker, outlineNumber, typeNamed, withoutOutline } from './markers.js'
import { parentTypes } from './names.js'
import { holdsStories } from './paragraphs.js'
import {
  add,
  headOf,
  holdsItems,
  isNamed,
  itemsWithin,
  markerOf,
  NOWHERE,
  type Outline,
  type Place,
  type Reading,
} from './reading.js'
import { sentenceIn } from './sentences.js'
import { type Collection, collectionIn, isAside, isGeneric } from './titles.js'

/** What the headings of one depth, under one heading, know of each other. */
interface Level {
  /** The items so far that may hold the next one, outermost first. */
  before: Draft[]
  /** The item right before, when its parts are headings of its own depth. */
  tail?: Draft | undefined
  /** In a collection, true when its items carry markers: then what carries none is no item. */
  marked: boolean
}

/** Reads headings of one depth and everything under them. */
export function readHeadings(outlines: readonly Outline[], place: Place, reading: Reading): void {
  const marked = outlines.some((outline) => markerOf(lineOf(outline.title), 'heading', reading) !== undefined)
  const level: Level = { before: [], marked }
  for (const outline of outlines) readHeading(outline, place, level, reading)
}

function readHeading(outline: Outline, place: Place, level: Level, reading: Reading): void {
  const { title } = outline
  if (isAside(title)) return keepWhole(outline, level.tail ?? place.owner)
  const marker = markerOf(lineOf(title), 'heading', reading)
  if (marker !== undefined && !repeatsOwner(marker, place)) {
    return readItem(
      outline,
      { type: marker.type, title: marker.title, strong: marker.strong, marker },
      place,
      level,
      reading,
    )
  }
  if (readFieldHeading(outline, place, level, reading)) return
  const collection = collectionIn(title)
  if (collection !== undefined && !(collection.highlights && reading.survey.hasFeatures)) {
    return readCollection(outline, collection, place, level, reading)
  }
  const type = typeByContent(outline, place, level, reading)
  if (type === undefined) return readPlain(outline, place, level, reading)
  readItem(outline, { type, title: withoutOutline(title), strong: isSure(outline, place) }, place, level, reading)
}

/** "User story" with the sentence, under a story's heading, is no second story. */
const repeatsOwner = (marker: Marker, { owner }: Place): boolean =>
  isLeaf(owner) && marker.keys.length === 0 && sentenceIn(marker.title) !== undefined

interface Found {
  type: ItemType
  title: string
  strong: boolean
  marker?: Marker
}

function readItem(outline: Outline, found: Found, place: Place, level: Level, reading: Reading): void {
  const { owner: container, groups, enablerType } = place
  const draft = drafted({
    ...found,
    form: 'heading',
    written: withoutOutline(outline.title),
    container,
    groups,
    enablerType,
  })
  const number = outlineNumber(outline.title)
  if (found.marker === undefined && number !== '') draft.keys.push(`${draft.type}${number}`)
  level.before = level.before.filter(({ type }) => rankOf(type) < rankOf(draft.type))
  draft.before = [...level.before]
  level.before.push(draft)
  level.tail = undefined
  add(reading, draft)
  const inCollection = found.marker === undefined && place.collection.length > 1
  const collection = inCollection ? place.collection.slice(1) : []
  readInside(outline, { ...NOWHERE, owner: draft, collection, strong: place.strong }, reading)
}

function readInside(outline: Outline, place: Place, reading: Reading): void {
  const members = place.collection.length > 0 && outline.children.some(isCandidate)
  const bodyPlace = members ? { ...place, collection: [] } : place
  const open = readBody(outline.blocks, bodyPlace, reading, holdsItems(outline.children, reading))
  const moved = open !== undefined && open !== place.owner
  readHeadings(outline.children, moved ? { ...place, owner: open, collection: [] } : place, reading)
}

const isCandidate = ({ title }: Outline): boolean =>
  title !== '' &&
  !isAside(title) &&
  !isGeneric(title) &&
  collectionIn(title) === undefined &&
  headingFieldsIn(title).length === 0

function readCollection(outline: Outline, found: Collection, place: Place, level: Level, reading: Reading): void {
  const groups = found.topic === '' ? place.groups : [found.topic, ...place.groups]
  const { types: collection, strong, enablerType } = found
  level.before = []
  level.tail = undefined
  readInside(outline, { ...place, groups, collection, strong, enablerType, apart: false, grouping: false }, reading)
}

/** A heading that names a field of the item above: "Acceptance criteria", "Priority: High", "Dependencies". */
function readFieldHeading(outline: Outline, place: Place, level: Level, reading: Reading): boolean {
  const [field, ...more] = headingFieldsIn(withoutOutline(outline.title))
  const owner = field === undefined ? undefined : fieldOwner(field, place, level)
  if (field === undefined || owner === undefined) return false
  if (field.kind === 'criteria') {
    if (owner !== place.owner) level.tail = owner
    takeField(owner, field, [])
    readCriteria(allBlocks(outline), owner)
    return true
  }
  if (field.value === '' && (field.kind === 'description' || field.kind === 'sentence' || field.kind === 'title')) {
    readInside(outline, { ...place, owner, collection: [], apart: false }, reading)
    return true
  }
  if (!takeField(owner, field, field.value === '' ? allBlocks(outline) : [])) return false
  for (const other of more) takeField(owner, other, [])
  if (field.value !== '') readInside(outline, { ...place, owner, collection: [] }, reading)
  return true
}

/** The item that a field heading is about: the one it stands under, or the one right before it at its own depth. */
function fieldOwner(field: Field, { owner }: Place, { before, tail }: Level): Draft | undefined {
  const last = before.at(-1)
  if (tail !== undefined) return tail
  const flat = isLeaf(last) && last.criteria.length === 0 && field.kind === 'criteria'
  return flat ? last : (owner ?? last)
}

const allBlocks = (outline: Outline): Block[] => [...outline.blocks, ...outline.children.flatMap(allBlocks)]

/** The type of a heading that does not say it: by the collection it stands in, or by what stands under it. */
function typeByContent(outline: Outline, place: Place, level: Level, reading: Reading): ItemType | undefined {
  const [type] = place.collection
  if (sentenceIn(outline.title) !== undefined && !isLeaf(place.owner)) return 'story'
  if (!isCandidate(outline)) return undefined
  const told = typeField(outline)
  if (told !== undefined) return told
  if (type !== undefined && !level.marked) return isGroup(outline, type, reading) ? undefined : type
  return looksLikeStory(outline, place, reading) ? storyOrFeature(outline, place, reading) : undefined
}

/** "Type: Epic" under a heading. */
function typeField(outline: Outline): ItemType | undefined {
  const fields = outline.blocks.flatMap(topLines).flatMap((line) => fieldsIn(line.text, line.strong))
  const value = fields.find(({ kind }) => kind === 'type')?.value
  return value === undefined ? undefined : typeNamed(value)
}

/** A heading in a collection that only groups: several items of the collection's own type, or of one above, stand under it. */
function isGroup(outline: Outline, type: ItemType, reading: Reading): boolean {
  const place = { ...NOWHERE, collection: [type] }
  const below = outline.children.filter((child) => {
    const marker = markerOf(lineOf(child.title), 'heading', reading)
    if (marker !== undefined) return rankOf(marker.type) <= rankOf(type)
    return type === 'story' && isCandidate(child) && looksLikeStory(child, place, reading)
  })
  if (below.length > 0 || isNameOfOneAbove(outline, type, reading)) return true
  const sentences = type === 'story' ? sentencesIn(outline.blocks).length : 0
  const bullets = type === 'story' ? itemsWithin(outline.blocks, reading) : 0
  return sentences + bullets > 1 || markedBullets(outline.blocks, type, reading)
}

/** "### Checkout" under "Stories", where Checkout is an epic or a feature, and a list or headings stand under it. */
function isNameOfOneAbove({ title, blocks, children }: Outline, type: ItemType, reading: Reading): boolean {
  const holds = children.some(isCandidate) || blocks.some((block) => block.type === 'list')
  return holds && parentTypes(type).some((above) => isNamed(reading, { type: above, title: withoutOutline(title) }))
}

const markedBullets = (blocks: readonly Block[], type: ItemType, reading: Reading): boolean =>
  blocks.some(
    (block) =>
      block.type === 'list' &&
      block.items.some((item) => {
        const head = headOf(item)
        const marker = head && markerOf(head, 'bullet', reading)
        return marker?.type === type && marker.title !== '' && sentenceIn(marker.title) === undefined
      }),
  )

const sentencesIn = (blocks: readonly Block[]): Line[] =>
  blocks
    .flatMap((block) => (block.type === 'paragraph' ? block.lines : []))
    .filter((line) => /^as (?:an?|the)\s/i.test(line.text))

/** One story sentence under a heading, or the fields that only items have. */
function looksLikeStory(outline: Outline, place: Place, reading: Reading): boolean {
  if (isLeaf(place.owner)) return false
  const planned = place.owner !== undefined || place.collection.length > 0
  const [first, ...others] = sentencesIn(outline.blocks)
  if (first === undefined) return hasFieldsOfItem(outline, planned, reading)
  const text = outline.blocks
    .flatMap((block) => (block.type === 'paragraph' ? block.lines : []))
    .map((line) => line.text)
  const sentence = sentenceIn(text.slice(text.indexOf(first.text)).join(' '))
  if (others.length > 0 || sentence === undefined || holdsItems(outline.children, reading)) return false
  return planned || (sentence.soThat !== '' && !sentence.plural)
}

function hasFieldsOfItem(outline: Outline, planned: boolean, reading: Reading): boolean {
  if (itemsWithin(outline.blocks, reading) > 0 || holdsStories(outline.blocks)) return false
  const below = outline.children.flatMap((child) => headingFieldsIn(withoutOutline(child.title)))
  const own = outline.blocks.flatMap(topLines).flatMap((line) => fieldsIn(line.text, line.strong))
  const kinds = new Set([...own, ...below].map(({ kind }) => kind))
  if (planned) return kinds.has('criteria') || kinds.has('points')
  return kinds.has('criteria') && (kinds.has('points') || kinds.has('priority'))
}

/** The lines of a block, without what is nested in a list's items. */
function topLines(block: Block): Line[] {
  if (block.type === 'paragraph') return block.lines
  return block.type === 'list' ? block.items.flatMap((item) => headOf(item) ?? []) : []
}

/** Under an epic, what has stories under it is a feature. */
const storyOrFeature = (outline: Outline, { owner }: Place, reading: Reading): ItemType =>
  owner?.type === 'epic' && (holdsItems(outline.children, reading) || itemsWithin(outline.blocks, reading) > 1)
    ? 'feature'
    : 'story'

const isSure = (outline: Outline, place: Place): boolean => {
  const sentence = sentenceIn(outline.title)
  return (
    place.strong ||
    typeField(outline) !== undefined ||
    (sentence !== undefined && sentence.soThat !== '') ||
    sentencesIn(outline.blocks).length > 0
  )
}

/** A heading of its own: prose of the item it stands under, and perhaps a group of items. */
function readPlain(outline: Outline, place: Place, level: Level, reading: Reading): void {
  const generic = outline.title === '' || isGeneric(outline.title)
  if (!generic && level.tail === undefined) level.before = []
  const owner = level.tail ?? place.owner
  const kept = owner?.prose.length ?? 0
  const groups = generic ? place.groups : [withoutOutline(outline.title), ...place.groups]
  const collection = isCandidate(outline) && !level.marked ? place.collection : []
  const grouping = !generic && (holdsStories(outline.blocks) || itemsWithin(outline.blocks, reading) > 0)
  readInside(outline, { ...place, owner, groups, collection, apart: true, grouping }, reading)
  if (owner !== undefined && owner.prose.length > kept) owner.prose.splice(kept, 0, headingBlock(outline))
}

const headingBlock = ({ depth, title }: Outline): Block => {
  const markdown = `${'#'.repeat(Math.max(depth, 1))} ${title}`
  return { type: 'paragraph', lines: [{ ...lineOf(title), strong: title, markdown }] }
}

/** An aside belongs to the item it stands under, word for word. */
function keepWhole(outline: Outline, owner: Draft | undefined): void {
  if (owner === undefined) return
  owner.prose.push(headingBlock(outline), ...outline.blocks)
  for (const child of outline.children) keepWhole(child, owner)
}
