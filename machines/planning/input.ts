// The input of a planning session, and its check at the door: what is left out is filled in there, and recorded, so that
// the session never depends on the process that happens to run it. Paths become absolute.
//
//   { title: 'Checkout', source: 'docs/checkout.md' }   is enough

import { resolve } from 'node:path'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type Fields, schemaOf } from './checks.js'
import { absoluteDirectory, allowedHosts, defaultDirectory, defaultTeam, moduleUrl, trackerFileIn } from './places.js'

export interface PlanningInput {
  /** Default: the document's own title, once that is read, or else the name of its file. */
  readonly title?: string
  /** Where the document is: a Markdown or HTML file, as a path or a `file:` URL; an http(s) URL; a page of Confluence. */
  readonly source: string
  /** Whom it belongs to; sessions are found by it. Default: nobody, the empty text. */
  readonly organizationId?: string
  /**
   * Hosts of URLs that may have private addresses, such as `wiki.intern:8443`. Default: those in `HOLDFAST_ALLOW_HOSTS`,
   * separated by commas. Never take it from somebody whom you do not trust.
   */
  readonly allowHosts?: readonly string[]
  /** Where issues are made. Default: `local`, a JSON file. */
  readonly tracker?: 'local' | 'linear'
  /** The file of the local tracker. Default: `tracker.json` in `HOLDFAST_DIR` or `.holdfast`. */
  readonly trackerFile?: string
  /** The team of the tracker `linear`. Default: `LINEAR_TEAM_ID`. */
  readonly teamId?: string
  /** Who reads the document. Default: the rules of `extract.ts`. */
  readonly extractor?: ExtractorConfig
  /** What relative paths are relative to. Default: the working directory of whoever creates the session. */
  readonly baseDir?: string
  /** For demonstrations and tests: issues are created and linked one at a time, with a pause after each. */
  readonly pace?: Pace
}

/**
 * A language model, as a worker thread can load it: a module that exports the model (an `ai` SDK `LanguageModel`, the id of
 * one as a text, or a function that gives either). Only where it is is recorded; its keys stay in the environment.
 */
export interface ExtractorConfig {
  /** A path, or a `file:` URL; recorded as a URL. */
  readonly module: string
  /** The name of the export. Default: `default`. */
  readonly export?: string
}

export interface Pace {
  readonly delayMs: number
}

const LONGEST_TITLE = 1_000
const LONGEST_PATH = 4_096
const MOST_HOSTS = 100
const LONGEST_PAUSE_MS = 60_000

/** Every input of `create` passes here. */
export const inputSchema: StandardSchemaV1<unknown, PlanningInput> = schemaOf((fields) => {
  const baseDir = absoluteDirectory(fields.optionalText('baseDir', LONGEST_PATH))
  const trackerFile = fields.optionalText('trackerFile', LONGEST_PATH)
  const tracker = fields.oneOf('tracker', TRACKERS)
  return {
    title: fields.has('title') ? fields.text('title', LONGEST_TITLE) : undefined,
    source: fields.text('source', LONGEST_PATH),
    organizationId: fields.optionalText('organizationId', LONGEST_TITLE) ?? '',
    allowHosts: nonEmpty(fields.textList('allowHosts', MOST_HOSTS, LONGEST_TITLE) ?? allowedHosts()),
    ...(tracker === 'linear'
      ? { tracker, teamId: teamIn(fields) }
      : { trackerFile: trackerFile ? resolve(baseDir, trackerFile) : trackerFileIn(defaultDirectory()) }),
    extractor: extractorIn(fields.object('extractor'), baseDir),
    baseDir,
    pace: paceIn(fields.object('pace')),
  }
})

const TRACKERS = ['local', 'linear'] as const

function teamIn(fields: Fields): string {
  const team = fields.optionalText('teamId', LONGEST_TITLE) || defaultTeam()
  return (
    team ||
    fields.refuse('teamId', 'is missing: set the environment variable LINEAR_TEAM_ID to the id of a team of Linear', '')
  )
}

function extractorIn(fields: Fields | undefined, baseDir: string): ExtractorConfig | undefined {
  if (!fields) return undefined
  const name = fields.optionalText('export', LONGEST_TITLE)
  return { module: moduleUrl(fields.text('module', LONGEST_PATH), baseDir), ...(name && { export: name }) }
}

const nonEmpty = (texts: readonly string[]): readonly string[] | undefined => (texts.length > 0 ? texts : undefined)

function paceIn(fields: Fields | undefined): Pace | undefined {
  if (!fields) return undefined
  fields.require('delayMs')
  return { delayMs: fields.number('delayMs', 0, LONGEST_PAUSE_MS) ?? 0 }
}
