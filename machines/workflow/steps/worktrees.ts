// Worktrees of sessions: each is reserved by its name in git's folder before it is made, so that a crash leaves none that
// nobody knows. Nothing is ever lost by taking one away: what is nowhere else is kept under `refs/holdfast/rescued/` first.

import { link, lstat, mkdir, readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { readJson, remove, writeWhole } from './files.js'
import { type GitOptions, git, holdfastIn, type Repository, repositoryAt, tryGit } from './git.js'
import { WorkflowError } from './problem.js'
import { type Mark, markOf, restore } from './tree.js'

/** Where the commands of a session run. */
export interface Place {
  /** The root of the checkout. */
  readonly path: string
  /** The root of the project. */
  readonly project: string
  /** The folder of git's that all its checkouts share. */
  readonly common: string
  /** Of a worktree of the session's own. */
  readonly branch?: string
  readonly name?: string
}

/** Whose a worktree is. */
export interface Reservation {
  readonly session: string
  readonly path: string
  readonly branch: string
  /** It is being taken over from another session. */
  readonly adopting?: true
  /** Its session has ended: another one may take it over. */
  readonly over?: true
}

const reservationsIn = (common: string): string => join(holdfastIn(common), 'worktrees')
const fileOf = (common: string, name: string): string => join(reservationsIn(common), `${name}.json`)

const reservationOf = (common: string, name: string): Promise<Reservation | undefined> =>
  readJson<Reservation>(fileOf(common, name))

const keep = (common: string, name: string, reservation: Reservation): Promise<void> =>
  writeWhole(fileOf(common, name), JSON.stringify(reservation))

/** Who comes after a session that has ended: made only once, so that of two only one takes the worktree over. */
const successorOf = (file: string, ended: string): string => `${file}.after-${ended}`

/** Makes the file, which reserves something; false when somebody was faster. */
async function reserve(common: string, file: string, reservation: Reservation): Promise<boolean> {
  const mine = `${file}.${reservation.session}`
  await mkdir(reservationsIn(common), { recursive: true, mode: 0o700 })
  await writeWhole(mine, JSON.stringify(reservation))
  try {
    await link(mine, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  } finally {
    await rm(mine, { force: true })
  }
}

/** The place of a name in a repository, whether it is there or not. */
function placeOf(
  { root, common }: Repository,
  name: string,
): Place & { readonly branch: string; readonly name: string } {
  const path = join(dirname(root), `${basename(root)}-worktrees`, name)
  return { path, project: root, common, branch: `holdfast/${name}`, name }
}

/**
 * The worktree of a session, made if it is not there. With `known`, it was made before: then it must be there, or it is that
 * of a session that this one goes on from, and is put back to the mark. Rejects with WORKTREE_TAKEN or WORKTREE_MISSING.
 */
export async function openWorktree(
  repository: Repository,
  name: string,
  session: string,
  known: Mark | undefined,
  options: GitOptions,
): Promise<Place> {
  const place = placeOf(repository, name)
  const { path, branch, common } = place
  const mine: Reservation = { session, path, branch }
  const file = fileOf(common, name)
  if (!(await isThere(file))) await assertFree(place, options)
  const taken = (await reserve(common, file, mine)) ? mine : await reservationOf(common, name)
  const next = taken && taken.session !== session ? successorOf(file, taken.session) : undefined
  if (taken && next !== undefined) {
    if (!taken.over) throw belongsTo(name, taken.session)
    const first = (await reserve(common, next, mine)) ? mine : await readJson<Reservation>(next)
    if (first?.session !== session) throw belongsTo(name, first?.session ?? 'another')
    // Somebody may have taken it over, and be done with that, since it was looked at.
    const now = await reservationOf(common, name)
    if (now?.session !== taken.session) {
      await remove(next)
      throw belongsTo(name, now?.session ?? 'another')
    }
  }
  const isMine = taken?.session === session && !taken.adopting
  if (known && isMine) return present(place, options)
  // What is there is another session's, or of a making that was interrupted: it holds no work of this one.
  if (taken && !isMine) await rescue(place, taken.session, options)
  await keep(common, name, { ...mine, adopting: true })
  if (next !== undefined) await remove(next)
  if (known) await adopt(place, known, options)
  else await make(place, options)
  await keep(common, name, mine)
  return place
}

function belongsTo(name: string, session: string): WorkflowError {
  const message = `worktree "${name}" belongs to session ${session}, which has not ended: take another name`
  return new WorkflowError('WORKTREE_TAKEN', message)
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return false
  }
}

/** What no session has reserved is somebody's own: it is left alone. */
async function assertFree({ path, project, branch }: Place & { branch: string }, options: GitOptions): Promise<void> {
  const found = await tryGit(project, ['rev-parse', '--verify', '--quiet', `refs/heads/${branch}`], options)
  const there = (await isThere(path)) ? path : found.code === 0 ? `branch ${branch}` : undefined
  if (there === undefined) return
  throw new WorkflowError('WORKTREE_TAKEN', `${there} is there, and no session's: take another name, or move it away`)
}

async function present(place: Place, options: GitOptions): Promise<Place> {
  const found = await tryGit(place.path, ['rev-parse', '--verify', 'HEAD'], options).catch(() => undefined)
  if (found?.code === 0) return place
  throw new WorkflowError(
    'WORKTREE_MISSING',
    `the worktree at ${place.path} is gone; what was committed is on ${place.branch}`,
  )
}

async function make(place: Place & { branch: string }, options: GitOptions): Promise<void> {
  await takeAway(place, options)
  await mkdir(dirname(place.path), { recursive: true })
  await git(place.project, ['worktree', 'add', '--quiet', '-b', place.branch, place.path, 'HEAD'], options)
}

async function adopt(place: Place & { branch: string }, mark: Mark, options: GitOptions): Promise<void> {
  const found = await tryGit(place.path, ['rev-parse', '--verify', 'HEAD'], options).catch(() => undefined)
  if (found?.code !== 0) await make(place, options)
  await restore({ cwd: place.path, common: place.common, branch: place.branch }, mark, undefined, options)
}

/** What is in a worktree and on its branch, kept under a ref of its own; undefined when it is somewhere else, too. */
async function rescue(place: Place, session: string, options: GitOptions): Promise<string | undefined> {
  const { path, project, branch = '', name = '' } = place
  const ref = `refs/holdfast/rescued/${name}/${session}`
  if ((await tryGit(project, ['rev-parse', '--verify', '--quiet', ref], options)).code === 0) return ref
  const tip = await tryGit(project, ['rev-parse', '--verify', '--quiet', `refs/heads/${branch}`], options)
  const checkout = await tryGit(path, ['rev-parse', '--show-toplevel'], options).catch(() => undefined)
  let commit = tip.stdout.trim()
  if (checkout?.code === 0 && checkout.stdout.trim().endsWith(name)) {
    const { head, tree } = await markOf(path, options)
    const aside = commit !== '' && !(await isWithin(path, commit, head, options)) ? ['-p', commit] : []
    commit = head || commit
    if (aside.length > 0 || tree !== (await git(path, ['rev-parse', `${head}^{tree}`], options))) {
      const message = `What session ${session} had not committed`
      commit = await git(path, [...WHO, 'commit-tree', tree, '-p', head, ...aside, '-m', message], options)
    }
  }
  if (commit === '') return undefined
  if (await isWithin(project, commit, 'HEAD', options)) return undefined
  await git(project, ['update-ref', ref, commit], options)
  return ref
}

/** Whether a commit is another one, or comes before it. */
export const isWithin = async (cwd: string, commit: string, head: string, options: GitOptions): Promise<boolean> =>
  (await tryGit(cwd, ['merge-base', '--is-ancestor', commit, head], options)).code === 0

/** Who commits, where nobody has told git. */
export const WHO: readonly string[] = [
  '-c',
  'user.useConfigOnly=false',
  '-c',
  'user.name=Holdfast',
  '-c',
  'user.email=holdfast@localhost',
]

/** Takes the worktree and its branch away; see `rescue`. */
async function takeAway({ path, project, branch }: Place & { branch: string }, options: GitOptions): Promise<void> {
  await tryGit(project, ['worktree', 'remove', '--force', '--force', path], options)
  await remove(path)
  await git(project, ['worktree', 'prune'], options)
  const there = await tryGit(project, ['rev-parse', '--verify', '--quiet', `refs/heads/${branch}`], options)
  if (there.code === 0) await git(project, ['branch', '--quiet', '-D', branch], options)
}

/** Takes a worktree away for good, and gives where its work is kept, if it was nowhere else. */
export async function removeWorktree(place: Place, session: string, options: GitOptions): Promise<string | undefined> {
  const { name, branch } = place
  if (name === undefined || branch === undefined) return undefined
  const rescued = await rescue(place, session, options)
  await takeAway({ ...place, branch }, options)
  await remove(successorOf(fileOf(place.common, name), session))
  await remove(fileOf(place.common, name))
  return rescued
}

/** The session has ended; its worktree stays until somebody takes it away, or a session of the same name takes it over. */
export async function release({ common, name }: Pick<Place, 'common' | 'name'>, session: string): Promise<void> {
  if (name === undefined) return
  const reservation = await reservationOf(common, name)
  if (reservation?.session === session) await keep(common, name, { ...reservation, over: true })
}

export interface OrphanedWorktree {
  readonly name: string
  readonly path: string
  readonly branch: string
  readonly session: string
}

/** Worktrees whose sessions do not live: they have ended, or are not known. */
export async function orphansIn(project: string, lives: (session: string) => boolean): Promise<OrphanedWorktree[]> {
  const { common } = await repositoryAt(project)
  const names = await readdir(reservationsIn(common)).catch(() => [])
  const found: OrphanedWorktree[] = []
  for (const file of names.filter((name) => name.endsWith('.json')).sort()) {
    const name = file.slice(0, -'.json'.length)
    const reservation = await reservationOf(common, name)
    if (!reservation || lives(reservation.session)) continue
    const { session, path, branch } = reservation
    found.push({ name, path, branch, session })
  }
  return found
}

export interface CleanedWorktree extends OrphanedWorktree {
  /** The ref that keeps what was nowhere else. */
  readonly rescued?: string
}

/**
 * Takes a worktree away that nobody uses; what it held and nobody else has is kept under a ref. Undefined, and nothing is
 * done, when somebody has taken it over meanwhile, or it is not where worktrees of the project are.
 */
export async function cleanOrphan(project: string, orphan: OrphanedWorktree): Promise<CleanedWorktree | undefined> {
  const place = placeOf(await repositoryAt(project), orphan.name)
  const now = await reservationOf(place.common, orphan.name)
  if (now?.session !== orphan.session || now.path !== place.path) return undefined
  const rescued = await removeWorktree(place, orphan.session, {})
  return { ...orphan, ...(rescued !== undefined && { rescued }) }
}
