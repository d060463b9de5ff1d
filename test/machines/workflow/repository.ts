// Real git repositories for tests, and what is to be known of them and of the processes of a session.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const IDENTITY = {
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'a@b.c',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'a@b.c',
}

export const gitIn = (cwd: string, ...args: string[]): string =>
  execFileSync('git', args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, ...IDENTITY },
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim()

/** A repository with these files in one commit, in a new folder. */
export function repositoryWith(folder: string, files: Record<string, string> = { 'notes.txt': 'one\n' }): string {
  mkdirSync(folder, { recursive: true })
  gitIn(folder, 'init', '--quiet', '--initial-branch=main')
  gitIn(folder, 'config', 'user.name', 'Ada')
  gitIn(folder, 'config', 'user.email', 'a@b.c')
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  gitIn(folder, 'add', '--all')
  gitIn(folder, 'commit', '--quiet', '-m', 'begin')
  return folder
}

export const subjects = (cwd: string, ...args: string[]): string[] =>
  gitIn(cwd, 'log', '--reverse', '--topo-order', '--format=%s', ...args).split('\n')

/** Processes of a session that live. */
export const processesLeft = (session: string): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`HOLDFAST_SESSION=${session}`)
      } catch {
        return false
      }
    })
