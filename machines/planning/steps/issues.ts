// From a plan to issues, and from issues to their hierarchy. What is to be made is decided purely (`issueOf`); making it
// goes through the tracker, several at a time, and may be cut off anywhere: done again with the same key, it finds what
// is there. It never undoes anything.

import { setTimeout as pause } from 'node:timers/promises'
import type { StepContext } from 'holdfast'
import type { Enabler, ItemType, PlanningDocument, PlanningItem, Story } from '../document.js'
import type { Pace } from '../input.js'
import type { PlanningSessionResult } from '../state.js'
import { type NewIssue, type Tracker, TrackerError } from '../tracker.js'
import { amount } from './amount.js'
import { uuidOf } from './uuid.js'

/** Tracker ids: what stands under what, and what waits for what. */
export type Link =
  | { readonly child: string; readonly parent: string }
  | { readonly waiting: string; readonly on: string }

interface TypedItem {
  readonly type: ItemType
  readonly item: PlanningItem
}

/** Creates every issue of the plan, under `key`; resolves when all of them are durable. Throws what the tracker throws. */
export async function createAll(
  plan: PlanningDocument,
  key: string,
  tracker: Tracker,
  pace: Pace | null,
  context: StepContext,
): Promise<{ result: PlanningSessionResult; links: Link[] }> {
  const items = itemsOf(plan)
  const titles = new Map(items.map(({ item }) => [item.id, item.title]))
  const clientIds = items.map(({ item }) => clientIdOf(key, item.id))
  const there = await tracker.find(clientIds)
  const ids = new Map<string, string>()
  await each(items, tracker.parallel, pace, context.signal, async ({ type, item }, index) => {
    const clientId = clientIds[index] as string
    const id = there.get(clientId) ?? (await tracker.create(issueOf(type, item, clientId, titles))).id
    ids.set(item.id, id)
    context.progress((100 * ids.size) / items.length, `${ids.size} of ${amount(items.length, 'issue')}`)
  })
  return { result: resultOf(plan, ids), links: linksOf(items, ids) }
}

/**
 * Puts every issue under its parent, and names what it waits for; the first `linked` of them are known to be done. Throws
 * what the tracker throws, with how many are known to be done in `details.linked`.
 */
export async function linkAll(
  links: readonly Link[],
  linked: number,
  tracker: Tracker,
  pace: Pace | null,
  context: StepContext,
): Promise<{ linked: number }> {
  const done = links.map((_, index) => index < linked)
  let count = linked
  try {
    await each(links, tracker.parallel, pace, context.signal, async (link, index) => {
      if (done[index]) return
      if ('child' in link) await tracker.link(link.child, link.parent)
      else await tracker.depend(link.waiting, link.on)
      done[index] = true
      context.progress((100 * ++count) / links.length, `${count} of ${amount(links.length, 'link')}`)
    })
  } catch (error) {
    throw error instanceof TrackerError ? withDetails(error, { linked: done.indexOf(false) }) : error
  }
  return { linked: count }
}

const withDetails = (error: TrackerError, more: Record<string, number>): TrackerError =>
  new TrackerError(error.code, error.message, { cause: error.cause, details: { ...error.details, ...more } })

/** Parents before what they hold. */
const itemsOf = ({ epics, features, stories, enablers }: PlanningDocument): TypedItem[] => [
  ...epics.map((item): TypedItem => ({ type: 'epic', item })),
  ...features.map((item): TypedItem => ({ type: 'feature', item })),
  ...stories.map((item): TypedItem => ({ type: 'story', item })),
  ...enablers.map((item): TypedItem => ({ type: 'enabler', item })),
]

/** The issue's identity: the same for every attempt under the same key, another under any other. */
export const clientIdOf = (key: string, planningId: string): string => uuidOf(`${key}/${planningId}`)

/** The issue that stands for an item. `titles` are those of all items, by planning id. */
export function issueOf(
  type: ItemType,
  item: PlanningItem,
  clientId: string,
  titles: ReadonlyMap<string, string>,
): NewIssue {
  const { title, labels, priority, storyPoints } = item
  return {
    clientId,
    type,
    title,
    description: descriptionOf(item, titles),
    labels,
    ...(priority && { priority }),
    ...(storyPoints !== undefined && { estimate: storyPoints }),
  }
}

/** What a tracker has no field for goes into the text. */
function descriptionOf(item: PlanningItem & Partial<Story & Enabler>, titles: ReadonlyMap<string, string>): string {
  const { key, checked, description, acceptanceCriteria, dependsOn, enablerType } = item
  const parts = [
    description,
    key && `Key in the document: ${key}`,
    checked && 'Checked off in the document',
    enablerType && `Enabler type: ${enablerType}`,
    acceptanceCriteria.length > 0 && `## Acceptance criteria\n\n${listOf(acceptanceCriteria, '- [ ] ')}`,
    dependsOn.length > 0 &&
      `## Depends on\n\n${listOf(
        dependsOn.map((id) => titles.get(id) ?? id),
        '- ',
      )}`,
  ]
  return parts.filter((part) => part).join('\n\n')
}

const listOf = (items: readonly string[], bullet: string): string => items.map((item) => `${bullet}${item}`).join('\n')

function resultOf(plan: PlanningDocument, ids: ReadonlyMap<string, string>): PlanningSessionResult {
  const of = (items: readonly PlanningItem[]): Record<string, string> =>
    Object.fromEntries(items.map(({ id }) => [id, ids.get(id) as string]))
  return { epics: of(plan.epics), features: of(plan.features), stories: of(plan.stories), enablers: of(plan.enablers) }
}

/** Parents first: then an issue stands in its place as soon as it can. */
function linksOf(items: readonly TypedItem[], ids: ReadonlyMap<string, string>): Link[] {
  const idOf = (planningId: string): string => ids.get(planningId) as string
  return [
    ...items.flatMap(({ item: { id, parent } }) =>
      parent === undefined ? [] : [{ child: idOf(id), parent: idOf(parent) }],
    ),
    ...items.flatMap(({ item: { id, dependsOn } }) => dependsOn.map((on) => ({ waiting: idOf(id), on: idOf(on) }))),
  ]
}

/**
 * Does `work` for each item, in order, with at most `parallel` under way; one at a time, each with its pause, when there
 * is a pace. After a failure or an abort it begins no more, waits for what is under way, and throws.
 */
async function each<T>(
  items: readonly T[],
  parallel: number,
  pace: Pace | null,
  signal: AbortSignal,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const rest = items.entries()
  let failed = false
  const run = async (): Promise<void> => {
    for (const [index, item] of rest) {
      if (failed) return
      signal.throwIfAborted()
      await work(item, index)
      if (pace) await pause(pace.delayMs, undefined, { signal })
    }
  }
  const runs = Array.from({ length: pace ? 1 : parallel }, () =>
    run().catch((error: unknown) => {
      failed = true
      throw error
    }),
  )
  const ended = await Promise.allSettled(runs)
  const failure = ended.find((end) => end.status === 'rejected')
  if (failure) throw failure.reason
}
