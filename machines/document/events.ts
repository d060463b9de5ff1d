// The events of a document's session, and their check at the door. What is let in is complete and has its time `at`,
// stamped there once, before it is recorded: the machine reads no clock. An unknown type passes, since the machine refuses
// it better (it names what it would accept).

import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import { LONGEST_TEXT, type Metadata, metadata, name, shortText, time, workItems } from './fields.js'
import type { Edit } from './text.js'

interface Timed {
  /** When it happened, ISO 8601; the time of its arrival by default. */
  readonly at?: string | undefined
}

export interface UpdateEvent extends Timed {
  readonly type: 'update'
  readonly title?: string | undefined
  readonly description?: string | undefined
  readonly repository_url?: string | undefined
  readonly repository_path?: string | undefined
  readonly working_directory?: string | undefined
  readonly metadata?: Metadata | undefined
  /** A change of the content: `edit` leads on from the revision `base`, and is refused when that is not the last. */
  readonly content?: { readonly base: number; readonly edit: Edit } | undefined
  /** Whether a change of the content makes a version, by default true; the first content always does. */
  readonly version?: boolean | undefined
  readonly change_summary?: string | undefined
  readonly updated_by?: string | undefined
}

export interface ConvertEvent extends Timed {
  readonly type: 'convert'
  readonly project_id?: string | undefined
  readonly work_item_ids?: readonly string[] | undefined
  readonly converted_by?: string | undefined
}

export type DocumentEvent =
  | UpdateEvent
  | ({ readonly type: 'pause'; readonly reason?: string | undefined } & Timed)
  | ({ readonly type: 'resume' } & Timed)
  | ConvertEvent
  /** A work item that the document was converted to is done. */
  | ({ readonly type: 'finishWorkItem'; readonly work_item_id: string } & Timed)
  | ({ readonly type: 'archive' } & Timed)

/** At the piece `at`, `removed` pieces are replaced by those of a text; see `text.ts`. */
const splice = z.tuple([z.int().min(0), z.int().min(0), z.string().max(LONGEST_TEXT)]).readonly()

const schemas: { readonly [T in DocumentEvent['type']]: StandardSchemaV1<unknown, DocumentEvent> } = {
  update: z.strictObject({
    type: z.literal('update'),
    title: name.optional(),
    description: shortText.optional(),
    repository_url: shortText.optional(),
    repository_path: shortText.optional(),
    working_directory: shortText.optional(),
    metadata: metadata.optional(),
    content: z.strictObject({ base: z.int().min(0), edit: z.array(splice).min(1).readonly() }).optional(),
    version: z.boolean().optional(),
    change_summary: shortText.optional(),
    updated_by: shortText.optional(),
    at: time,
  }),
  pause: z.strictObject({ type: z.literal('pause'), reason: shortText.optional(), at: time }),
  resume: z.strictObject({ type: z.literal('resume'), at: time }),
  convert: z.strictObject({
    type: z.literal('convert'),
    project_id: shortText.optional(),
    work_item_ids: workItems.optional(),
    converted_by: shortText.optional(),
    at: time,
  }),
  finishWorkItem: z.strictObject({ type: z.literal('finishWorkItem'), work_item_id: name, at: time }),
  archive: z.strictObject({ type: z.literal('archive'), at: time }),
}

/** Every event from outside passes here. */
export const eventSchema: StandardSchemaV1<unknown, DocumentEvent> = {
  '~standard': {
    version: 1,
    vendor: 'holdfast',
    validate: (value) => {
      const { type } = value as { type: string }
      if (!Object.hasOwn(schemas, type)) return { value: value as DocumentEvent }
      return schemas[type as DocumentEvent['type']]['~standard'].validate(value)
    },
  },
}
