// The statechart of a document: active ⇄ paused, active → converted → archived, active and paused → archived.
// `converted` is read-only but for the work items that get done; `archived` is final. It promises that a content is changed
// only from the revision that whoever changed it had seen. It is pure: events bring their time.

import {
  type AnyActorRef,
  assign,
  type EventObject,
  type MetaObject,
  type ParameterizedObject,
  type ProvidedActor,
  type StateMachine,
  type StateSchema,
  setup,
} from 'xstate'
import { type Pages, piecesAt, revisionOf, withEdit } from './contents.js'
import type { DocumentEvent } from './events.js'
import type { Metadata } from './fields.js'
import type { DocumentInput } from './input.js'
import { fits } from './text.js'

/** A version as it is kept; its content is that of its revision. */
export interface KeptVersion {
  readonly version_number: number
  readonly revision: number
  readonly change_summary?: string
  readonly changed_fields: readonly string[]
  readonly created_at: string
  readonly created_by?: string
}

export interface DocumentContext {
  readonly title: string
  readonly description?: string
  readonly repository_url?: string
  readonly repository_path?: string
  readonly working_directory?: string
  readonly metadata: Metadata
  readonly created_by?: string
  readonly created_at: string
  readonly updated_at: string
  readonly pages: Pages
  readonly versions: readonly KeptVersion[]
  readonly paused_reason?: string
  readonly conversion?: Conversion
  readonly archived_at?: string
}

export interface Conversion {
  readonly project_id?: string
  readonly work_item_ids: readonly string[]
  readonly finished_work_item_ids: readonly string[]
  readonly converted_by?: string
  readonly converted_at: string
}

export type DocumentStatus = 'active' | 'paused' | 'converted' | 'archived'

export type DocumentMachine = StateMachine<
  DocumentContext,
  DocumentEvent,
  Record<string, AnyActorRef | undefined>,
  ProvidedActor,
  ParameterizedObject,
  ParameterizedObject,
  string,
  DocumentStatus,
  string,
  DocumentInput,
  { readonly archived_at: string },
  EventObject,
  MetaObject,
  StateSchema
>

type Of<TType extends DocumentEvent['type']> = Extract<DocumentEvent, { type: TType }>

const parts = setup({
  types: {
    context: {} as DocumentContext,
    events: {} as DocumentEvent,
    input: {} as DocumentInput,
    output: {} as { readonly archived_at: string },
  },
  guards: {
    /** The content is changed from where it is, by an edit that fits it. */
    isCurrent: ({ context: { pages }, event }) => {
      const { content } = event as Of<'update'>
      if (!content) return true
      return content.base === revisionOf(pages) && fits(content.edit, piecesAt(pages).length)
    },
    isOneOfOurs: ({ context: { conversion }, event }) => {
      const { work_item_id: id } = event as Of<'finishWorkItem'>
      return conversion?.work_item_ids.includes(id) === true && !conversion.finished_work_item_ids.includes(id)
    },
  },
  actions: {
    update: assign(({ context, event }) => updated(context, event as Of<'update'>)),
    notePause: assign(({ event }) => {
      return { paused_reason: (event as Of<'pause'>).reason, updated_at: timeOf(event) }
    }),
    noteResume: assign(({ event }) => ({ paused_reason: undefined, updated_at: timeOf(event) })),
    noteConversion: assign(({ event }) => {
      const { project_id, work_item_ids = [], converted_by } = event as Of<'convert'>
      const at = timeOf(event)
      const conversion = { work_item_ids, finished_work_item_ids: [], converted_at: at }
      return { conversion: { ...given({ project_id, converted_by }), ...conversion }, updated_at: at }
    }),
    noteFinished: assign(({ context: { conversion }, event }) => {
      const { work_item_id } = event as Of<'finishWorkItem'>
      const known = conversion as Conversion
      return {
        conversion: { ...known, finished_work_item_ids: [...known.finished_work_item_ids, work_item_id] },
        updated_at: timeOf(event),
      }
    }),
    noteArchive: assign(({ event }) => ({ archived_at: timeOf(event), updated_at: timeOf(event) })),
  },
})

/** The statechart. Its input is checked by `input.ts`, its events by `events.ts`. */
export const documentMachine: DocumentMachine = parts.createMachine({
  id: 'document',
  context: ({ input }) => contextOf(input),
  initial: 'active',
  states: {
    active: {
      on: {
        update: { guard: 'isCurrent', actions: 'update' },
        pause: { target: 'paused', actions: 'notePause' },
        convert: { target: 'converted', actions: 'noteConversion' },
        archive: { target: 'archived', actions: 'noteArchive' },
      },
    },
    paused: {
      on: {
        resume: { target: 'active', actions: 'noteResume' },
        archive: { target: 'archived', actions: 'noteArchive' },
      },
    },
    converted: {
      on: {
        finishWorkItem: { guard: 'isOneOfOurs', actions: 'noteFinished' },
        archive: { target: 'archived', actions: 'noteArchive' },
      },
    },
    archived: { type: 'final' },
  },
  output: ({ context }) => ({ archived_at: context.archived_at as string }),
})

/** The door has stamped it; where a machine is run without one, nothing is known of the time. */
const timeOf = ({ at = NO_TIME }: { readonly at?: string | undefined }): string => at

const NO_TIME = '1970-01-01T00:00:00.000Z'

function contextOf(input: DocumentInput): DocumentContext {
  const { title, description, repository_url, repository_path, working_directory, created_by } = input
  const { initial_content: content = '', metadata = {}, created_at = NO_TIME } = input
  const first: KeptVersion = {
    ...{ version_number: 1, revision: 1, changed_fields: ['content'], created_at },
    ...given({ created_by }),
  }
  return {
    title,
    ...given({ description, repository_url, repository_path, working_directory, created_by }),
    metadata,
    created_at,
    updated_at: created_at,
    pages: content === '' ? [] : [{ content, edits: [] }],
    versions: content === '' ? [] : [first],
  }
}

function updated(context: DocumentContext, event: Of<'update'>): Partial<DocumentContext> {
  const { content, version = true, change_summary, updated_by } = event
  const { title, description, repository_url, repository_path, working_directory, metadata } = event
  const fields = given({ title, description, repository_url, repository_path, working_directory, metadata })
  const at = timeOf(event)
  if (!content) return { ...fields, updated_at: at }
  const pages = withEdit(context.pages, content.edit)
  const next: KeptVersion = {
    version_number: context.versions.length + 1,
    revision: revisionOf(pages),
    changed_fields: ['content', ...Object.keys(fields)],
    created_at: at,
    ...given({ change_summary, created_by: updated_by }),
  }
  const makesVersion = version || context.versions.length === 0
  return { ...fields, pages, updated_at: at, ...(makesVersion && { versions: [...context.versions, next] }) }
}

/** The fields that are there. */
function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never
}
