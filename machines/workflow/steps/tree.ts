// What is in a checkout: its commit, and everything in its folder that git does not ignore, as a tree of git's. Taking it
// changes nothing there. Putting it back is for checkouts that belong to a session.

import { copyFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { CommitInfo, IterationChanges } from '../session-events.js'
import { remove } from './files.js'
import { type GitOptions, git, tryGit } from './git.js'

export interface Mark {
  /** The commit that is checked out; the empty text in a repository without any. */
  readonly head: string
  readonly tree: string
}

/** Paths and commits of one iteration that are told at most, and how long all of either may be together. */
const MOST_TOLD = 10_000
const MOST_TOLD_CHARS = 1024 * 1024
const MESSAGE_CHARS = 2_000
const AUTHOR_CHARS = 200
/** Of what git says of commits; one whose message is longer than all of that is not told. */
const LOG_CHARS = 16 * 1024 * 1024

/** The first of them, as long as they are within what is told. */
function within<T>(all: readonly T[], charsOf: (one: T) => number): T[] {
  let chars = 0
  const end = all.findIndex((one, index) => {
    chars += charsOf(one)
    return index >= MOST_TOLD || chars > MOST_TOLD_CHARS
  })
  return end < 0 ? [...all] : all.slice(0, end)
}

const gitDirOf = async (cwd: string, options: GitOptions): Promise<string> =>
  resolve(cwd, await git(cwd, ['rev-parse', '--git-dir'], options))

export async function markOf(cwd: string, options: GitOptions): Promise<Mark> {
  const { code, stdout } = await tryGit(cwd, ['rev-parse', '--verify', '--quiet', 'HEAD'], options)
  const head = code === 0 ? stdout.trim() : ''
  const dir = await gitDirOf(cwd, options)
  const index = join(dir, `holdfast-index-${options.session ?? 'any'}`)
  // A copy of the index knows which files have not changed, so that they need not be read.
  await copyFile(join(dir, 'index'), index).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  try {
    const own = { ...options, env: { ...options.env, GIT_INDEX_FILE: index } }
    await git(cwd, ['add', '--all', '.'], own)
    return { head, tree: await git(cwd, ['write-tree'], own) }
  } finally {
    await remove(index)
    await remove(`${index}.lock`)
  }
}

export type Changes = Omit<IterationChanges, 'commands_run'>

/** What changed between two marks, by files and lines, and the commits that were made. */
export async function changesBetween(cwd: string, from: Mark, to: Mark, options: GitOptions): Promise<Changes> {
  const diff =
    from.tree === to.tree
      ? ''
      : await git(cwd, ['diff-tree', '-r', '-z', '--no-renames', '--numstat', from.tree, to.tree], options)
  const files = diff.split('\0').flatMap((line) => {
    const [, added, removed, path] = /^(\d+|-)\t(\d+|-)\t([\s\S]+)$/.exec(line) ?? []
    return path === undefined ? [] : [{ path, added: Number(added) || 0, removed: Number(removed) || 0 }]
  })
  return {
    files_modified: within(
      files.map(({ path }) => path),
      (path) => path.length,
    ),
    lines_added: files.reduce((sum, { added }) => sum + added, 0),
    lines_removed: files.reduce((sum, { removed }) => sum + removed, 0),
    git_commits: from.head === to.head ? [] : await commitsBetween(cwd, from.head, to.head, options),
  }
}

async function commitsBetween(cwd: string, from: string, to: string, options: GitOptions): Promise<CommitInfo[]> {
  if (to === '') return []
  const range = from === '' ? [to] : [to, `^${from}`]
  const args = ['log', '--reverse', '-z', `--max-count=${MOST_TOLD}`, '--format=%H%n%an%n%aI%n%B', ...range]
  // The first ones, whole: where git was cut off, the last may be half of one.
  const said = await git(cwd, args, { ...options, enoughChars: LOG_CHARS })
  const entries = said.split('\0').slice(0, said.length < LOG_CHARS ? undefined : -1)
  const commits = entries.flatMap((entry): CommitInfo[] => {
    const [id, author, timestamp, ...message] = entry.split('\n')
    if (!id || author === undefined || !timestamp) return []
    const [who, what] = [author.slice(0, AUTHOR_CHARS), message.join('\n').trim().slice(0, MESSAGE_CHARS)]
    return [{ id, author: who, timestamp, message: what }]
  })
  return within(commits, ({ id, author, timestamp, message }) => [id, author, timestamp, message].join('').length)
}

/** The index, aside, with what was staged. */
export async function keepIndex(cwd: string, file: string, options: GitOptions): Promise<void> {
  await copyFile(join(await gitDirOf(cwd, options), 'index'), file)
}

/** Locks and half-done operations of whoever was killed in here. */
async function unlock(cwd: string, common: string, branch: string, options: GitOptions): Promise<void> {
  const dir = await gitDirOf(cwd, options)
  const own = ['index.lock', 'HEAD.lock', 'ORIG_HEAD.lock', 'rebase-merge', 'rebase-apply'].map((name) =>
    join(dir, name),
  )
  for (const path of [...own, join(common, 'refs', 'heads', `${branch}.lock`)]) await remove(path)
}

export interface Checkout {
  readonly cwd: string
  readonly common: string
  readonly branch: string
}

/** Makes a session's own checkout what it was: branch, files, and, if the index was kept, what was staged. */
export async function restore(
  { cwd, common, branch }: Checkout,
  mark: Mark,
  index: string | undefined,
  options: GitOptions,
): Promise<void> {
  await unlock(cwd, common, branch, options)
  await git(cwd, ['symbolic-ref', 'HEAD', `refs/heads/${branch}`], options)
  await git(cwd, ['reset', '--quiet', '--hard', mark.head], options)
  await git(cwd, ['clean', '-ffdq'], options)
  await git(cwd, ['read-tree', '-u', '--reset', mark.tree], options)
  if (index === undefined) await git(cwd, ['reset', '--quiet'], options)
  else await copyFile(index, join(await gitDirOf(cwd, options), 'index'))
}
