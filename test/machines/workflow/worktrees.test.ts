// Sessions in worktrees of their own: merged, in conflict, taken over, retried, orphaned. Whatever becomes of a worktree,
// nothing that was in it is lost.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type SessionConfigInput, type SessionState, workflow } from 'holdfast/machines/workflow'
import { expect, test } from 'vitest'
import { git, repositoryAt } from '../../../machines/workflow/steps/git.js'
import { changesBetween, markOf } from '../../../machines/workflow/steps/tree.js'
import {
  cleanOrphan,
  type OrphanedWorktree,
  openWorktree,
  orphansIn,
} from '../../../machines/workflow/steps/worktrees.js'
import { finish, prepare, runCommand } from '../../../machines/workflow/steps.js'
import { gitIn, subjects } from './repository.js'
import { ended, Workshop } from './workshop.js'

const worktree = (name = 'w', config: Partial<SessionConfigInput> = {}): Partial<SessionConfigInput> => ({
  execution_mode: { type: 'worktree', name },
  ...config,
})
const merging = { options: { auto_merge: true } }
const pathOf = (shop: Workshop, name = 'w'): string => join(shop.folder, 'project-worktrees', name)
const mergeOf = (state: SessionState) => (state.type === 'Completed' ? state.summary.merge : undefined)

/** A session that waits within its one command until a file is there. */
async function waiting(shop: Workshop, config: Partial<SessionConfigInput>, shell: string) {
  const [up, go] = [join(shop.folder, 'up'), join(shop.folder, 'go')]
  const session = await shop.session({
    ...config,
    workflow: [`touch ${up}; while test ! -e ${go}; do sleep 0.02; done; ${shell}`],
  })
  await session.send({ type: 'start' })
  while (!existsSync(up)) await sleep(10)
  return { session, go: () => writeFileSync(go, '') }
}

test('the project is left alone until the end; then the branch is merged, with what was not committed, and cleaned up', async () => {
  await using shop = new Workshop()
  const { session, go } = await waiting(
    shop,
    worktree('w', merging),
    'echo two >> notes.txt; git commit -qam two; echo three > new.txt',
  )
  writeFileSync(join(shop.project, 'mine.txt'), 'not committed')
  expect(gitIn(shop.project, 'branch', '--format=%(refname:short)').split('\n')).toEqual(['holdfast/w', 'main'])
  expect(readFileSync(join(shop.project, 'notes.txt'), 'utf8')).toBe('one\n')
  go()
  const { state } = await ended(session)
  expect(mergeOf(state)).toEqual({ status: 'merged', commit: gitIn(shop.project, 'rev-parse', 'main') })
  expect(subjects(shop.project)).toEqual([
    'begin',
    'two',
    `What session ${session.id} left uncommitted`,
    'Merge workflow w',
  ])
  expect(readFileSync(join(shop.project, 'new.txt'), 'utf8')).toBe('three\n')
  expect(gitIn(shop.project, 'status', '--porcelain')).toBe('?? mine.txt')
  expect(gitIn(shop.project, 'branch', '--format=%(refname:short)')).toBe('main')
  expect(existsSync(pathOf(shop))).toBe(false)
})

/** What git runs before it makes a merge commit: it says that it is under way, and waits. */
function slowMerge(shop: Workshop, then = 'exit 0') {
  const [up, go] = [join(shop.folder, 'merging'), join(shop.folder, 'merge')]
  const hook = join(shop.project, '.git/hooks/pre-merge-commit')
  writeFileSync(hook, `#!/bin/sh\ntouch ${up}\nwhile test ! -e ${go}; do sleep 0.02; done\n${then}\n`)
  chmodSync(hook, 0o755)
  return { up, go: () => writeFileSync(go, '') }
}
const sessionFolders = (shop: Workshop): string[] => readdirSync(join(shop.project, '.git/holdfast/sessions'))

test('cancelled while it is merged, the merge is not cut off: what is in the project then is told as completed', async () => {
  await using shop = new Workshop()
  const { up, go } = slowMerge(shop)
  const manager = await shop.manager()
  const session = await shop.session(worktree('w', { ...merging, workflow: ['echo two > two.txt'] }))
  await session.send({ type: 'start' })
  while (!existsSync(up)) await sleep(10)
  const cancelled = manager.cancelSession(session.id)
  go()
  await cancelled
  const { state } = await ended(session)
  expect(mergeOf(state)).toMatchObject({ status: 'merged' })
  expect(gitIn(shop.project, 'status', '--porcelain')).toBe('')
  expect(subjects(shop.project).at(-1)).toBe('Merge workflow w')
  expect(sessionFolders(shop)).toEqual([])
})

test('cancelled while it finishes, and nothing came to be merged: it is cancelled, and its branch stays', async () => {
  await using shop = new Workshop()
  const { up, go } = slowMerge(shop, 'exit 1')
  const session = await shop.session(worktree('w', { ...merging, workflow: ['echo two > two.txt'] }))
  await session.send({ type: 'start' })
  while (!existsSync(up)) await sleep(10)
  await session.send({ type: 'cancel', reason: 'enough' })
  go()
  expect((await ended(session)).state).toMatchObject({ type: 'Cancelled' })
  expect(gitIn(shop.project, 'status', '--porcelain')).toBe('')
  expect(subjects(shop.project)).toEqual(['begin'])
  expect(subjects(shop.project, 'holdfast/w').at(-1)).toBe(`What session ${session.id} left uncommitted`)
  expect(sessionFolders(shop)).toEqual([])
})

test('of a session that has failed or was cancelled nothing stays in git’s folder', async () => {
  await using shop = new Workshop()
  const failed = await shop.run(worktree('f', { workflow: ['false'] }))
  expect(failed.state.type).toBe('Failed')
  const { session } = await waiting(shop, worktree('c'), 'true')
  expect(sessionFolders(shop)).toEqual([session.id])
  await session.send({ type: 'cancel' })
  expect((await ended(session)).state.type).toBe('Cancelled')
  expect(sessionFolders(shop)).toEqual([])
})

test('a conflict is reported with its files; the project is as it was, and branch and worktree are there', async () => {
  await using shop = new Workshop()
  const { session, go } = await waiting(shop, worktree('w', merging), 'echo theirs > notes.txt; git commit -qam theirs')
  writeFileSync(join(shop.project, 'notes.txt'), 'ours\n')
  gitIn(shop.project, 'commit', '-qam', 'ours')
  const before = gitIn(shop.project, 'rev-parse', 'HEAD')
  go()
  const { state } = await ended(session)
  expect(mergeOf(state)).toEqual({ status: 'conflict', branch: 'holdfast/w', path: pathOf(shop), files: ['notes.txt'] })
  expect(gitIn(shop.project, 'rev-parse', 'HEAD')).toBe(before)
  expect(gitIn(shop.project, 'status', '--porcelain')).toBe('')
  expect(gitIn(shop.project, 'show', 'holdfast/w:notes.txt')).toBe('theirs')
  expect(readFileSync(join(pathOf(shop), 'notes.txt'), 'utf8')).toBe('theirs\n')
})

test('work in the project that is not committed is never overwritten: the merge is refused, and says why', async () => {
  await using shop = new Workshop()
  const { session, go } = await waiting(shop, worktree('w', merging), 'echo theirs > notes.txt; git commit -qam theirs')
  writeFileSync(join(shop.project, 'notes.txt'), 'in the making\n')
  go()
  const { state } = await ended(session)
  expect(mergeOf(state)).toMatchObject({
    status: 'refused',
    branch: 'holdfast/w',
    reason: expect.stringContaining('notes.txt'),
  })
  expect(readFileSync(join(shop.project, 'notes.txt'), 'utf8')).toBe('in the making\n')
  expect(subjects(shop.project, 'holdfast/w')).toEqual(['begin', 'theirs'])
})

test('without auto_merge the worktree stays for whoever wants to look', async () => {
  await using shop = new Workshop()
  const { state } = await shop.run({ ...worktree(), workflow: ['echo two >> notes.txt'] })
  expect(state).toMatchObject({ type: 'Completed', summary: { files_changed: 1 } })
  expect(readFileSync(join(pathOf(shop), 'notes.txt'), 'utf8')).toBe('one\ntwo\n')
  expect(readFileSync(join(shop.project, 'notes.txt'), 'utf8')).toBe('one\n')
  // A runtime that cannot say whether the session lives calls nothing an orphan.
  const manager = await shop.manager()
  await (await shop.runtime()).close()
  await expect(manager.findOrphanedWorktrees(shop.project)).rejects.toMatchObject({ code: 'RUNTIME_CLOSED' })
})

test('a name is one session’s as long as it lives; who comes after it takes the name over, and the old work is kept', async () => {
  await using shop = new Workshop()
  const { session, go } = await waiting(shop, worktree(), 'echo first > first.txt; exit 1')
  const refused = await shop.run({ ...worktree(), workflow: ['true'] })
  expect(refused.state).toMatchObject({
    type: 'Failed',
    error: expect.stringContaining(`belongs to session ${session.id}`),
  })
  go()
  expect((await ended(session)).state.type).toBe('Failed')
  const second = await shop.run({ ...worktree(), workflow: ['ls > listing'] })
  expect(second.state.type).toBe('Completed')
  expect(readFileSync(join(pathOf(shop), 'listing'), 'utf8')).toBe('listing\nnotes.txt\n')
  expect(gitIn(shop.project, 'show', `refs/holdfast/rescued/w/${session.id}:first.txt`)).toBe('first')
})

test('of two that come after the same session, one takes its worktree over; who is cleaning up then leaves it alone', async () => {
  await using shop = new Workshop()
  const { session } = await shop.run(worktree('w', { workflow: ['true'] }))
  const repository = await repositoryAt(shop.project)
  const [orphan] = await orphansIn(shop.project, () => false)
  const after = (id: string) => openWorktree(repository, 'w', id, undefined, { session: id })
  const outcomes = await Promise.allSettled(['one', 'other', 'third'].map(after))
  const taken = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  expect(taken).toHaveLength(1)
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'WORKTREE_TAKEN' })
  }
  expect(orphan?.session).toBe(session.id)
  expect(await cleanOrphan(shop.project, orphan as OrphanedWorktree)).toBe(undefined)
  expect(existsSync(pathOf(shop))).toBe(true)
})

test('worktrees of sessions that have ended, or that nobody knows, are found and cleaned; what was in them is kept', async () => {
  await using shop = new Workshop()
  const failed = await shop.run({
    ...worktree('failed'),
    workflow: ['echo a > a; git add a; git commit -qm a; echo b > b; exit 1'],
  })
  const lost = await shop.run({ ...worktree('lost'), workflow: ['true'] })
  await lost.session.delete()
  const { session, go } = await waiting(shop, worktree('alive'), 'true')
  const manager = await shop.manager()
  const orphans = await manager.findOrphanedWorktrees(shop.project)
  expect(orphans.map(({ name, session }) => [name, session])).toEqual([
    ['failed', failed.session.id],
    ['lost', lost.session.id],
  ])
  const ref = `refs/holdfast/rescued/failed/${failed.session.id}`
  expect((await manager.cleanOrphanedWorktrees(shop.project)).map(({ name, rescued }) => [name, rescued])).toEqual([
    ['failed', ref],
    ['lost', undefined],
  ])
  expect(subjects(shop.project, ref)).toEqual(['begin', 'a', `What session ${failed.session.id} had not committed`])
  expect(gitIn(shop.project, 'show', `${ref}:b`)).toBe('b')
  expect(gitIn(shop.project, 'branch', '--format=%(refname:short)').split('\n')).toEqual(['holdfast/alive', 'main'])
  expect(existsSync(pathOf(shop, 'failed'))).toBe(false)
  expect(await manager.findOrphanedWorktrees(shop.project)).toEqual([])
  go()
  expect((await ended(session)).state.type).toBe('Completed')
})

test('a failed session is retried from its last checkpoint: the worktree is what it was there, and goes on', async () => {
  await using shop = new Workshop()
  const cured = join(shop.folder, 'cured')
  const { session, state } = await shop.run({
    ...worktree('w', { ...merging, max_iterations: 3 }),
    workflow: [
      'echo "$HOLDFAST_ITERATION" >> notes.txt; git commit -qam "$HOLDFAST_ITERATION"',
      `test "$HOLDFAST_ITERATION" != 2 || test -e ${cured} || { echo mess > mess; exit 1; }`,
    ],
  })
  expect(state.type).toBe('Failed')
  writeFileSync(cured, '')
  const manager = await shop.manager()
  await expect(manager.retrySession((await shop.session({})).id)).rejects.toMatchObject({ code: 'NOT_ACCEPTED' })
  const id = await manager.retrySession(session.id)
  expect(await manager.waitForSession(id)).toMatchObject({
    summary: { iterations: 3, commits: 3, merge: { status: 'merged' } },
  })
  expect(subjects(shop.project)).toEqual(['begin', '1', '2', '3', 'Merge workflow w'])
  expect(readFileSync(join(shop.project, 'notes.txt'), 'utf8')).toBe('one\n1\n2\n3\n')
  expect(existsSync(join(shop.project, 'mess'))).toBe(false)
  expect(gitIn(shop.project, 'show', `refs/holdfast/rescued/w/${session.id}:mess`)).toBe('mess')
  expect((await manager.getEvents(id, { type: 'IterationStarted' })).length).toBe(3)
})

test('one that failed in its first iteration is retried from its start', async () => {
  await using shop = new Workshop()
  const cured = join(shop.folder, 'cured')
  const { session } = await shop.run({ ...worktree(), workflow: [`echo x > x; test -e ${cured}`] })
  writeFileSync(cured, '')
  const manager = await shop.manager()
  const id = await manager.retrySession(session.id)
  expect(await manager.waitForSession(id)).toMatchObject({
    type: 'Completed',
    summary: { iterations: 1, files_changed: 1 },
  })
})

test('a command interrupted in a worktree begins again with the files, the index and the branch that it had begun with', async () => {
  await using shop = new Workshop()
  const [up, twice] = [join(shop.folder, 'up'), join(shop.folder, 'twice')]
  const session = await shop.session({
    ...worktree(),
    workflow: [
      'echo staged >> notes.txt; git add notes.txt; echo loose > loose',
      `echo again >> notes.txt; git add --all; git commit -qm half; echo more > more; rm loose
       test -e ${twice} || { touch ${up}; sleep 300; }; true`,
    ],
  })
  await session.send({ type: 'start' })
  while (!existsSync(up)) await sleep(10)
  writeFileSync(twice, '')
  const runtime = await shop.reopened()
  // What a git that was killed has left.
  writeFileSync(join(shop.project, '.git', 'worktrees', 'w', 'index.lock'), '')
  const { state } = await ended(runtime.session(session.id, workflow))
  expect(state).toMatchObject({ type: 'Completed', summary: { commits: 1 } })
  expect(subjects(pathOf(shop))).toEqual(['begin', 'half'])
  expect(readFileSync(join(pathOf(shop), 'notes.txt'), 'utf8')).toBe('one\nstaged\nagain\n')
})

/** A step's context, as the pool gives it. */
const context = (session: string, child: string) => ({
  ...{
    signal: new AbortController().signal,
    secret: () => '',
    idempotencyKey: `${session}.${child}.2`,
    attempt: 1,
    deadline: undefined,
  },
  ...{ progress: () => {}, emit: () => {}, log: () => {} },
})

test('a worktree is made while somebody else is in the middle of making another one', async () => {
  await using shop = new Workshop()
  const other = join(shop.project, '.git/worktrees/other')
  mkdirSync(other, { recursive: true })
  writeFileSync(join(other, 'locked'), 'initializing')
  writeFileSync(join(other, 'gitdir'), join(shop.folder, 'other/.git\n'))
  writeFileSync(join(other, 'HEAD'), gitIn(shop.project, 'rev-parse', 'HEAD'))
  writeFileSync(join(other, 'commondir'), '')
  const input = { project: shop.project, mode: { type: 'worktree', name: 'w' } } as const
  await expect(prepare(input, context('s', 'prepare'))).rejects.toMatchObject({ code: 'GIT_BUSY', retry: true })
  writeFileSync(join(other, 'commondir'), '../..\n')
  const { place } = await prepare(input, context('s', 'prepare'))
  expect(gitIn(place.path, 'status', '--porcelain')).toBe('')
})

test('a worktree that was left half made is made whole; a merge that was made and not recorded is not made again', async () => {
  await using shop = new Workshop()
  const input = { project: shop.project, mode: { type: 'worktree', name: 'w' } } as const
  const first = await prepare(input, context('s', 'prepare'))
  writeFileSync(join(first.place.path, '.git'), 'gitdir: nowhere\n')
  mkdirSync(join(first.place.path, 'rest'))
  const { place, mark } = await prepare(input, context('s', 'prepare'))
  expect(mark).toEqual(first.mark)
  expect(gitIn(place.path, 'status', '--porcelain')).toBe('')
  const command = { shell: 'echo two >> notes.txt; git commit -qam two' }
  expect(await runCommand({ place, command, iteration: 1 }, context('s', 'command'))).toMatchObject({ success: true })
  // Again, under the same key: what it came to is given, and not done again.
  expect(await runCommand({ place, command, iteration: 1 }, context('s', 'command'))).toMatchObject({ success: true })
  expect(subjects(place.path)).toEqual(['begin', 'two'])
  const merged = await finish({ place, merge: true }, context('s', 'finish'))
  expect(merged.merge).toMatchObject({ status: 'merged' })
  expect((await finish({ place, merge: true }, context('s', 'finish'))).merge).toEqual(merged.merge)
  expect(subjects(shop.project)).toEqual(['begin', 'two', 'Merge workflow w'])
})

test('what is no session’s is left alone: a folder or a branch that stands where a worktree would be', async () => {
  await using shop = new Workshop()
  mkdirSync(pathOf(shop), { recursive: true })
  writeFileSync(join(pathOf(shop), 'own'), 'mine')
  gitIn(shop.project, 'branch', 'holdfast/b')
  for (const [name, what] of [
    ['w', pathOf(shop)],
    ['b', 'branch holdfast/b'],
  ] as const) {
    const { state } = await shop.run({ ...worktree(name), workflow: ['true'] })
    expect(state).toMatchObject({ type: 'Failed', error: expect.stringContaining(`${what} is there`) })
  }
  expect(readFileSync(join(pathOf(shop), 'own'), 'utf8')).toBe('mine')
  expect(gitIn(shop.project, 'branch', '--list', 'holdfast/b')).toBe('holdfast/b')
})

test('what is told of commits and files is bounded, one by one and all together, and begins at the beginning', async () => {
  await using shop = new Workshop()
  const [path, options] = [shop.project, { session: 's' }]
  const before = await markOf(path, options)
  const letters = 'x'.repeat(6_000)
  const stream = Array.from({ length: 700 }, (_, n) => {
    const message = `${n} ${letters}`
    const file = `${'d'.repeat(200)}/`.repeat(12) + n
    return `commit refs/heads/main\ncommitter A <a@b> ${1_700_000_000 + n} +0000\ndata ${message.length}\n${message}\n${n === 0 ? `from ${before.head}\n` : ''}M 100644 inline ${file}\ndata 2\nx\n\n`
  }).join('')
  await git(path, ['fast-import', '--quiet', '--force'], { input: stream })
  await git(path, ['reset', '--quiet', '--hard', 'main'])
  const changes = await changesBetween(path, before, await markOf(path, options), options)
  expect(changes.lines_added).toBe(700)
  expect(changes.git_commits[0]?.message).toMatch(/^0 x/)
  for (const { message } of changes.git_commits) expect(message.length).toBeLessThanOrEqual(2_000)
  for (const told of [changes.git_commits, changes.files_modified]) {
    expect(told.length).toBeGreaterThan(100)
    expect(JSON.stringify(told).length).toBeLessThan(1_300_000)
  }
  expect(JSON.stringify(changes.git_commits).length).toBeGreaterThan(900_000)
})

test('with something else checked out nothing is merged, and the branch’s commits are kept, too, when the worktree goes', async () => {
  await using shop = new Workshop()
  const { session, state } = await shop.run({
    ...worktree('w', merging),
    workflow: [
      'echo a > a; git add a; git commit -qm a; git checkout -q --detach main; git commit -q --allow-empty -m b',
    ],
  })
  expect(mergeOf(state)).toMatchObject({ status: 'refused', reason: expect.stringContaining('holdfast/w') })
  const manager = await shop.manager()
  const [cleaned] = await manager.cleanOrphanedWorktrees(shop.project)
  const ref = `refs/holdfast/rescued/w/${session.id}`
  expect(cleaned?.rescued).toBe(ref)
  expect(subjects(shop.project, ref)).toEqual(expect.arrayContaining(['a', 'b']))
})
