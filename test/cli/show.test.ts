// `holdfast show`: one session as it is on the disk, found by the beginning of its id; beside its owner.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineSession, openRuntime, step } from 'holdfast'
import { beforeAll, describe, expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { DOCUMENTS, envelopeIn, holdfast, newFolder, start } from './command.js'
import { count, counter, footprint, openCounters } from './directory.js'

let dir: string
beforeAll(async () => {
  dir = newFolder()
  await using runtime = await openCounters(dir)
  await count(runtime, 'apple', 25)
  await count(runtime, 'apricot', 1)
  await count(runtime, 'done-one', 1)
  await runtime.session('done-one', counter).send({ type: 'finish' })
})

const show = (id: string, ...args: string[]) => holdfast(['show', id, '--dir', dir, ...args])

describe('what it shows', () => {
  test('text: what it is, its context with long values shortened, its last transitions', async () => {
    const { code, stdout, stderr } = await show('apple')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^session {2}apple\nkind {5}counter, version 1\nstate {4}counting\ncreated {2}/)
    expect(stdout).toMatch(/^context\n {2}count {2}25\n {2}seen {3}\["apple-6",.*…$/m)
    expect(stdout).toContain('transitions, the last 10 of 26\n')
    expect(stdout).toMatch(/^ {2}17 {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ {2}add {2}counting$/m)
    expect(stdout).not.toMatch(/^ {2}16 /m)
    expect(stderr).toContain(`no process has ${dir} open`)
  })

  test('--history shows every transition', async () => {
    const { stdout } = await show('apple', '--history')
    expect(stdout).toContain('transitions, all 26\n')
    expect(stdout).toMatch(/^ {2}1 {3}\S+ \S+ {2}xstate\.init {2}counting$/m)
    const { data } = envelopeIn(await show('apple', '--history', '-o', 'json'))
    expect(data.transitions.map(({ seq }: any) => seq)).toEqual(Array.from({ length: 26 }, (_, index) => index + 1))
  })

  test('-o json: the whole state, nothing shortened', async () => {
    const { data } = envelopeIn(await show('apple', '-o', 'json'))
    expect(data.session).toMatchObject({ id: 'apple', kind: 'counter', seq: 26, value: 'counting', status: 'active' })
    expect(data.session.context).toEqual({
      count: 25,
      seen: Array.from({ length: 20 }, (_, index) => `apple-${index + 6}`),
    })
    expect(data.transitions).toHaveLength(10)
    expect(data.transitions[9]).toMatchObject({ seq: 26, event: { type: 'add', by: 1, id: 'apple-25' } })
  })

  test('a session that has ended shows its output; nobody is said to be able to go on with it', async () => {
    const { stdout, stderr } = await show('done-one')
    expect(stdout).toMatch(/^status {3}done$/m)
    expect(stdout).toMatch(/^output {3}1$/m)
    expect(stderr).toBe('')
  })

  test('steps and timers that it waits for', async () => {
    const folder = newFolder()
    await using runtime = await openRuntime({ dir: folder, kinds: [waiting], pool: 'inline' })
    await runtime.create(waiting, undefined, { id: 'w' })
    const { stdout } = await holdfast(['show', 'w', '--dir', folder])
    expect(stdout).toMatch(/^steps\n {2}work {2}active {2}attempt 1$/m)
    expect(stdout).toMatch(/^timers\n {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ {2}xstate\.after\S+$/m)
  })

  test('a timer that is overdue, since no process has run the session, is marked so', async () => {
    const folder = newFolder()
    {
      await using runtime = await openRuntime({ dir: folder, kinds: [sleeping], pool: 'inline' })
      await runtime.create(sleeping, undefined, { id: 's' })
    }
    const shown = async () => (await holdfast(['show', 's', '--dir', folder])).stdout
    await expect.poll(shown).toMatch(/^timers\n {2}\S+ \S+Z {2}xstate\.after\S+ {2}overdue$/m)
  })

  test('a planning session shows its plan: the items as soon as they are found, their issues once those are made', async () => {
    const cwd = newFolder()
    writeFileSync(join(cwd, 'doc.md'), readFileSync(join(DOCUMENTS, 'outline.md')))
    const running = start(['plan', 'doc.md', '--pace', '200'], { cwd })
    await running.said('of 12 issues')
    running.child.kill('SIGKILL')
    await running.ended
    const [{ id }] = envelopeIn(await holdfast(['ls', '-o', 'json'], { cwd })).data.sessions
    const { stdout, stderr } = await holdfast(['show', id], { cwd })
    expect(stdout).toMatch(/^progress {4}60% {2}Creating issues$/m)
    expect(stdout).toContain('epic Selling at the counter  epic-1 → not recorded yet\n')
    const tracker = join(cwd, '.holdfast', 'tracker.json')
    expect(stdout).toContain(
      `issues are recorded here once all of them are made; until then those that are made are in ${tracker}\n`,
    )
    expect(JSON.parse(readFileSync(tracker, 'utf8')).issues).not.toEqual([])
    expect(stdout).toMatch(/^ {2}createIssues {2}active {2}attempt 1$/m)
    expect(stderr).toBe(`no process has .holdfast open; holdfast plan --resume ${id} goes on with it\n`)
    const { data } = envelopeIn(await holdfast(['show', id, '-o', 'json'], { cwd }))
    expect(data.plan).toMatchObject({ status: 'processing', progress: 60, items: [{ id: 'epic-1' }, { id: 'epic-2' }] })
  })

  test('a session that ended in an error shows what that said', async () => {
    const folder = newFolder()
    {
      await using runtime = await openRuntime({ dir: folder, kinds: [failing], pool: 'inline' })
      await (await runtime.create(failing, undefined, { id: 'f' })).until(({ status }) => status === 'error')
    }
    const { stdout } = await holdfast(['show', 'f', '--dir', folder])
    expect(stdout).toMatch(/^status {3}error$/m)
    expect(stdout).toMatch(/^error {4}the till is shut \(TILL_SHUT\)$/m)
  })
})

const failing = defineSession({
  kind: 'failing',
  version: 1,
  supervision: { restart: 'temporary' },
  machine: setup({}).createMachine({
    context: {},
    after: {
      1: {
        actions: assign(() => {
          throw Object.assign(new Error('the till is shut'), { code: 'TILL_SHUT' })
        }),
      },
    },
  }),
})

const sleeping = defineSession({
  kind: 'sleeping',
  version: 1,
  machine: setup({}).createMachine({ context: {}, initial: 'a', states: { a: { after: { 2000: 'b' } }, b: {} } }),
})

const waiting = defineSession({
  kind: 'waiting',
  version: 1,
  steps: 'data:text/javascript,export const waitForever = () => new Promise(() => {})',
  machine: setup({ actors: { work: step('waitForever') } }).createMachine({
    context: {},
    initial: 'working',
    states: {
      working: {
        invoke: { id: 'work', src: 'work' },
        after: { 100000: { actions: assign({}) } },
      },
    },
  }),
})

describe('ids', () => {
  test.each(['app', 'apple', 'd'])('"%s" is enough when only one session begins so', async (prefix) => {
    const { data } = envelopeIn(await show(prefix, '-o', 'json'))
    expect(data.session.id.startsWith(prefix)).toBe(true)
  })

  test('one that begins several ids is told with what those sessions are', async () => {
    const { stderr } = await show('ap')
    expect(stderr).toMatch(/^apple {4}counter {2}counting {2}\S+ \S+Z\napricot {2}counter {2}counting {2}/)
    expect(stderr).toContain(`holdfast ls --all --dir ${dir} shows the whole ids`)
    expect(stderr.match(/apricot/g)).toHaveLength(1)
  })

  test('one that begins very many is told with the first few, and that there are others', async () => {
    const folder = newFolder()
    {
      await using runtime = await openCounters(folder)
      for (const letter of 'abcdef') await count(runtime, `x${letter}`, 0)
    }
    const { error } = envelopeIn(await holdfast(['show', 'x', '--dir', folder, '-o', 'json']))
    expect(error.message).toBe('"x" begins several ids: xa, xb, xc, xd, xe and others; give more of it')
  })

  test.each([
    ['ap', 'AMBIGUOUS_ID', 2, '"ap" begins these ids; give more of it'],
    ['zebra', 'SESSION_NOT_FOUND', 3, 'zebra'],
    ['applee', 'SESSION_NOT_FOUND', 3, 'applee'],
    ['../apple', 'INVALID_ID', 2, '../apple'],
    ['..', 'INVALID_ID', 2, '..'],
    ['', 'INVALID_ID', 2, '""'],
    ['apple/../../x', 'INVALID_ID', 2, 'x'],
    ['app\nle', 'INVALID_ID', 2, 'app\\nle'],
    ['x'.repeat(65), 'INVALID_ID', 2, 'xxx'],
  ])('%j: %s', async (id, code, exitCode, named) => {
    const text = await show(id)
    expect(text.code).toBe(exitCode)
    expect(text.stdout).toBe('')
    expect(text.stderr).toContain(`(${code})`)
    expect(text.stderr).toContain(named)
    const json = await show(id, '-o', 'json')
    expect(json.code).toBe(exitCode)
    expect(envelopeIn(json).error).toMatchObject({ code, hint: expect.any(String), retryable: false })
  })
})

describe('damage', () => {
  /** A directory whose one session has a snapshot, written by a second opening. */
  async function withSnapshot(): Promise<{ folder: string; snapshot: string }> {
    const folder = newFolder()
    {
      await using runtime = await openCounters(folder)
      await count(runtime, 'apple', 10)
    }
    {
      await using runtime = await openCounters(folder)
      const session = runtime.session('apple', counter)
      for (let number = 11; number <= 60; number++) await session.send({ type: 'add', by: 1, id: `apple-${number}` })
    }
    const path = Object.keys(footprint(folder)).find((file) => file.endsWith('apple.json'))
    return { folder, snapshot: path as string }
  }

  test('a snapshot that cannot be read: the journal stands in for it, and it stays where it is', async () => {
    const { folder, snapshot } = await withSnapshot()
    const whole = await holdfast(['show', 'apple', '--dir', folder])
    writeFileSync(snapshot, readFileSync(snapshot, 'utf8').replace('"count":60', '"count":61'))
    const before = footprint(folder)
    const damaged = await holdfast(['show', 'apple', '--dir', folder])
    expect([damaged.code, damaged.stdout]).toEqual([0, whole.stdout])
    expect(damaged.stderr).toContain('apple.json cannot be read')
    expect(footprint(folder)).toEqual(before)
  })

  test('a snapshot of a newer format: FORMAT_NEWER, exit 1', async () => {
    const { folder, snapshot } = await withSnapshot()
    writeFileSync(
      snapshot,
      readFileSync(snapshot, 'utf8').replace('"holdfast": 1', '"holdfast": 2').replace(':60', ':61'),
    )
    const ended = await holdfast(['show', 'apple', '--dir', folder, '-o', 'json'])
    expect(ended.code).toBe(1)
    expect(envelopeIn(ended).error.code).toBe('FORMAT_NEWER')
  })

  test('a journal that ends before a snapshot does: JOURNAL_CORRUPT, exit 1', async () => {
    const { folder } = await withSnapshot()
    const journal = join(folder, 'journal', '00000001.jsonl')
    const lines = readFileSync(journal, 'utf8').trimEnd().split('\n')
    writeFileSync(journal, `${lines.slice(0, 20).join('\n')}\n`)
    rmSync(join(folder, 'index.jsonl'))
    const ended = await holdfast(['show', 'apple', '--dir', folder, '-o', 'json'])
    expect(ended.code).toBe(1)
    expect(envelopeIn(ended).error.code).toBe('JOURNAL_CORRUPT')
  })
})
