// What a language model is asked to give, and what a planning document is, as schemas. A model gives a flat list of items
// that name one another; `planOf` makes the document of it, with ids of our own, and says what is wrong with the names.
// The document is then held to the same schema as any other, whoever has extracted it.

import { z } from 'zod'
import type {
  EnablerType,
  ItemType,
  PlanningDocument,
  PlanningItem,
  PlanningWarning,
  Priority,
} from '../../document.js'

const TYPES = ['epic', 'feature', 'story', 'enabler'] as const
const PRIORITIES = ['urgent', 'high', 'medium', 'low'] as const
const ENABLER_TYPES = ['architecture', 'infrastructure', 'technical debt', 'research'] as const
const MOST_ITEMS = 5_000

const title = z.string().trim().min(1).max(1_000)
const text = z.string().max(100_000)

/** Every key is required, since some providers know no optional ones. */
const answered = z.object({
  title: z.string().describe('The title of the document'),
  items: z
    .array(
      z.object({
        ref: z.string().trim().min(1).describe('A short name for this item, unique in the list, such as "S3"'),
        type: z.enum(TYPES),
        title,
        parent: z.string().nullable().describe('The ref of the item above; null for epics, and where there is none'),
        description: text.describe('Markdown: what the document says of it, without the fields below'),
        acceptanceCriteria: z.array(text),
        storyPoints: z.number().min(0).max(1_000).nullable(),
        priority: z.enum(PRIORITIES).nullable(),
        labels: z.array(z.string()),
        dependsOn: z.array(z.string()).describe('The refs of the items that must be done first'),
        asA: z.string().nullable().describe('Of a story: "As a …"'),
        iWant: z.string().nullable().describe('Of a story: "I want …"'),
        soThat: z.string().nullable().describe('Of a story: "so that …"'),
        enablerType: z.enum(ENABLER_TYPES).nullable().describe('Of an enabler'),
      }),
    )
    .max(MOST_ITEMS),
})

/** What a model gives. */
export interface Answer {
  title: string
  items: AnsweredItem[]
}

interface AnsweredItem {
  ref: string
  type: ItemType
  title: string
  parent: string | null
  description: string
  acceptanceCriteria: string[]
  storyPoints: number | null
  priority: Priority | null
  labels: string[]
  dependsOn: string[]
  asA: string | null
  iWant: string | null
  soThat: string | null
  enablerType: EnablerType | null
}

/** For the SDK: what the model is to give. */
export const answerSchema: z.ZodType<Answer> = answered

const item = {
  id: z.string().regex(/^(?:epic|feature|story|enabler)-[1-9]\d*$/),
  key: z.string().min(1).optional(),
  checked: z.boolean().optional(),
  title: z.string().min(1),
  description: z.string(),
  parent: z.string().optional(),
  acceptanceCriteria: z.array(z.string().min(1)),
  storyPoints: z.number().min(0).optional(),
  priority: z.enum(PRIORITIES).optional(),
  labels: z.array(z.string().min(1)),
  dependsOn: z.array(z.string()),
}
const sentence = {
  asA: z.string().min(1).optional(),
  iWant: z.string().min(1).optional(),
  soThat: z.string().optional(),
}
const plan = z.strictObject({
  title: z.string(),
  epics: z.array(z.strictObject(item)),
  features: z.array(z.strictObject(item)),
  stories: z.array(z.strictObject({ ...item, ...sentence })),
  enablers: z.array(z.strictObject({ ...item, enablerType: z.enum(ENABLER_TYPES).optional() })),
  warnings: z.array(
    z.strictObject({
      code: z.string(),
      message: z.string().min(1),
      details: z.record(z.string(), z.union([z.string(), z.array(z.string())])).optional(),
    }),
  ),
})

/** What is wrong with a planning document; nothing, when it is one. */
export function faultsIn(document: unknown): string[] {
  const { success, error, data } = plan.safeParse(document)
  if (!success) return error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  const lists = [data.epics, data.features, data.stories, data.enablers] as readonly PlanningItem[][]
  const items = lists.flat()
  const ids = new Map(items.map((each) => [each.id, each]))
  const rank = ({ id }: PlanningItem): number => RANKS[id.split('-')[0] as ItemType]
  return [
    ...(items.length === 0 ? ['it has no items'] : []),
    ...(ids.size < items.length ? ['two items have one id'] : []),
    ...lists.flatMap((list, index) =>
      list.filter(({ id }) => !id.startsWith(`${TYPES[index]}-`)).map(({ id }) => `${id} stands in another list`),
    ),
    ...items.flatMap((each) => {
      const above = each.parent === undefined ? undefined : ids.get(each.parent)
      if (each.parent !== undefined && above === undefined)
        return [`${each.id} is under ${each.parent}, which is not there`]
      return above !== undefined && rank(above) >= rank(each) ? [`${each.id} cannot be under ${above.id}`] : []
    }),
    ...items.flatMap(({ id, dependsOn }) =>
      dependsOn.filter((on) => on === id || !ids.has(on)).map((on) => `${id} cannot depend on ${on}`),
    ),
  ]
}

const RANKS: Readonly<Record<ItemType, number>> = { epic: 0, feature: 1, story: 2, enabler: 2 }

/** The document that an answer means, or what is wrong with it, in words for the model. */
export function planOf(answer: Answer): { plan: PlanningDocument } | { faults: string[] } {
  const byRef = new Map(answer.items.map((each) => [each.ref, each]))
  const faults = [
    ...(byRef.size < answer.items.length ? ['Two items have the same ref.'] : []),
    ...answer.items.flatMap((each) => refFaults(each, byRef)),
  ]
  if (faults.length > 0) return { faults }
  const counts = { epic: 0, feature: 0, story: 0, enabler: 0 }
  const ids = new Map(answer.items.map(({ ref, type }) => [ref, `${type}-${++counts[type]}`]))
  const items = answer.items.map((each) => ({ type: each.type, item: itemOf(each, ids) }))
  const of = (type: ItemType): PlanningItem[] => items.filter((each) => each.type === type).map((each) => each.item)
  return {
    plan: {
      title: answer.title.trim(),
      epics: of('epic'),
      features: of('feature'),
      stories: of('story'),
      enablers: of('enabler'),
      warnings: items.flatMap(({ type, item }) => orphanIn(type, item)),
    },
  }
}

function refFaults({ ref, type, parent, dependsOn }: AnsweredItem, byRef: ReadonlyMap<string, AnsweredItem>): string[] {
  const above = parent === null ? undefined : byRef.get(parent)
  return [
    ...(parent !== null && above === undefined ? [`The parent "${parent}" of "${ref}" is not in the list.`] : []),
    ...(above !== undefined && RANKS[above.type] >= RANKS[type]
      ? [`The ${type} "${ref}" cannot stand under the ${above.type} "${above.ref}".`]
      : []),
    ...dependsOn.filter((on) => !byRef.has(on)).map((on) => `"${ref}" depends on "${on}", which is not in the list.`),
    ...(dependsOn.includes(ref) ? [`"${ref}" depends on itself.`] : []),
  ]
}

function itemOf(answered: AnsweredItem, ids: ReadonlyMap<string, string>): PlanningItem {
  const { ref, type, parent, dependsOn, storyPoints, priority, asA, iWant, soThat, enablerType } = answered
  const seen = (texts: readonly string[]): string[] =>
    [...new Set(texts.map((each) => each.trim()))].filter((each) => each)
  const fields = {
    id: ids.get(ref),
    title: answered.title,
    description: answered.description.trim(),
    parent: parent === null ? undefined : ids.get(parent),
    acceptanceCriteria: seen(answered.acceptanceCriteria),
    storyPoints: storyPoints ?? undefined,
    priority: priority ?? undefined,
    labels: seen(answered.labels),
    dependsOn: seen(dependsOn).map((on) => ids.get(on)),
    ...(type === 'story' && {
      asA: asA?.trim() || undefined,
      iWant: iWant?.trim() || undefined,
      soThat: soThat?.trim() || undefined,
    }),
    ...(type === 'enabler' && { enablerType: enablerType ?? undefined }),
  }
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as unknown as PlanningItem
}

function orphanIn(type: ItemType, { id, title, parent }: PlanningItem): PlanningWarning[] {
  if (type === 'epic' || parent !== undefined) return []
  return [{ code: 'ORPHANED_ITEM', message: `The ${type} "${title}" stands under nothing`, details: { item: id } }]
}
