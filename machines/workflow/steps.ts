// The steps of a workflow session, as the worker pool loads them: everything that touches git, files and processes is under
// here. Each may run more than once, after a crash or a failure, and leaves the world as one run would; a command is run
// again only where it did not end (see `steps/run-command.ts`).
// The façade and the machine are never loaded with them, nor they with those.

import { join } from 'node:path'
import type { StepContext } from 'holdfast'
import type { ExecutionMode } from './config.js'
import type { Merge } from './session-events.js'
import { remove, writeWhole } from './steps/files.js'
import { type GitOptions, repositoryAt } from './steps/git.js'
import { merged } from './steps/merge.js'
import { awaitProcesses, endProcesses } from './steps/processes.js'
import { folderOf, STOPPED, sessionFolder, sessionOf } from './steps/session-folder.js'
import { type Changes, changesBetween, type Mark, markOf } from './steps/tree.js'
import { openWorktree, type Place, release } from './steps/worktrees.js'

export { type CommandOutput, type CommandRun, runCommand } from './steps/run-command.js'
export type { Mark } from './steps/tree.js'
export type { Place } from './steps/worktrees.js'

export interface Prepared {
  readonly place: Place
  /** What was there when it was first prepared, or when the iteration began. */
  readonly mark: Mark
  readonly at: string
}

export interface Surveyed {
  readonly changes: Changes
  readonly mark: Mark
  readonly at: string
}

export interface Finished {
  readonly merge?: Merge
  readonly at: string
}

interface PrepareInput {
  readonly project: string
  readonly mode: ExecutionMode
  readonly place?: Place
  readonly mark?: Mark
}

/** Sees to it that the place is there, and what it was when the iteration began. Rejects with a WorkflowError. */
export async function prepare({ project, mode, place, mark }: PrepareInput, context: StepContext): Promise<Prepared> {
  const options = await settled(context)
  const session = sessionOf(context.idempotencyKey)
  const repository = await repositoryAt(project, options)
  const { root, common } = repository
  // Nothing of it has run yet: what is there is of another life of its id.
  if (!place) await remove(folderOf(common, session))
  const there =
    mode.type === 'worktree'
      ? await openWorktree(repository, mode.name, session, place && mark, options)
      : { path: root, project: root, common }
  return { place: there, mark: mark ?? (await markOf(there.path, options)), at: now() }
}

/** What changed since the mark, from git itself. */
export async function survey({ place, mark }: { place: Place; mark: Mark }, context: StepContext): Promise<Surveyed> {
  const options = await settled(context)
  const after = await markOf(place.path, options)
  return { changes: await changesBetween(place.path, mark, after, options), mark: after, at: now() }
}

/** Merges, if that is wanted, and lets go of what the session has kept for itself. */
export async function finish(
  { place, merge }: { place: Place; merge: boolean },
  context: StepContext,
): Promise<Finished> {
  const options = await settled(context)
  const session = sessionOf(context.idempotencyKey)
  const outcome = merge && place.branch !== undefined ? await merged(place, session, options) : undefined
  await release(place, session)
  await remove(folderOf(place.common, session))
  return { ...(outcome && { merge: outcome }), at: now() }
}

/** Ends every process of the session, and resolves when none is left; whatever else goes wrong does not keep it from that. */
export async function sweep(
  { project, place }: { project: string; place?: Place },
  context: StepContext,
): Promise<{ ended: number; at: string }> {
  const session = sessionOf(context.idempotencyKey)
  const ignore = (): undefined => undefined
  const common = place?.common ?? (await repositoryAt(project, { session }).catch(ignore))?.common
  // First, so that a command that has not begun yet finds it; then whatever has begun is there to be found.
  if (common) await stop(common, session).catch(ignore)
  const ended = await endProcesses({ session }, SWEEP_GRACE_MS)
  if (place) await release(place, session).catch(ignore)
  // Without the folder no command can begin either: it could not claim its run.
  if (common) await remove(folderOf(common, session)).catch(ignore)
  return { ended, at: now() }
}

const stop = async (common: string, session: string): Promise<void> =>
  writeWhole(join(await sessionFolder(common, session), STOPPED), '')

/** The command's own step ends it with its own grace meanwhile. */
const SWEEP_GRACE_MS = 20_000
/** What git does for a session is short; a merge that is cut off would leave the project half merged. */
const GIT_PATIENCE_MS = 120_000

/** Git of a runtime that was killed has ended. */
async function settled({ idempotencyKey, signal }: StepContext): Promise<GitOptions> {
  const session = sessionOf(idempotencyKey)
  await awaitProcesses({ session }, GIT_PATIENCE_MS)
  return { session, signal }
}

const now = (): string => new Date().toISOString()
