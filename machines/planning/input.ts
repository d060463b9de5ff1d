// The input of a planning session, and its check at the door: what is left out is filled in there, and recorded, so that
// the session never depends on the process that happens to run it. Paths become absolute.
//
//   { title: 'Checkout', source: 'docs/checkout.md' }   is enough

import { resolve } from 'node:path'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type Fields, schemaOf } from './checks.js'
import { absoluteDirectory, defaultDirectory, trackerFileIn } from './places.js'

export interface PlanningInput {
  /** Default: the document's own title, once that is read, or else the name of its file. */
  readonly title?: string
  /** Where the document is: a Markdown file, as a path or a `file:` URL. */
  readonly source: string
  /** Whom it belongs to; sessions are found by it. Default: nobody, the empty text. */
  readonly organizationId?: string
  /** The file of the local tracker. Default: `tracker.json` in `HOLDFAST_DIR` or `.holdfast`. */
  readonly trackerFile?: string
  /** What relative paths are relative to. Default: the working directory of whoever creates the session. */
  readonly baseDir?: string
  /** For demonstrations and tests: issues are created and linked one at a time, with a pause after each. */
  readonly pace?: Pace
}

export interface Pace {
  readonly delayMs: number
}

const LONGEST_TITLE = 1_000
const LONGEST_PATH = 4_096
const LONGEST_PAUSE_MS = 60_000

/** Every input of `create` passes here. */
export const inputSchema: StandardSchemaV1<unknown, PlanningInput> = schemaOf((fields) => {
  const baseDir = absoluteDirectory(fields.optionalText('baseDir', LONGEST_PATH))
  const trackerFile = fields.optionalText('trackerFile', LONGEST_PATH)
  return {
    title: fields.has('title') ? fields.text('title', LONGEST_TITLE) : undefined,
    source: fields.text('source', LONGEST_PATH),
    organizationId: fields.optionalText('organizationId', LONGEST_TITLE) ?? '',
    trackerFile: trackerFile ? resolve(baseDir, trackerFile) : trackerFileIn(defaultDirectory()),
    baseDir,
    pace: paceIn(fields.object('pace')),
  }
})

function paceIn(fields: Fields | undefined): Pace | undefined {
  if (!fields) return undefined
  fields.require('delayMs')
  return { delayMs: fields.number('delayMs', 0, LONGEST_PAUSE_MS) ?? 0 }
}
