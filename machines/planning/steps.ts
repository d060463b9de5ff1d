// The five steps of a planning session, as the worker pool loads them: everything that touches the world is under here.
// Each may run more than once, after a crash or a failure, and leaves the world as one run would. Errors have a stable
// code, the facts in `details`, and the time `at` which they were thrown.
// The façade and the machine are never loaded with them, nor they with those.

import type { StepContext } from 'holdfast'
import type { PlanningDocument } from './document.js'
import { extractPlan, ownTitleOf } from './extract.js'
import type { ExtractorConfig, Pace } from './input.js'
import type { PlanningSessionResult } from './state.js'
import { amount } from './steps/amount.js'
import { type HandedDocument, handed, received } from './steps/handover.js'
import { createAll, type Link, linkAll } from './steps/issues.js'
import { extractByModel } from './steps/model.js'
import { openTracker } from './steps/open-tracker.js'
import type { Source } from './steps/source/found.js'
import { readSource } from './steps/source.js'
import type { TrackerConfig } from './tracker.js'

export type Fetched = Source

/** The sections of the document, in the compact form that travels (see `steps/handover.ts`). */
export type Parsed = HandedDocument

export interface Extracted {
  readonly plan: PlanningDocument
  /** The document's own, if it has one that is not the title of one of its items. */
  readonly title?: string
  /** When, ISO 8601: the time of the plan's warnings. */
  readonly at: string
  /** What the issues of this plan are made under, whichever step makes them. */
  readonly key: string
}

export interface Issued {
  readonly result: PlanningSessionResult
  /** What `linkHierarchy` has to do, in tracker ids. */
  readonly links: readonly Link[]
}

/** Reads the document. Throws what `readSource` says. */
export function fetch(
  { source, baseDir, allowHosts }: { source: string; baseDir: string; allowHosts: readonly string[] },
  { signal }: StepContext,
): Promise<Fetched> {
  return stamped(() => readSource(source, baseDir, { allowHosts, signal }))
}

/** To sections, by the one parser that it takes, loaded then. Throws EMPTY_DOCUMENT or UNREADABLE_DOCUMENT. */
export function parse(
  { text, format, title }: Pick<Fetched, 'text' | 'format' | 'title'>,
  context: StepContext,
): Promise<Parsed> {
  return stamped(async () => {
    const document =
      format === 'html'
        ? (await import('./html.js')).parseHtml(text, title)
        : (await import('./parse.js')).parseMarkdown(text)
    context.progress(100, amount(document.sections.length, 'section'))
    return handed(document)
  })
}

/** To a planning document, by rule or by a language model. Throws EMPTY_DOCUMENT, NO_ITEMS_FOUND, or a ModelError. */
export function extract(
  { document, extractor }: { document: Parsed; extractor?: ExtractorConfig },
  context: StepContext,
): Promise<Extracted> {
  return stamped(async () => {
    const parsed = received(document)
    const plan = extractor ? await extractByModel(parsed, extractor, context) : extractPlan(parsed)
    const title = ownTitleOf(parsed, plan)
    const { epics, features, stories, enablers } = plan
    context.progress(100, amount(epics.length + features.length + stories.length + enablers.length, 'item'))
    return { plan, ...(title !== undefined && { title }), at: now(), key: context.idempotencyKey }
  })
}

interface TrackerInput {
  readonly tracker: TrackerConfig
  readonly pace: Pace | null
}

/** Creates an issue for every item, each exactly once however often this runs with `key`. Throws what the tracker throws. */
export function createIssues(
  { plan, key, tracker, pace }: TrackerInput & { plan: PlanningDocument; key: string },
  context: StepContext,
): Promise<Issued> {
  return stamped(async () => createAll(plan, key, await openTracker(tracker, context.signal), pace, context))
}

/** Puts every issue under its parent, and names what it waits for, but for the first `linked`. Throws what the tracker throws. */
export function linkHierarchy(
  { links, linked, tracker, pace }: TrackerInput & { links: readonly Link[]; linked: number },
  context: StepContext,
): Promise<{ linked: number }> {
  return stamped(async () => linkAll(links, linked, await openTracker(tracker, context.signal), pace, context))
}

const now = (): string => new Date().toISOString()

/** An error gets the time at which it was thrown: the machine that keeps it has no clock. */
async function stamped<T>(work: () => Promise<T> | T): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Error) Object.assign(error, { at: now() })
    throw error
  }
}
