// Git, as the steps call it: the program itself, with nothing that could ask a person, and its errors as errors of ours.
// What it starts is marked as the session's, so that whoever comes after a crash finds it.

import { spawn } from 'node:child_process'
import { realpath } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { env } from 'node:process'
import { WorkflowError } from './problem.js'
import { markOf } from './processes.js'

export interface GitOptions {
  /** Whose it is. */
  readonly session?: string
  readonly signal?: AbortSignal
  readonly env?: { readonly [name: string]: string }
  readonly input?: string
  /** What it says beyond so many characters is not asked for: it is ended then, and what it has said counts. */
  readonly enoughChars?: number
}

/** What git may say, in characters; a million changed files are told in less. */
const MOST_CHARS = 64 * 1024 * 1024
/** What of its complaints is kept. */
const COMPLAINT_CHARS = 64 * 1024

export interface GitResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs git, however it ends. Rejects when there is no git, when the signal is aborted, and when it says too much. */
export function tryGit(cwd: string, args: readonly string[], options: GitOptions = {}): Promise<GitResult> {
  const { session, signal, input, enoughChars } = options
  const { GIT_DIR: _, GIT_WORK_TREE: __, GIT_INDEX_FILE: ___, GIT_PREFIX: ____, ...inherited } = env
  const environment = {
    ...inherited,
    ...{ LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0', GIT_EDITOR: 'true', GIT_OPTIONAL_LOCKS: '0' },
    ...(session !== undefined && markOf(session)),
    ...options.env,
  }
  return new Promise((done, fail) => {
    const child = spawn('git', args, { cwd, env: environment, ...(signal && { signal }), stdio: 'pipe' })
    let [stdout, stderr] = ['', '']
    let enough = false
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (enough) return
      stdout += text
      enough = stdout.length > (enoughChars ?? MOST_CHARS)
      if (enough) child.kill()
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(0, COMPLAINT_CHARS)
    })
    child.on('error', fail)
    child.on('close', (code) => {
      if (enough && enoughChars === undefined) fail(tooMuch(cwd, args))
      else done({ code: enough ? 0 : code, stdout: enough ? stdout.slice(0, enoughChars) : stdout, stderr })
    })
    child.stdin.on('error', () => {}) // it may end without having read
    child.stdin.end(input ?? '')
  })
}

const tooMuch = (cwd: string, args: readonly string[]): WorkflowError =>
  new WorkflowError(
    'GIT_FAILED',
    `git ${args[0]} in ${cwd} says more than ${MOST_CHARS} characters: have git ignore files`,
  )

/** What git says, without the last line's end. Rejects with GIT_FAILED or GIT_BUSY, with what it complains of. */
export async function git(cwd: string, args: readonly string[], options: GitOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await tryGit(cwd, args, options)
  if (code === 0) return stdout.replace(/\n$/, '')
  const why = stderr.trim().slice(0, 2_000)
  // Another worktree of the repository is being made at this moment, and its file has nothing in it yet.
  const halfMade = /failed to read \S*worktrees\/\S+\/commondir/.test(why)
  const busy = halfMade || /\.lock': File exists|cannot lock ref|Another git process/.test(why)
  const what = `git ${args[0] === '-c' ? args[2] : args[0]} in ${cwd} ended with ${code}: ${why}`
  throw new WorkflowError(busy ? 'GIT_BUSY' : 'GIT_FAILED', what, { retry: busy })
}

export interface Repository {
  /** The root of the checkout. */
  readonly root: string
  /** The folder that all checkouts of the repository share. */
  readonly common: string
}

/** The repository that a path is in. Rejects with NOT_A_REPOSITORY. */
export async function repositoryAt(path: string, options: GitOptions = {}): Promise<Repository> {
  const args = ['rev-parse', '--show-toplevel', '--git-common-dir']
  const found = await tryGit(path, args, options).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return { code: 1, stdout: '', stderr: 'there is no such folder, or no git on this machine' }
  })
  const [root, common] = found.stdout.split('\n')
  if (found.code === 0 && root && common) return { root, common: await realpath(resolve(path, common)) }
  throw new WorkflowError('NOT_A_REPOSITORY', `${path} is in no git repository: ${found.stderr.trim().slice(0, 500)}`)
}

/** The folder where sessions keep what they need to find their processes and worktrees again: git shows it to nobody. */
export const holdfastIn = (common: string): string => join(common, 'holdfast')
