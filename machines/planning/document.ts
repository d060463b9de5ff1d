// What a planning document says, as plain JSON: epics over features over stories and enablers, and what was doubtful.
// An item's id is its type and its running number in document order, so the same text always gives the same ids.
// Only types live here; a key that has no value is absent, never undefined.

/** The four types of item. An epic holds features; an epic or a feature holds stories and enablers. */
export type ItemType = 'epic' | 'feature' | 'story' | 'enabler'

/** How soon an item is wanted, the most urgent first. */
export type Priority = 'urgent' | 'high' | 'medium' | 'low'

/** What an enabler prepares. */
export type EnablerType = 'architecture' | 'infrastructure' | 'technical debt' | 'research'

/** What every item has. */
export interface PlanningItem {
  /** `epic-1`, `feature-3`, `story-12`, `enabler-2`: unique in the document. */
  id: string
  /** What the document calls it, such as `US-101`. */
  key?: string
  /** True when its box in the document is checked. */
  checked?: boolean
  title: string
  /** The item's own prose, as Markdown: without the fields below, without the items it holds. */
  description: string
  /** The planning id of the item above; absent for epics and for orphans. */
  parent?: string
  acceptanceCriteria: string[]
  storyPoints?: number
  priority?: Priority
  labels: string[]
  /** Planning ids of the items that must be done first. */
  dependsOn: string[]
}

export interface Epic extends PlanningItem {}

export interface Feature extends PlanningItem {}

/** "As a `asA`, I want `iWant`, so that `soThat`": the three parts, where the document has that sentence. */
export interface Story extends PlanningItem {
  asA?: string
  iWant?: string
  soThat?: string
}

export interface Enabler extends PlanningItem {
  enablerType?: EnablerType
}

/** A stable code for what is doubtful in a document. */
export type PlanningWarningCode =
  /** a feature, story or enabler that stands under nothing */
  | 'ORPHANED_ITEM'
  /** a parent was named, but nothing in the document has that name */
  | 'UNRESOLVED_PARENT'
  /** a dependency was named, but nothing in the document has that name */
  | 'UNRESOLVED_DEPENDENCY'
  /** a dependency was named that several items answer to */
  | 'AMBIGUOUS_DEPENDENCY'
  /** an item was said to depend on itself */
  | 'SELF_DEPENDENCY'
  /** two items of a type have one title */
  | 'DUPLICATE_TITLE'

/** Something doubtful that did not stop the reading. `details` names the planning ids it is about. */
export interface PlanningWarning {
  code: PlanningWarningCode
  message: string
  details?: Record<string, string | string[]>
}

/** A whole planning document. */
export interface PlanningDocument {
  title: string
  epics: Epic[]
  features: Feature[]
  stories: Story[]
  enablers: Enabler[]
  warnings: PlanningWarning[]
}
