// The input of a document's session, and its check at the door: the time of its creation is stamped there, and recorded.

import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import { LONGEST_TEXT, type Metadata, metadata, name, shortText, time } from './fields.js'

export interface DocumentInput {
  readonly title: string
  readonly description?: string | undefined
  readonly repository_url?: string | undefined
  readonly repository_path?: string | undefined
  readonly working_directory?: string | undefined
  /** Without it, or empty, the document has no version yet. */
  readonly initial_content?: string | undefined
  readonly created_by?: string | undefined
  readonly metadata?: Metadata | undefined
  /** ISO 8601; the time of its arrival by default. */
  readonly created_at?: string | undefined
}

/** Every input of `create` passes here. */
export const inputSchema: StandardSchemaV1<unknown, DocumentInput> = z.strictObject({
  title: name,
  description: shortText.optional(),
  repository_url: shortText.optional(),
  repository_path: shortText.optional(),
  working_directory: shortText.optional(),
  initial_content: z.string().max(LONGEST_TEXT).optional(),
  created_by: shortText.optional(),
  metadata: metadata.optional(),
  created_at: time,
})
