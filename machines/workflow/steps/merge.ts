// The branch of a worktree merged into what the project has checked out. A conflict, or work in the project that is not
// committed, stops it before anything has changed: then it says so, and branch and worktree stay.

import type { Merge } from '../session-events.js'
import { type GitOptions, git, tryGit } from './git.js'
import { markOf } from './tree.js'
import { isWithin, type Place, removeWorktree, WHO } from './worktrees.js'

/** May run any number of times: what was merged is not merged again. */
export async function merged(place: Place, session: string, options: GitOptions): Promise<Merge> {
  const { path, project, branch = '', name = '' } = place
  const tip = await tipOf(place, session, options)
  const head = (): Promise<string> => git(project, ['rev-parse', 'HEAD'], options)
  const refused = (reason: string): Merge => ({ status: 'refused', branch, path, reason })
  if (tip === undefined) return refused(`the worktree has something else than ${branch} checked out`)
  if (!(await isWithin(project, tip, 'HEAD', options))) {
    const underWay = await tryGit(project, ['rev-parse', '--verify', '--quiet', 'MERGE_HEAD'], options)
    if (underWay.code === 0 && underWay.stdout.trim() !== tip)
      return refused('another merge is under way in the project')
    if (underWay.code === 0) await git(project, ['merge', '--abort'], options)
    const message = `Merge workflow ${name}`
    const merge = await tryGit(
      project,
      [...(await who(project, options)), 'merge', '--no-ff', '-m', message, tip],
      options,
    )
    if (merge.code !== 0) {
      const files = await git(project, ['diff', '--name-only', '--diff-filter=U', '-z'], options)
      await tryGit(project, ['merge', '--abort'], options)
      if (files !== '')
        return { status: 'conflict', branch, path, files: files.split('\0').filter((file) => file !== '') }
      return refused(`${merge.stderr}${merge.stdout}`.trim().slice(0, 2_000))
    }
  }
  await removeWorktree(place, session, options)
  return { status: 'merged', commit: await head() }
}

/** The branch's last commit, with what its commands have left uncommitted; undefined when HEAD is not at the branch. */
async function tipOf({ path, project, branch }: Place, session: string, options: GitOptions) {
  const checkout = await tryGit(path, ['rev-parse', '--verify', 'HEAD'], options).catch(() => undefined)
  if (checkout?.code !== 0) {
    // It was merged, and is being taken away.
    const tip = await tryGit(project, ['rev-parse', '--verify', '--quiet', `refs/heads/${branch}`], options)
    return tip.code === 0 ? tip.stdout.trim() : git(project, ['rev-parse', 'HEAD'], options)
  }
  const at = await tryGit(path, ['symbolic-ref', '--quiet', 'HEAD'], options)
  if (at.stdout.trim() !== `refs/heads/${branch}`) return undefined
  const { head, tree } = await markOf(path, options)
  if (tree !== (await git(path, ['rev-parse', `${head}^{tree}`], options))) {
    await git(path, ['add', '--all'], options)
    const message = `What session ${session} left uncommitted`
    await git(path, [...(await who(path, options)), 'commit', '--quiet', '--no-verify', '-m', message], options)
  }
  return git(path, ['rev-parse', 'HEAD'], options)
}

/** Nobody's name is taken in vain: only where git knows of none. */
async function who(cwd: string, options: GitOptions): Promise<readonly string[]> {
  const known = await tryGit(cwd, ['var', 'GIT_COMMITTER_IDENT'], {
    ...options,
    env: { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'user.useConfigOnly', GIT_CONFIG_VALUE_0: 'true' },
  })
  return known.code === 0 ? [] : WHO
}
