// Modifications that are not processed, processed: by the sessions' own trackers, each exactly once, or by a function of the
// caller's, one after the other. It decides nothing about who may.

import type { SessionDatabase } from './database.js'
import type { PlanModification } from './session.js'

export interface ProcessedModifications {
  readonly processed: number
  readonly errors: number
  readonly results: readonly { readonly id: string; readonly success: boolean; readonly error?: string }[]
}

export interface ProcessOptions {
  /** How long it waits, for each session, for what is asked of services; what is not done then goes on all the same. Default 60,000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

type Results = ProcessedModifications['results']
type Processor = (modification: PlanModification) => Promise<void> | void

const TIMEOUT_MS = 60_000
/** How many sessions are waited for at a time. */
const SESSIONS_AT_A_TIME = 8

export const sumOf = (results: Results): ProcessedModifications => {
  const errors = results.filter(({ success }) => !success).length
  return { processed: results.length - errors, errors, results }
}

/** Does `work` for each, a few at a time; gives what it gives, in order. After a failure it begins no more, and rejects. */
export async function eachOf<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const rest = items.entries()
  let failed = false
  const run = async (): Promise<void> => {
    for (const [index, item] of rest) {
      if (failed) return
      results[index] = await work(item).catch((error: unknown) => {
        failed = true
        throw error
      })
    }
  }
  await Promise.all(Array.from({ length: SESSIONS_AT_A_TIME }, run))
  return results
}

/** Has each done by `processor`, and says so with `mark`; one that throws is marked with its error. */
export async function processBy(
  processor: Processor,
  modifications: readonly PlanModification[],
  mark: (id: string, error: string | undefined) => Promise<unknown>,
): Promise<Results> {
  const results: { id: string; success: boolean; error?: string }[] = []
  for (const modification of modifications) {
    let error: string | undefined
    try {
      await processor(modification)
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.message : String(thrown)
    }
    await mark(modification.id, error)
    results.push(resultOf({ id: modification.id, error }))
  }
  return results
}

/** Has the session apply what it has not, and waits for it; gives what is done by then of those `unprocessed`. */
export async function processAt(
  database: SessionDatabase,
  sessionId: string,
  by: string,
  unprocessed: readonly PlanModification[],
  options: ProcessOptions,
): Promise<Results> {
  if (unprocessed.length === 0) return []
  const session = await database.session(sessionId)
  if (session.can({ type: 'process', by })) await database.send(sessionId, { type: 'process', by })
  await waitUntilProcessed(database, sessionId, options)
  const wanted = new Set(unprocessed.map(({ id }) => id))
  const all = await database.allModifications(sessionId, { processed: true })
  return all.filter(({ id }) => wanted.has(id)).map(resultOf)
}

/** Until nothing of a session waits to be applied, it is over, or the time is. Rejects with ABORTED. */
async function waitUntilProcessed(database: SessionDatabase, id: string, options: ProcessOptions): Promise<void> {
  const { timeoutMs = TIMEOUT_MS, signal } = options
  const session = await database.session(id)
  const isDone = ({ context }: { context: { counts: { queued: number }; cancelledAt?: string } }): boolean =>
    context.counts.queued === 0 || context.cancelledAt !== undefined
  await session.until(isDone, { timeoutMs, ...(signal && { signal }) }).catch((error: { code?: string }) => {
    if (error.code !== 'TIMEOUT' && error.code !== 'SESSION_ENDED') throw error
  })
}

const resultOf = ({ id, error }: { readonly id: string; readonly error?: string | undefined }): Results[number] => ({
  ...{ id, success: error === undefined },
  ...(error !== undefined && { error }),
})
