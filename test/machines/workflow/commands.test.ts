// Commands as they are: real shells in real repositories, that fail, hang, flood, leave others behind and are cut off.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SessionConfigInput, SessionEvent } from 'holdfast/machines/workflow'
import { expect, test } from 'vitest'
import { gitIn, processesLeft } from './repository.js'
import { ended, Workshop } from './workshop.js'

const commandsIn = (events: readonly SessionEvent[]) =>
  events.flatMap((event) => (event.type === 'CommandExecuted' ? [event] : []))

/** Until a file is there that a command writes. */
async function written(path: string): Promise<void> {
  while (!existsSync(path)) await sleep(10)
}

test('an iteration tells the files, lines and commits that git knows of', async () => {
  await using shop = new Workshop({ 'a.txt': '1\n2\n3\n', 'b.bin': '\0\x01', gone: 'x\n', '.gitignore': 'ignored\n' })
  const { state, events } = await shop.run({
    workflow: [
      'echo 4 >> a.txt; git commit --quiet --all -m "four\n\nand why"',
      'echo "ä\nö" > "né w.txt"; rm gone; echo x > ignored; echo more >> b.bin',
    ],
  })
  const changes = events.flatMap((event) => (event.type === 'IterationCompleted' ? [event.changes] : []))
  expect(changes).toEqual([
    {
      files_modified: ['a.txt', 'b.bin', 'gone', 'né w.txt'],
      lines_added: 3,
      lines_removed: 1,
      commands_run: [expect.stringContaining('echo 4'), expect.stringContaining('né w.txt')],
      git_commits: [
        {
          id: gitIn(shop.project, 'rev-parse', 'HEAD'),
          message: 'four\n\nand why',
          author: 'Ada',
          timestamp: expect.stringMatching(/^\d{4}-/),
        },
      ],
    },
  ])
  expect(state).toMatchObject({
    type: 'Completed',
    summary: { iterations: 1, files_changed: 4, commits: 1, commands: 2 },
  })
  // Looking has left no trace: what was not staged is not staged.
  expect(gitIn(shop.project, 'diff', '--cached', '--name-only')).toBe('')
})

test('it stops when an iteration has changed nothing, and at the last iteration', async () => {
  await using shop = new Workshop()
  const until3 = 'test "$HOLDFAST_ITERATION" -ge 3 || echo "$HOLDFAST_ITERATION $HOLDFAST_FOCUS" >> notes.txt'
  const unchanged = await shop.run({ workflow: [until3], max_iterations: 10, focus: 'speed' })
  expect(unchanged.state).toMatchObject({ summary: { iterations: 3, stopped_because: 'no changes', lines_added: 2 } })
  expect(readFileSync(join(shop.project, 'notes.txt'), 'utf8')).toBe('one\n1 speed\n2 speed\n')
  const last = await shop.run({ workflow: ['date +%N >> notes.txt; git log > /dev/null'], max_iterations: 2 })
  expect(last.state).toMatchObject({ summary: { iterations: 2, stopped_because: 'max_iterations' } })
})

test('how long a command took is told unless a session collects no metrics; each of its lines is logged if it is verbose', async () => {
  await using shop = new Workshop()
  const run = async (options: SessionConfigInput['options']) => {
    const session = await shop.session({ workflow: ['echo one; echo two >&2'], options })
    const lines: string[] = []
    session.progress$().subscribe((update) => void (update.kind === 'log' && lines.push(update.message)))
    await session.send({ type: 'start' })
    const [command] = commandsIn((await ended(session)).events)
    return { timed: typeof command?.duration_ms, lines: lines.sort() }
  }
  expect(await run({ collect_metrics: false })).toEqual({ timed: 'undefined', lines: [] })
  expect(await run({ verbose: true })).toEqual({ timed: 'number', lines: ['one', 'two'] })
})

test('what a command says is streamed, and kept in bounds with its beginning and its end', async () => {
  await using shop = new Workshop()
  const session = await shop.session({ workflow: ['echo begin; echo oops >&2; seq 1 60000; echo end'] })
  let streamed = 0
  session.progress$().subscribe((update) => {
    if (update.kind === 'chunk') streamed += (update.chunk as { text: string }).text.length
  })
  await session.send({ type: 'start' })
  await ended(session)
  const [output] = await (await shop.manager()).getOutputs(session.id)
  expect(output?.stderr).toEqual({ text: 'oops\n', chars: 5 })
  expect(output?.stdout.chars).toBe(348_894 + 'begin\nend\n'.length)
  expect(output?.stdout.text.startsWith('begin\n1\n2\n')).toBe(true)
  expect(output?.stdout.text.endsWith('\n60000\nend\n')).toBe(true)
  expect(output?.stdout.text.length).toBeLessThan(66_000)
  expect(streamed).toBeGreaterThan(300_000)
})

test('a command that fails ends the session, the rest is not run, and the error says how it failed', async () => {
  await using shop = new Workshop()
  const { state, events } = await shop.run({ workflow: [{ shell: 'exit 3', name: 'lint' }, 'echo never > never'] })
  expect(state).toEqual({ type: 'Failed', error: '"lint" failed with exit code 3' })
  expect(commandsIn(events)).toMatchObject([{ command: 'lint', success: false, exit_code: 3 }])
  expect(existsSync(join(shop.project, 'never'))).toBe(false)
  const killed = await shop.run({ workflow: [{ shell: 'kill -9 $$', name: 'k' }] })
  expect(killed.state).toEqual({ type: 'Failed', error: '"k" was ended by SIGKILL' })
})

test('it goes on after a failure where that is wanted: by the command, or by a session that is not fail_fast', async () => {
  await using shop = new Workshop()
  const one = await shop.run({ workflow: [{ shell: 'false', on_failure: 'continue' }, 'echo a > a'] })
  expect(one.state).toMatchObject({ type: 'Completed', summary: { failed_commands: 1, commands: 2, files_changed: 1 } })
  const options = { fail_fast: false }
  const two = await shop.run({ workflow: ['false', { shell: 'exit 2', on_failure: 'fail' }, 'true'], options })
  expect(two.state).toMatchObject({ type: 'Failed', error: '"exit 2" failed with exit code 2' })
})

test('a handler runs when its command has failed, and says what comes then', async () => {
  await using shop = new Workshop()
  const tried = await shop.run({
    workflow: [{ shell: 'test -e mended', name: 'check', on_failure: { shell: 'touch mended', next: 'retry' } }],
  })
  expect(commandsIn(tried.events)).toMatchObject([
    { command: 'check', success: false },
    { command: 'touch mended', success: true, handler: true },
    { command: 'check', success: true },
  ])
  expect(tried.state.type).toBe('Completed')
  const again = { shell: 'false', on_failure: { shell: 'true', next: 'retry', attempts: 2 } } as const
  const [spent, skipped, ends, worse] = [
    await shop.run({ workflow: [again] }),
    await shop.run({ workflow: [{ ...again, on_failure: { shell: 'true', next: 'continue' } }, 'true'] }),
    await shop.run({ workflow: [{ ...again, on_failure: { shell: 'true', next: 'fail' } }] }),
    await shop.run({ workflow: [{ ...again, on_failure: { shell: 'exit 9', next: 'continue' } }] }),
  ]
  expect(commandsIn(spent.events).length).toBe(5)
  expect(spent.state).toEqual({ type: 'Failed', error: '"false" failed with exit code 1' })
  expect(skipped.state).toMatchObject({ type: 'Completed', summary: { commands: 3 } })
  expect(ends.state).toEqual({ type: 'Failed', error: '"false" failed; what it has for that case was run' })
  expect(worse.state).toEqual({ type: 'Failed', error: '"exit 9" failed with exit code 9' })
})

test('the results of an analysis are kept; what is no JSON has failed', async () => {
  await using shop = new Workshop()
  const analysis = { shell: `echo '{"score": 7}'`, analysis: true }
  const { events } = await shop.run({ workflow: [analysis] })
  expect(events).toContainEqual({ type: 'AnalysisCompleted', results: { score: 7 } })
  const { state } = await shop.run({ workflow: [{ shell: 'echo no', name: 'look', analysis: true }] })
  expect(state).toEqual({
    type: 'Failed',
    error: expect.stringMatching(/^"look" was to say the results of an analysis/),
  })
})

test('a timeout ends the whole group, also who does not listen, and only then the command has failed', async () => {
  await using shop = new Workshop()
  const { session, state, events } = await shop.run({
    workflow: [
      {
        shell: `trap "" TERM; sh -c 'trap "" TERM; while :; do sleep 1; done' & setsid sleep 300 & sleep 300`,
        name: 'hang',
        timeout_ms: 400,
        kill_grace_ms: 100,
      },
    ],
  })
  expect(processesLeft(session.id)).toEqual([])
  expect(state).toEqual({ type: 'Failed', error: '"hang" took longer than it may' })
  expect(commandsIn(events)).toMatchObject([{ success: false, timed_out: true }])
})

test('what a command leaves in its group is ended with it', async () => {
  await using shop = new Workshop()
  const { session, state } = await shop.run({ workflow: ['sleep 300 & echo $! > pid', 'true'] })
  expect(state.type).toBe('Completed')
  expect(processesLeft(session.id)).toEqual([])
})

test('cancel ends the whole group, first by asking and then by force; cancelled is told when all are gone', async () => {
  await using shop = new Workshop()
  const asked = join(shop.folder, 'asked')
  const session = await shop.session({
    workflow: [
      {
        shell: `trap 'echo yes > ${asked}' TERM; (trap "" TERM; setsid sleep 300) & echo up > up; while :; do sleep 0.05; done`,
        kill_grace_ms: 1_500,
      },
    ],
  })
  const manager = await shop.manager()
  const left: string[][] = []
  session.transitions$().subscribe(({ status }) => {
    if (status !== 'active') left.push(processesLeft(session.id))
  })
  await manager.startSession(session.id)
  await written(join(shop.project, 'up'))
  expect(processesLeft(session.id).length).toBeGreaterThan(1)
  await manager.cancelSession(session.id, 'never mind')
  expect(left).toEqual([[]])
  expect(existsSync(asked)).toBe(true)
  expect(await manager.getState(session.id)).toEqual({ type: 'Cancelled', reason: 'never mind' })
  expect(commandsIn((await ended(session)).events)).toEqual([])
})

test('pause takes effect at the next boundary between commands, and resume goes on with the next one', async () => {
  await using shop = new Workshop()
  const session = await shop.session({
    workflow: ['echo a > a; while test ! -e go; do sleep 0.02; done', 'echo b > b'],
  })
  const manager = await shop.manager()
  await manager.startSession(session.id)
  await written(join(shop.project, 'a'))
  await manager.pauseSession(session.id, 'lunch')
  expect(await manager.getState(session.id)).toEqual({ type: 'Running', iteration: 1 })
  await expect(manager.pauseSession(session.id, 'again')).rejects.toMatchObject({ code: 'NOT_ACCEPTED' })
  writeFileSync(join(shop.project, 'go'), '')
  await session.until('paused')
  expect(await manager.getState(session.id)).toEqual({ type: 'Paused', reason: 'lunch' })
  expect(existsSync(join(shop.project, 'b'))).toBe(false)
  await manager.resumeSession(session.id)
  const { state, events } = await ended(session)
  expect(state.type).toBe('Completed')
  expect(commandsIn(events).length).toBe(2)
  expect(existsSync(join(shop.project, 'b'))).toBe(true)
})

test.each([
  ['rerun', ['CommandExecuted'], 'Completed'],
  ['fail', ['CommandExecuted'], 'Failed'],
  ['ask', ['Paused', 'Resumed', 'CommandExecuted'], 'Completed'],
] as const)('a command that was interrupted: %s', async (on_crash, expected, end) => {
  await using shop = new Workshop()
  const runs = join(shop.folder, 'runs')
  const shell = `echo run >> ${runs}; test "$(wc -l < ${runs})" -gt 1 || sleep 300`
  const { id } = await shop.session({ workflow: [{ shell, name: 'c', on_crash, kill_grace_ms: 200 }] })
  await (await shop.manager()).startSession(id)
  await written(runs)
  await shop.reopened()
  const manager = await shop.manager()
  const session = (await shop.runtime()).session(id) as never as Parameters<typeof ended>[0]
  const { value } = await session.until(({ status, value }) => value === 'paused' || status !== 'active')
  if (value === 'paused') {
    expect(await manager.getState(id)).toEqual({
      type: 'Paused',
      reason: expect.stringContaining('interrupted by a crash'),
    })
    await manager.resumeSession(id)
  }
  const { state, events } = await ended(session)
  expect(state.type).toBe(end)
  if (end === 'Failed') expect(state).toMatchObject({ error: '"c" was interrupted by a crash' })
  const after = events.map(({ type }) => type).filter((type) => !/^(Started|Iteration|Completed|Failed)/.test(type))
  expect(after).toEqual(expected)
  expect(readFileSync(runs, 'utf8').split('\n').length - 1).toBe(on_crash === 'fail' ? 1 : 2)
})

test('what is no repository is told, and so is a folder that is not there', async () => {
  await using shop = new Workshop()
  for (const project_path of [shop.folder, join(shop.folder, 'absent')]) {
    const { state } = await shop.run({ project_path, workflow: ['true'] })
    expect(state).toMatchObject({ type: 'Failed', error: expect.stringContaining('is in no git repository') })
  }
})
