// Which planning session a command means: one that is there already, by id or by document. Found by reading only.

import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { admitId } from '../door.js'
import { isHoldfastError } from '../errors.js'
import type { SessionEntry } from '../listing.js'
import type { Reader } from '../reader.js'
import type { SessionState } from '../state.js'
import { findSession, readDirectory } from './directory.js'
import { CommandError } from './failure.js'
import { isFailedPlan, isMadePlan, isUnfinishedPlan } from './kinds.js'
import { quoted } from './next-command.js'
import type { Output } from './output.js'

const KIND = 'planning'

/** What `--resume` was given: an id or the beginning of one, a document, or neither. */
export interface ResumeWish {
  readonly id: string | undefined
  readonly source: string | undefined
}

/**
 * The session to go on with: the one whose id begins so, else the latest that is not finished, else the latest; with a
 * source, only those of that document count. Throws SESSION_NOT_FOUND, which says what to do, INVALID_ID, AMBIGUOUS_ID
 * or KIND_MISMATCH.
 */
export function sessionToResume(dir: string, wish: ResumeWish, output: Output): SessionState {
  if (wish.id !== undefined) admitId(wish.id)
  const reader = openIfThere(dir, output)
  if (!reader) throw nothingToResume(dir, wish, output)
  try {
    if (wish.id !== undefined) return namedSession(reader, wish.id, output)
    const session = latest(reader, wish.source, isUnfinishedPlan) ?? latest(reader, wish.source, () => true)
    if (session) return session
    throw nothingToResume(dir, wish, output)
  } finally {
    reader.close()
  }
}

/** What there is of a document: the latest session that may have made some of its issues, and one that has made them all. */
export interface PlansOf {
  readonly unfinished?: SessionState
  readonly made?: SessionState
}

export function plansOf(dir: string, source: string, output: Output): PlansOf {
  const reader = openIfThere(dir, output)
  if (!reader) return {}
  try {
    const mayHave = (entry: SessionEntry): boolean => isUnfinishedPlan(entry) || isFailedPlan(entry)
    const unfinished = latest(reader, source, mayHave, (session) => isUnfinishedPlan(session) || isHalfMade(session))
    const made = latest(reader, source, isMadePlan)
    return { ...(unfinished && { unfinished }), ...(made && { made }) }
  } finally {
    reader.close()
  }
}

/** The absolute path of a document, or its address if it is no file. */
export function placeOf(source: string, baseDir: string): string {
  if (/^file:/i.test(source)) return fileURLToPath(source)
  return isAddress(source) ? source : resolve(baseDir, source)
}

export const isAddress = (source: string): boolean => /^[a-z][a-z0-9+.-]+:\/\//i.test(source)

function openIfThere(dir: string, output: Output): Reader | undefined {
  try {
    return readDirectory(dir, output)
  } catch (error) {
    if (isHoldfastError(error, 'DIRECTORY_NOT_FOUND')) return undefined
    throw error
  }
}

function namedSession(reader: Reader, prefix: string, output: Output): SessionState {
  const session = reader.state(findSession(reader, prefix, output).id)
  if (session.kind === KIND) return session
  const next = `${output.next(`show ${session.id}`)} shows it`
  throw new CommandError('KIND_MISMATCH', 6, `session ${session.id} is of kind "${session.kind}", not a plan`, next)
}

/** Sessions that cannot be read are passed over; they have been told of. */
function latest(
  reader: Reader,
  source: string | undefined,
  test: (entry: SessionEntry) => boolean,
  testState: (session: SessionState) => boolean = () => true,
): SessionState | undefined {
  const wanted = source === undefined ? undefined : placeOf(source, '.')
  for (const entry of entriesOf(reader).reverse()) {
    const session = test(entry) ? readable(reader, entry.id) : undefined
    if (session && testState(session) && (wanted === undefined || placeIn(session) === wanted)) return session
  }
  return undefined
}

function entriesOf(reader: Reader): SessionEntry[] {
  const entries: SessionEntry[] = []
  for (let cursor: string | undefined; ; ) {
    const page = reader.list({ kind: KIND }, { limit: 1000, ...(cursor !== undefined && { cursor }) })
    entries.push(...page.sessions)
    cursor = page.cursor
    if (cursor === undefined) return entries
  }
}

function readable(reader: Reader, id: string): SessionState | undefined {
  try {
    return reader.state(id)
  } catch (error) {
    if (isHoldfastError(error, 'JOURNAL_CORRUPT')) return undefined
    throw error
  }
}

/** True when a session has found its issues, and is not known to have made all of them. */
const isHalfMade = ({ context }: SessionState): boolean =>
  typeof context === 'object' && context !== null && 'making' in context

/** Where the document of a session is. */
export function placeIn({ context }: SessionState): string | undefined {
  const { source, baseDir } = context as { source?: unknown; baseDir?: unknown }
  if (typeof source !== 'string') return undefined
  return placeOf(source, typeof baseDir === 'string' ? baseDir : '.')
}

function nothingToResume(dir: string, { source }: ResumeWish, output: Output): CommandError {
  const what = source === undefined ? 'planning session' : `planning session of ${source}`
  const start = `${output.next(`plan ${source === undefined ? '<file>' : quoted(source)}`)} starts one`
  return new CommandError('SESSION_NOT_FOUND', 3, `there is no ${what} to resume in ${dir}`, start)
}
