// `holdfast ls`: what is in flight, all of it in pages, in three formats; beside its owner, changing nothing.
import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { envelopeIn, envelopesIn, holdfast, MAIN, newFolder, start } from './command.js'
import { count, counter, footprint, openCounters } from './directory.js'

const ANSI = '\u001b['
let dir: string

/** Three that count, one that is done. */
beforeAll(async () => {
  dir = newFolder()
  await using runtime = await openCounters(dir)
  for (const id of ['apple', 'apricot', 'banana']) await count(runtime, id, 3)
  await count(runtime, 'cherry', 1)
  await runtime.session('cherry', counter).send({ type: 'finish' })
})

const ids = (envelope: any): string[] => envelope.data.sessions.map((session: any) => session.id)
const lsJson = async (...args: string[]): Promise<any> =>
  envelopeIn(await holdfast(['ls', '--dir', dir, '-o', 'json', ...args]))

describe('what it lists', () => {
  test('what is in flight by default, in the order of creation', async () => {
    const { code, stdout, stderr } = await holdfast(['ls', '--dir', dir])
    expect(code).toBe(0)
    expect(stderr).toBe('')
    const [head, ...rows] = stdout.trimEnd().split('\n')
    expect(head).toMatch(/^ID +KIND +STATE +UPDATED +ATTRIBUTES$/)
    expect(rows.map((row) => row.split(/ +/).slice(0, 3))).toEqual([
      ['apple', 'counter', 'counting'],
      ['apricot', 'counter', 'counting'],
      ['banana', 'counter', 'counting'],
    ])
  })

  test('everything with --all; one status or one kind with --status and --kind', async () => {
    expect(ids(await lsJson('--all'))).toEqual(['apple', 'apricot', 'banana', 'cherry'])
    expect(ids(await lsJson('--status', 'done'))).toEqual(['cherry'])
    expect(ids(await lsJson('--status', 'done', '--all'))).toEqual(['cherry'])
    expect(ids(await lsJson('--kind', 'counter'))).toEqual(['apple', 'apricot', 'banana'])
    expect(ids(await lsJson('--kind', 'planning'))).toEqual([])
  })

  test('in pages: each cursor begins where the page before ended', async () => {
    const seen: string[] = []
    for (let cursor: string | undefined = '', pages = 0; cursor !== undefined; pages++) {
      const page: any = await lsJson('--all', '--limit', '1', ...(cursor ? ['--cursor', cursor] : []))
      expect(pages).toBeLessThan(5)
      seen.push(...ids(page))
      cursor = page.data.cursor
    }
    expect(seen).toEqual(['apple', 'apricot', 'banana', 'cherry'])
    const { stderr } = await holdfast(['ls', '--dir', dir, '--limit', '2'])
    expect(stderr).toMatch(/^more: add --cursor \d+$/m)
  })

  test('a cursor that is none: INVALID_ARGUMENT, exit 2', async () => {
    const ended = await holdfast(['ls', '--dir', dir, '--cursor', 'abc', '-o', 'json'])
    expect(ended.code).toBe(2)
    expect(envelopeIn(ended).error.code).toBe('INVALID_ARGUMENT')
  })

  test('planning sessions that have come to rest are not in flight, though they are active', async () => {
    const cwd = newFolder()
    writeFileSync(join(cwd, 'doc.md'), '# Epic: Checkout\n\n## Story: Pay by card\n')
    await holdfast(['plan', 'doc.md'], { cwd })
    const { stdout, stderr } = await holdfast(['ls'], { cwd })
    expect([stdout, stderr]).toEqual(['', 'no session is in flight; add --all to see those that are over\n'])
    expect((await holdfast(['ls', '--all'], { cwd })).stdout).toMatch(/ planning {2}completed {2}\d{4}-/)
    expect((await holdfast(['ls', '--status', 'active'], { cwd })).stdout).toContain('completed')
    expect((await holdfast(['ls', '--state', 'completed'], { cwd })).stdout).toContain('completed')
    expect((await holdfast(['ls', '--state', 'failed'], { cwd })).stderr).toBe(
      'no session is in a state failed; there are: completed\n',
    )
  })

  test('--state names a state of the machine, or one that holds it', async () => {
    expect(ids(await lsJson('--state', 'counting'))).toEqual(['apple', 'apricot', 'banana'])
    expect(ids(await lsJson('--state', 'counting', '--status', 'done'))).toEqual([])
    expect(ids(await lsJson('--state', 'count'))).toEqual([])
    const cwd = newFolder()
    writeFileSync(join(cwd, 'doc.md'), '# Epic: Checkout\n\n## Story: Pay by card\n')
    const running = start(['plan', 'doc.md', '--pace', '10000'], { cwd })
    await running.said('Creating issues')
    for (const state of ['processing', 'processing.working', 'processing.working.creatingIssues'])
      expect((await holdfast(['ls', '--state', state], { cwd })).stdout).toContain('creatingIssues')
    running.child.kill('SIGKILL')
    await running.ended
  })

  test('a session that is over says so beside its state; one that is not says nothing', async () => {
    const { stdout } = await holdfast(['ls', '--all', '--dir', dir])
    expect(stdout).toMatch(/^cherry +counter +\w+ \(done\) {2}/m)
    expect(stdout).not.toContain('active')
  })

  test('a kind or a state that no session has at all is told as that, with those that there are', async () => {
    const told = async (...args: string[]): Promise<string> =>
      (await holdfast(['ls', '--dir', dir, ...args])).stderr.trim()
    expect(await told('--kind', 'countr')).toBe('no session of kind countr is stored at all; there are: counter')
    const states = 'there are: counting, finished'
    expect(await told('--state', 'countin')).toBe(`no session is in a state countin; ${states}`)
    expect(await told('--kind', 'counter', '--state', 'x')).toBe(
      `no session of kind counter is in a state x; ${states}`,
    )
    expect(await told('--state', 'finished', '--status', 'active')).toBe('no session matches')
  })
})

describe('how it prints', () => {
  test('-o json: one envelope; -o jsonl: one for each session', async () => {
    const { data } = await lsJson()
    expect(data.sessions[0]).toMatchObject({ id: 'apple', kind: 'counter', version: 1, seq: 4, status: 'active' })
    const lines = envelopesIn(await holdfast(['ls', '--dir', dir, '-o', 'jsonl']))
    expect(lines.map((line) => line.data)).toEqual(data.sessions)
  })

  test('no colours when stdout is no terminal; FORCE_COLOR wants them, NO_COLOR alone does not', async () => {
    const withEnv = async (env: Record<string, string>): Promise<string> =>
      (await holdfast(['ls', '--dir', dir], { env })).stdout
    expect(await withEnv({})).not.toContain(ANSI)
    expect(await withEnv({ FORCE_COLOR: '1' })).toContain(ANSI)
    expect(await withEnv({ FORCE_COLOR: '0' })).not.toContain(ANSI)
    expect(await withEnv({ NO_COLOR: '1' })).not.toContain(ANSI)
    expect((await holdfast(['ls', '--dir', dir, '-o', 'json'], { env: { FORCE_COLOR: '1' } })).stdout).not.toContain(
      ANSI,
    )
  })

  test('a reader that leaves early is no error: holdfast ls | head -1', async () => {
    const folder = newFolder()
    {
      await using runtime = await openCounters(folder)
      await Promise.all(Array.from({ length: 600 }, (_, number) => count(runtime, `session-${number}`, 0)))
    }
    for (const [format, reader] of [
      ['text', 'head -1'],
      ['jsonl', 'head -1'],
      ['json', 'head -c 10'],
      ['json', 'true'],
    ] as const) {
      // Far more than a pipe holds: the writer is cut off in the middle.
      const script = `"$0" "$1" ls --limit 1000 --dir "$2" -o ${format} | ${reader}; echo "exit \${PIPESTATUS[0]}" >&2`
      const { stderr } = spawnSync('bash', ['-c', script, process.execPath, MAIN, folder], { encoding: 'utf8' })
      expect(stderr).toBe('exit 0\n')
    }
  })
})

test('a result that cannot be written is an error: holdfast ls > /dev/full', () => {
  const script = '"$0" "$1" ls --dir "$2" > /dev/full'
  const { status, stderr } = spawnSync('bash', ['-c', script, process.execPath, MAIN, dir], { encoding: 'utf8' })
  expect(status).toBe(1)
  expect(stderr).toMatch(/^holdfast: the result could not be written \(ENOSPC.*\)\n$/)
})

describe('what it leaves alone', () => {
  test('nothing of the directory changes, whether somebody owns it or not', async () => {
    const before = footprint(dir)
    await lsJson('--all')
    await holdfast(['show', 'apple', '--dir', dir])
    expect(footprint(dir)).toEqual(before)
    await using _ = await openCounters(dir)
    const owned = footprint(dir)
    expect(ids(await lsJson('--all'))).toHaveLength(4)
    expect(footprint(dir)).toEqual(owned)
  })

  test('it shows at once what an owner has recorded and not yet indexed', async () => {
    const folder = newFolder()
    await using runtime = await openCounters(folder)
    for (const id of ['one', 'two']) {
      await count(runtime, id, 1)
      const ended = await holdfast(['ls', '--dir', folder, '-o', 'json'])
      expect(ids(envelopeIn(ended)).at(-1)).toBe(id)
    }
  })
})

describe('directories that it cannot read', () => {
  test.each([
    ['one that is not there', 'nowhere'],
    ['one below a file', 'file/data'],
    ['a folder that holds something else', 'other'],
    ['one with a journal of somebody’s', 'diary'],
  ])('%s: DIRECTORY_NOT_FOUND, exit 3', async (_, name) => {
    const cwd = newFolder()
    writeFileSync(join(cwd, 'file'), '')
    mkdirSync(join(cwd, 'other'))
    writeFileSync(join(cwd, 'other', 'notes.txt'), '')
    mkdirSync(join(cwd, 'diary', 'journal'), { recursive: true })
    writeFileSync(join(cwd, 'diary', 'journal', 'monday.md'), '')
    const ended = await holdfast(['ls', '--dir', name, '-o', 'json'], { cwd })
    expect(ended.code).toBe(3)
    expect(envelopeIn(ended).error.code).toBe('DIRECTORY_NOT_FOUND')
  })

  /** A copy of a small directory, of which one thing is then changed. */
  async function small(): Promise<string> {
    const folder = newFolder()
    await using runtime = await openCounters(folder)
    for (const id of ['left', 'right']) await count(runtime, id, 40)
    return folder
  }

  test.each([
    ['the directory', (folder: string) => writeFileSync(join(folder, 'holdfast.json'), '{"holdfast":2,"kinds":{}}')],
    ['the journal', (folder: string) => writeFileSync(join(folder, 'journal', '00000002.jsonl'), newerSegment(folder))],
  ])('%s of a newer format: FORMAT_NEWER, exit 1', async (_, change) => {
    const folder = await small()
    change(folder)
    for (const args of [['ls'], ['show', 'left']]) {
      const ended = await holdfast([...args, '--dir', folder, '-o', 'json'])
      expect(ended.code).toBe(1)
      expect(envelopeIn(ended).error.code).toBe('FORMAT_NEWER')
    }
  })

  test('a torn end, as a crash or a writer at work leaves it, is no damage', async () => {
    const folder = await small()
    appendFileSync(join(folder, 'journal', '00000001.jsonl'), '0badcafe 0badcafe {"batch":')
    rmSync(join(folder, 'index.jsonl'))
    const ended = await holdfast(['ls', '--dir', folder, '-o', 'json'])
    expect([ended.code, ended.stderr, ids(envelopeIn(ended))]).toEqual([0, '', ['left', 'right']])
  })

  test('a damaged index is read around', async () => {
    const folder = await small()
    truncateSync(join(folder, 'index.jsonl'), 100)
    const { code, stdout, stderr } = await holdfast(['ls', '--dir', folder])
    expect(code).toBe(0)
    expect(stdout).toMatch(/left[\s\S]*right/)
    expect(stderr).toContain('index.jsonl cannot be read')
  })

  test('a damaged journal: the session that lost records is named, the others are not affected', async () => {
    const folder = await small()
    rmSync(join(folder, 'index.jsonl'))
    damage(join(folder, 'journal', '00000001.jsonl'), '"id":"left-20"')
    const before = footprint(folder)
    const { code, stdout, stderr } = await holdfast(['ls', '--dir', folder])
    expect(code).toBe(0)
    expect(stdout).toMatch(/left[\s\S]*right/)
    expect(stderr).toMatch(/journal\/00000001\.jsonl is corrupt at offset \d+/)
    expect(stderr).toContain('session left:')
    const left = await holdfast(['show', 'left', '--dir', folder, '-o', 'json'])
    expect(left.code).toBe(1)
    expect(envelopeIn(left).error.code).toBe('JOURNAL_CORRUPT')
    expect((await holdfast(['show', 'right', '--dir', folder])).code).toBe(0)
    expect(footprint(folder)).toEqual(before)
  })
})

/** Changes one byte of the record that holds `text`. */
function damage(path: string, text: string): void {
  const bytes = readFileSync(path)
  const at = bytes.indexOf(text)
  bytes[at + 1] = (bytes[at + 1] as number) ^ 1
  writeFileSync(path, bytes)
}

/** A segment whose header is as a newer Holdfast would write it: whole, with its own format. */
function newerSegment(folder: string): Buffer {
  const first = readFileSync(join(folder, 'journal', '00000001.jsonl'))
  const json = JSON.stringify({ holdfast: 2, segment: 2, epoch: 1, base: first.length }).padEnd(160 - 18 - 1)
  return Buffer.from(`00000000 ${crc32(json).toString(16).padStart(8, '0')} ${json}\n`)
}

test('with --kinds it tells what a runtime opened with them would park, and so does show; nothing is changed', async () => {
  const kinds = join(newFolder(), 'kinds.mjs')
  writeFileSync(kinds, OTHER_KINDS)
  const before = footprint(dir)
  const { code, stdout, stderr } = await holdfast(['ls', '--dir', dir, '--all', '--kinds', kinds])
  expect(code).toBe(0)
  expect(stdout).toMatch(/^apple +counter +counting \(parked: MIGRATION_MISSING\) /m)
  expect(stdout).toMatch(/^cherry +counter +finished \(done\) /m)
  expect(stderr).toBe('warning: 3 sessions would be parked by these kinds: show <id> --kinds … says why\n')
  const shown = await holdfast(['show', 'apple', '--dir', dir, '--kinds', kinds])
  expect(shown.stdout).toMatch(/^parked +MIGRATION_MISSING: version 1 of "counter" .* add a step 1 to migrate$/m)
  const same = join(import.meta.dirname, '../fixtures/counter.js')
  const fits = await lsJson('--kinds', same)
  expect(ids(fits)).toHaveLength(3)
  expect(JSON.stringify(fits)).not.toContain('parked')
  expect(footprint(dir)).toEqual(before)
})

/** A later version of the counter, and no way to it. */
const OTHER_KINDS = `
const { defineSession } = await import('${import.meta.resolve('holdfast')}')
const { counter } = await import('${new URL('../fixtures/counter.js', import.meta.url)}')
export const kind = defineSession({ kind: 'counter', version: 2, machine: counter.machine, migrate: {} })
`
