// `holdfast plan`: from a document to issues on the real command line, and everything that can be wrong with it.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openRuntime } from 'holdfast'
import { planning } from 'holdfast/machines/planning'
import { beforeEach, describe, expect, test } from 'vitest'
import { DOCUMENTS, envelopeIn, holdfast, MAIN, newFolder, start } from './command.js'
import { count, openCounters } from './directory.js'

const OUTLINE = readFileSync(join(DOCUMENTS, 'outline.md'), 'utf8')

let cwd: string
beforeEach(() => {
  cwd = newFolder()
  writeFileSync(join(cwd, 'doc.md'), OUTLINE)
})

const issues = (folder = '.holdfast'): { id: string; title: string; clientId: string }[] =>
  JSON.parse(readFileSync(join(cwd, folder, 'tracker.json'), 'utf8')).issues

describe('a document becomes issues', () => {
  test('text: the tree with ids on stdout, the steps on stderr, where everything is at the end', async () => {
    const { code, stdout, stderr } = await holdfast(['plan', 'doc.md', '--title', 'The till'], { cwd })
    expect(code).toBe(0)
    const [title, ...lines] = stdout.split('\n')
    expect(title).toBe('The till')
    expect(lines.slice(0, 4)).toEqual([
      'epic Selling at the counter  epic-1 → LOCAL-1',
      '├─ feature Fast keys  feature-1 → LOCAL-3',
      '│  ├─ story Ring up a roll with one tap  story-1 → LOCAL-6, 2 points',
      '│  ├─ story Rearrange the keys  story-2 → LOCAL-7, 3 points',
    ])
    expect(stdout).toContain('   └─ enabler Can we send the figures to the tax office directly?  enabler-2 → LOCAL-12')
    expect(stdout).toMatch(/^session {2}[0-9a-f-]{36}$/m)
    expect(stdout).toContain(`files    ${join(cwd, '.holdfast')}\n`)
    expect(stdout).toContain(`issues   ${join(cwd, '.holdfast', 'tracker.json')}\n`)
    for (const step of ['Fetching', 'Parsing', 'Extracting', 'Creating', 'Linking', 'Planning completed']) {
      expect(stderr).toContain(step)
    }
    expect(stderr).toMatch(/^100% {2}Planning completed$/m)
    expect(issues()).toHaveLength(12)
  })

  test('-o json: one envelope with the whole plan', async () => {
    const ended = await holdfast(['plan', 'doc.md', '-o', 'json'], { cwd })
    expect(ended.code).toBe(0)
    const { data } = envelopeIn(ended)
    expect(data).toMatchObject({
      sessionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      plan: { title: 'Roadmap for the bakery till', source: 'doc.md', status: 'completed', progress: 100, errors: [] },
      files: { dir: join(cwd, '.holdfast'), tracker: join(cwd, '.holdfast', 'tracker.json') },
    })
    const types = (items: any[]): string[] => items.flatMap((item) => [item.type, ...types(item.items)])
    expect(data.plan.items.map((item: any) => item.id)).toEqual(['epic-1', 'epic-2'])
    expect(types(data.plan.items)).toHaveLength(12)
    expect(data.plan.items[0].items[0].items[0]).toEqual({
      ...{ type: 'story', id: 'story-1', title: 'Ring up a roll with one tap', issue: 'LOCAL-6', storyPoints: 2 },
      items: [],
    })
  })

  test('what there is one of is told as one', async () => {
    writeFileSync(join(cwd, 'doc.md'), '# Epic: Checkout\n')
    const { stderr } = await holdfast(['plan', 'doc.md'], { cwd, env: { CI: '1' } })
    expect(stderr).not.toMatch(/\b1 (?:sections|items|issues|links)\b/)
    expect(stderr).toMatch(/\b1 section$/m)
  })

  test('what is doubtful is told: an orphan stands for itself, with a warning', async () => {
    writeFileSync(
      join(cwd, 'doc.md'),
      '# Story: Pay by card\n\n5 points\n\n# Epic: Checkout\n\n## Story: Pay in cash\n',
    )
    const { code, stdout } = await holdfast(['plan', 'doc.md'], { cwd })
    expect(code).toBe(0)
    expect(stdout).toMatch(/^story Pay by card {2}story-1 → LOCAL-\d/m)
    expect(stdout).toMatch(/warnings\n {2}ORPHANED_ITEM {2}\S/)
  })

  test('a document whose issues are made is refused, but for --new, which makes a session and issues of its own', async () => {
    const { data } = envelopeIn(await holdfast(['plan', 'doc.md', '-o', 'json'], { cwd }))
    const refused = await holdfast(['plan', 'doc.md', '-o', 'json'], { cwd })
    const { code, hint } = envelopeIn(refused).error
    expect([refused.code, code]).toEqual([6, 'PLAN_MADE'])
    expect(hint).toContain(`holdfast plan --resume ${data.sessionId} shows them`)
    expect(issues()).toHaveLength(12)
    expect((await holdfast(['plan', 'doc.md', '--new'], { cwd })).code).toBe(0)
    expect(issues()).toHaveLength(24)
    expect(envelopeIn(await holdfast(['ls', '--all', '-o', 'json'], { cwd })).data.sessions).toHaveLength(2)
  })

  test('--dir and HOLDFAST_DIR say where; the flag beats the variable', async () => {
    const env = { HOLDFAST_DIR: 'from-env' }
    expect((await holdfast(['plan', 'doc.md'], { cwd, env })).code).toBe(0)
    expect(issues('from-env')).toHaveLength(12)
    expect((await holdfast(['plan', 'doc.md', '--dir', 'from flag'], { cwd, env })).code).toBe(0)
    expect(issues('from flag')).toHaveLength(12)
    expect(existsSync(join(cwd, '.holdfast'))).toBe(false)
  })

  test('what a document says is shown to a terminal, never obeyed by it', async () => {
    writeFileSync(join(cwd, 'doc.md'), '# Epic: Check\u001b[2Jout\n\n## Story: Pay\u0007 by card\n')
    const { stdout } = await holdfast(['plan', 'doc.md', '--title', 'a\u001b[31mb'], { cwd })
    expect(stdout).toContain('Check')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/)
  })
})

describe('documents that cannot become a plan', () => {
  test.each([
    ['a missing file', 'nothing.md', undefined, 'FILE_NOT_FOUND', 3],
    ['a folder', '.', undefined, 'FILE_IS_DIRECTORY', 2],
    ['an empty document', 'doc.md', '', 'EMPTY_DOCUMENT', 1],
    ['a document of blanks', 'doc.md', ' \n\t\n', 'EMPTY_DOCUMENT', 1],
    ['a document without items', 'doc.md', '# Minutes\n\nWe talked about the weather.\n', 'NO_ITEMS_FOUND', 1],
    ['a binary file', 'doc.md', 'PNG\0\0', 'DOCUMENT_NOT_TEXT', 1],
    ['an address that cannot be read', 'gopher://example.org/plan', undefined, 'SOURCE_NOT_SUPPORTED', 1],
  ])('%s: %s has its code and exit code, as text and as JSON', async (_, source, content, code, exitCode) => {
    if (content !== undefined) writeFileSync(join(cwd, 'doc.md'), content)
    const text = await holdfast(['plan', source], { cwd })
    expect(text.code).toBe(exitCode)
    expect(text.stdout).toBe('')
    expect(text.stderr).toContain(code)
    const json = await holdfast(['plan', source, '-o', 'json'], { cwd })
    expect(json.code).toBe(exitCode)
    expect(envelopeIn(json).error).toMatchObject({ code, hint: expect.any(String) })
    if (!existsSync(join(cwd, '.holdfast'))) return
    for (const { id } of envelopeIn(await holdfast(['ls', '--all', '-o', 'json'], { cwd })).data.sessions) {
      const { stdout } = await holdfast(['history', id], { cwd })
      expect(stdout).toContain('start')
      expect(stdout).not.toContain('holdfast.attempt') // the same document is no better the second time
    }
  })

  test('a missing file makes nothing', async () => {
    await holdfast(['plan', 'nothing.md'], { cwd })
    expect(readdirSync(cwd)).toEqual(['doc.md'])
  })

  test('once the document is mended, --resume goes on with the session that failed, as its hint says', async () => {
    writeFileSync(join(cwd, 'doc.md'), '')
    const { error } = envelopeIn(await holdfast(['plan', 'doc.md', '-o', 'json'], { cwd }))
    const id = /; once that is mended, holdfast plan --resume ([0-9a-f-]{36}) goes on$/.exec(error.hint)?.[1]
    expect((await holdfast(['plan', '--resume'], { cwd })).stderr).toContain('EMPTY_DOCUMENT')
    writeFileSync(join(cwd, 'doc.md'), OUTLINE)
    const ended = await holdfast(['plan', '--resume', id as string, '-o', 'json'], { cwd })
    expect(ended.code).toBe(0)
    expect(envelopeIn(ended).data).toMatchObject({ sessionId: id, plan: { status: 'completed', errors: [] } })
    expect(issues()).toHaveLength(12)
  })

  test('a tracker that is damaged meanwhile: once it is mended, --resume makes what is missing and nothing twice', async () => {
    const tracker = join(cwd, '.holdfast', 'tracker.json')
    const running = start(['plan', 'doc.md', '--pace', '500', '-o', 'json'], { cwd })
    await running.said('of 12 issues')
    const whole = readFileSync(tracker, 'utf8')
    writeFileSync(tracker, whole.slice(0, 50))
    const { error } = envelopeIn(await running.ended)
    expect(error.code).toBe('TRACKER_CORRUPT')
    const still = envelopeIn(await holdfast(['plan', '--resume', '-o', 'json'], { cwd }))
    expect(still.error.code).toBe('TRACKER_CORRUPT')
    writeFileSync(tracker, whole)
    const made = issues()
    expect(made.length).toBeLessThan(12)
    const ended = await holdfast(['plan', 'doc.md', '--resume', '-o', 'json'], { cwd })
    expect(ended.code).toBe(0)
    expect(issues()).toHaveLength(12)
    expect(issues().slice(0, made.length)).toMatchObject(made.map(({ id, clientId }) => ({ id, clientId })))
    expect(new Set(issues().map(({ title }) => title)).size).toBe(12)
  })
})

describe('directories that cannot be used', () => {
  // Below a file, and not by permissions: those hold nobody back who is root.
  test('one that cannot be made: DIRECTORY_NOT_WRITABLE, exit 1', async () => {
    const ended = await holdfast(['plan', 'doc.md', '--dir', 'doc.md/data', '-o', 'json'], { cwd })
    expect(ended.code).toBe(1)
    expect(envelopeIn(ended).error.code).toBe('DIRECTORY_NOT_WRITABLE')
  })

  test('one of a newer format: FORMAT_NEWER, exit 1, and no byte of it changes', async () => {
    mkdirSync(join(cwd, '.holdfast'))
    writeFileSync(join(cwd, '.holdfast', 'holdfast.json'), '{"holdfast":99,"kinds":{}}')
    const ended = await holdfast(['plan', 'doc.md', '-o', 'json'], { cwd })
    expect(ended.code).toBe(1)
    expect(envelopeIn(ended).error).toMatchObject({ code: 'FORMAT_NEWER', retryable: false })
    expect(readdirSync(join(cwd, '.holdfast'))).toEqual(['holdfast.json'])
  })

  test('one whose disk fails meanwhile: READ_ONLY, exit 1, and --resume goes on from there', async () => {
    // No file may grow beyond 8 KiB: the journal fails in the middle of the plan.
    const limited = spawnSync(
      'bash',
      ['-c', `ulimit -f 8; exec "$0" "$1" plan doc.md -o json`, process.execPath, MAIN],
      {
        cwd,
        encoding: 'utf8',
      },
    )
    expect(limited.status).toBe(1)
    const { error } = envelopeIn({ code: 1, stdout: limited.stdout, stderr: limited.stderr })
    expect(error).toMatchObject({ code: 'READ_ONLY', retryable: true })
    const id = /--resume ([0-9a-f-]+)/.exec(error.hint)?.[1] as string
    expect((await holdfast(['plan', '--resume', id], { cwd })).code).toBe(0)
    expect(issues()).toHaveLength(12)
  })

  test('one whose journal is damaged: what is told and kept, and the others go on', async () => {
    const { data } = envelopeIn(await holdfast(['plan', 'doc.md', '-o', 'json'], { cwd }))
    const journal = join(cwd, '.holdfast', 'journal', '00000001.jsonl')
    const bytes = readFileSync(journal)
    bytes.fill('x', bytes.indexOf('"text":"') + 20, bytes.indexOf('"text":"') + 21)
    writeFileSync(journal, bytes)
    rmSync(join(cwd, '.holdfast', 'index.jsonl'))
    const next = await holdfast(['plan', 'doc.md', '-o', 'json'], { cwd })
    expect(next.code).toBe(0)
    expect(next.stderr).toMatch(/journal\/00000001\.jsonl is corrupt at offset \d+.*kept in quarantine\//)
    const lost = await holdfast(['plan', '--resume', data.sessionId, '-o', 'json'], { cwd })
    expect(lost.code).toBe(1)
    expect(envelopeIn(lost).error).toMatchObject({ code: 'JOURNAL_CORRUPT', hint: expect.any(String) })
  })

  test('one that another process has: DIRECTORY_LOCKED, exit 6, naming it; reading goes on', async () => {
    const first = start(['plan', 'doc.md', '--pace', '10000'], { cwd })
    await first.said('Creating issues')
    const text = await holdfast(['plan', 'doc.md', '--new'], { cwd })
    expect(text.code).toBe(6)
    expect(text.stderr).toMatch(new RegExp(`process ${first.child.pid}, since \\d{4}-\\d\\d-\\d\\dT`))
    const json = await holdfast(['plan', '--resume', '-o', 'json'], { cwd })
    expect(json.code).toBe(6)
    expect(envelopeIn(json).error).toMatchObject({ code: 'DIRECTORY_LOCKED', retryable: true })

    const { sessions } = envelopeIn(await holdfast(['ls', '-o', 'json'], { cwd })).data
    expect(sessions).toHaveLength(1)
    const shown = await holdfast(['show', sessions[0].id.slice(0, 20)], { cwd })
    expect(shown.code).toBe(0)
    expect(shown.stdout).toContain('Selling at the counter')
    expect(shown.stderr).toContain(`process ${first.child.pid}, which runs, opened .holdfast last`)
    first.child.kill('SIGINT')
    expect((await first.ended).code).toBe(130)
  })
})

describe('a hint that names a command names the directory with it, unless the shell would use that one anyway', () => {
  const NEXT = /holdfast [^;]*?(?= (?:shows|starts|makes|and|can|to|,|goes)\b)/g

  test.each([
    ['an id that is none', ['plan', '--resume', '../x'], 'ls --all'],
    ['a directory that is not there', ['ls'], 'plan <file>'],
    ['nothing to resume', ['plan', '--resume'], 'plan <file>'],
    ['no session of a document', ['plan', 'doc.md', '--resume'], 'plan doc.md'],
    ['no session of a document that follows --resume', ['plan', '--resume', 'doc.md'], 'plan doc.md'],
  ])('%s', async (_, args, next) => {
    const hint = async (more: string[], env = {}): Promise<string | undefined> =>
      envelopeIn(await holdfast([...args, ...more, '-o', 'json'], { cwd, env })).error.hint.match(NEXT)?.[0]
    expect(await hint([])).toBe(`holdfast ${next}`)
    expect(await hint(['--dir', 'else where'])).toBe(`holdfast ${next} --dir 'else where'`)
    expect(await hint([], { HOLDFAST_DIR: 'elsewhere' })).toBe(`holdfast ${next}`)
  })

  test('a plan that failed', async () => {
    writeFileSync(join(cwd, 'doc.md'), '')
    const { error } = envelopeIn(await holdfast(['plan', 'doc.md', '--dir', 'elsewhere', '-o', 'json'], { cwd }))
    expect(error.hint).toMatch(/^holdfast show [0-9a-f-]{36} --dir elsewhere shows how far it came/)
  })
})

describe('stopping and going on', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)('%s: closes in order, exit 130, says how to go on', async (signal) => {
    const running = start(['plan', 'doc.md', '--pace', '120'], { cwd })
    await running.said('Creating issues')
    running.child.kill(signal)
    const { code, stdout, stderr } = await running.ended
    expect(code).toBe(130)
    expect(stdout).toBe('')
    expect(stderr).toContain('stopping in order')
    const command = /^ {2}holdfast (plan --resume [0-9a-f-]+) goes on with it$/m.exec(stderr)?.[1]
    expect(command).toBeDefined()
    expect(existsSync(join(cwd, '.holdfast', 'index.jsonl'))).toBe(true) // written by an orderly close only
    const resumed = await holdfast((command as string).split(' '), { cwd })
    expect(resumed.code).toBe(0)
    expect(issues().map(({ id }) => id)).toEqual(Array.from({ length: 12 }, (_, index) => `LOCAL-${index + 1}`))
  })

  test('interrupted with -o json: the envelope of an error, whose hint goes on', async () => {
    const running = start(['plan', 'doc.md', '--pace', '1000', '-o', 'json', '--dir', "it's here"], { cwd })
    await running.said('Creating issues')
    running.child.kill('SIGINT')
    const ended = await running.ended
    expect(ended.code).toBe(130)
    const { error } = envelopeIn(ended)
    expect(error).toMatchObject({ code: 'INTERRUPTED', retryable: true })
    expect(error.hint).toContain(`--dir 'it'\\''s here'`)
  })

  test('--resume prints the same plan again, by the latest session, its id, its beginning or its document', async () => {
    const { data } = envelopeIn(await holdfast(['plan', 'doc.md', '-o', 'json'], { cwd }))
    const ways = [[], [data.sessionId], [data.sessionId.slice(0, 30)], ['doc.md'], [join(cwd, 'doc.md')]]
    for (const way of [...ways.map((way) => ['--resume', ...way]), ['doc.md', '--resume']]) {
      const ended = await holdfast(['plan', ...way, '-o', 'json'], { cwd })
      expect(ended.code).toBe(0)
      expect(envelopeIn(ended).data).toEqual(data)
    }
    expect(issues()).toHaveLength(12)
  })

  test('the plan of a finished session is there for whoever cannot have the directory', async () => {
    const { data } = envelopeIn(await holdfast(['plan', 'doc.md', '-o', 'json'], { cwd }))
    const other = start(['plan', 'doc.md', '--new', '--pace', '10000'], { cwd })
    await other.said('Creating issues')
    expect(envelopeIn(await holdfast(['plan', '--resume', data.sessionId, '-o', 'json'], { cwd })).data).toEqual(data)
    other.child.kill('SIGINT')
    await other.ended
  })

  test.each([
    ['nothing to resume', ['--resume'], 'SESSION_NOT_FOUND', 3],
    ['no session of that document', ['doc.md', '--resume'], 'SESSION_NOT_FOUND', 3],
    ['an unknown id', ['--resume', 'abc'], 'SESSION_NOT_FOUND', 3],
    ['what is no id', ['doc.md', '--resume', '../x'], 'INVALID_ID', 2],
  ])('%s, without a directory and with an empty one: %s', async (_, args, code, exitCode) => {
    for (const make of [false, true]) {
      if (make) mkdirSync(join(cwd, '.holdfast'))
      const ended = await holdfast(['plan', ...args, '-o', 'json'], { cwd })
      expect(ended.code).toBe(exitCode)
      expect(envelopeIn(ended).error).toMatchObject({ code, hint: expect.stringContaining('holdfast ') })
      expect(existsSync(join(cwd, '.holdfast'))).toBe(make)
    }
  })

  test('a document in the place of the id: the hint is the command that was meant, and it works', async () => {
    writeFileSync(join(cwd, 'outline'), OUTLINE)
    const { data } = envelopeIn(await holdfast(['plan', 'outline', '--dir', 'a b', '-o', 'json'], { cwd }))
    for (const args of [['outline'], ['outline', data.sessionId], ['./outline', data.sessionId]]) {
      const wrong = await holdfast(['plan', '--resume', ...args, '--dir', 'a b', '-o', 'json'], { cwd })
      expect(wrong.code).not.toBe(0)
      const [, meant] = /^the document goes before --resume: holdfast (.+)$/.exec(envelopeIn(wrong).error.hint) ?? []
      expect(meant).toMatch(/ --dir 'a b'$/)
      const right = spawnSync('bash', ['-c', `"$0" "$1" ${meant} -o json`, process.execPath, MAIN], {
        cwd,
        encoding: 'utf8',
      })
      expect(JSON.parse(right.stdout).data).toEqual(data)
    }
  })

  test('killed after a session was made and before it was started: --resume starts it', async () => {
    const dir = join(cwd, '.holdfast')
    {
      await using runtime = await openRuntime({ dir, kinds: [planning], pool: 'inline' })
      const input = { title: 'doc', source: 'doc.md', baseDir: cwd, trackerFile: join(dir, 'tracker.json') }
      await runtime.create(planning, input)
    }
    expect((await holdfast(['ls'], { cwd })).stdout).toContain('pending')
    expect((await holdfast(['plan', 'doc.md', '--resume'], { cwd })).code).toBe(0)
    expect(issues()).toHaveLength(12)
  })

  test('a session of another kind is no plan: KIND_MISMATCH, exit 6; and none that --resume alone would take', async () => {
    await using runtime = await openCounters(join(cwd, '.holdfast'))
    await count(runtime, 'apple', 1)
    const named = await holdfast(['plan', '--resume', 'apple', '-o', 'json'], { cwd })
    expect([named.code, envelopeIn(named).error.code]).toEqual([6, 'KIND_MISMATCH'])
    const any = await holdfast(['plan', '--resume', '-o', 'json'], { cwd })
    expect([any.code, envelopeIn(any).error.code]).toEqual([3, 'SESSION_NOT_FOUND'])
  })

  test('without an id, a session that cannot be read is passed over', async () => {
    const { data } = envelopeIn(await holdfast(['plan', 'doc.md', '-o', 'json'], { cwd }))
    await holdfast(['plan', 'doc.md', '--new'], { cwd })
    const journal = join(cwd, '.holdfast', 'journal', '00000001.jsonl')
    const bytes = readFileSync(journal)
    const last = bytes.lastIndexOf('"text":"') + 20
    bytes.fill('x', last, last + 1)
    writeFileSync(journal, bytes)
    rmSync(join(cwd, '.holdfast', 'index.jsonl'))
    rmSync(join(cwd, '.holdfast', 'sessions'), { recursive: true, force: true })
    const ended = await holdfast(['plan', '--resume', '-o', 'json'], { cwd })
    expect(ended.stderr).toContain('is corrupt at offset')
    expect(envelopeIn(ended).data).toEqual(data)
  })

  test('a session that somebody outside drives is not run by --resume', async () => {
    const dir = join(cwd, '.holdfast')
    let id: string
    {
      await using runtime = await openRuntime({ dir, kinds: [planning], pool: 'inline' })
      const session = await runtime.create(planning, { title: 'doc', source: 'doc.md', baseDir: cwd })
      await session.send({ type: 'setStatus', status: 'processing' })
      id = session.id
    }
    const ended = await holdfast(['plan', '--resume', id, '-o', 'json'], { cwd })
    expect(ended.code).toBe(6)
    expect(envelopeIn(ended).error.code).toBe('NOT_ACCEPTED')
  })

  test('an id that begins several sessions: AMBIGUOUS_ID, exit 2; a session of another document: exit 2', async () => {
    const { data } = envelopeIn(await holdfast(['plan', 'doc.md', '-o', 'json'], { cwd }))
    await holdfast(['plan', 'doc.md', '--new'], { cwd })
    const ambiguous = await holdfast(['plan', '--resume', data.sessionId.slice(0, 4), '-o', 'json'], { cwd })
    expect(ambiguous.code).toBe(2)
    expect(envelopeIn(ambiguous).error.code).toBe('AMBIGUOUS_ID')
    writeFileSync(join(cwd, 'other.md'), OUTLINE)
    const other = await holdfast(['plan', 'other.md', '--resume', data.sessionId, '-o', 'json'], { cwd })
    expect(other.code).toBe(2)
    expect(envelopeIn(other).error.code).toBe('INVALID_ARGUMENT')
  })

  test('what is refused leaves no directory behind', async () => {
    const refused = await holdfast(['plan', 'doc.md', '--tracker', 'linear', '-o', 'json'], {
      cwd,
      env: { LINEAR_TEAM_ID: '' },
    })
    expect([refused.code, envelopeIn(refused).error.code]).toEqual([2, 'INVALID_INPUT'])
    expect(existsSync(join(cwd, '.holdfast'))).toBe(false)
  })

  test('beside an unfinished session of the same document a new run is refused, but for --new', async () => {
    const running = start(['plan', 'doc.md', '--pace', '100'], { cwd })
    await running.said('Creating issues')
    running.child.kill('SIGKILL')
    await running.ended
    const [{ id }] = envelopeIn(await holdfast(['ls', '-o', 'json'], { cwd })).data.sessions
    const refused = await holdfast(['plan', join(cwd, 'doc.md'), '-o', 'json'], { cwd })
    expect(refused.code).toBe(6)
    const { code, hint } = envelopeIn(refused).error
    expect(code).toBe('PLAN_UNFINISHED')
    expect(hint).toContain(`holdfast plan --resume ${id} goes on with it`)
    expect(hint).toContain('--new')
    const again = await holdfast(['plan', 'doc.md', '--new', '-o', 'json'], { cwd })
    expect(again.code).toBe(0)
    expect(envelopeIn(again).data.sessionId).not.toBe(id)
    expect((await holdfast(['plan', '--resume', id], { cwd })).code).toBe(0)
    expect(issues()).toHaveLength(24)
    expect(new Set(issues().map(({ clientId }) => clientId)).size).toBe(24)
    expect(envelopeIn(await holdfast(['plan', 'doc.md', '-o', 'json'], { cwd })).error.code).toBe('PLAN_MADE') // nothing is unfinished any more
  })

  test('beside one that failed while its issues were made, too; not beside one that found none', async () => {
    const tracker = join(cwd, '.holdfast', 'tracker.json')
    mkdirSync(join(cwd, '.holdfast'))
    writeFileSync(tracker, 'damaged')
    expect((await holdfast(['plan', 'doc.md'], { cwd })).code).toBe(1)
    const refused = await holdfast(['plan', 'doc.md', '-o', 'json'], { cwd })
    expect([refused.code, envelopeIn(refused).error.code]).toEqual([6, 'PLAN_UNFINISHED'])
    rmSync(tracker)
    expect((await holdfast(['plan', '--resume'], { cwd })).code).toBe(0)
    writeFileSync(join(cwd, 'other.md'), '')
    expect((await holdfast(['plan', 'other.md'], { cwd })).code).toBe(1)
    writeFileSync(join(cwd, 'other.md'), OUTLINE)
    expect((await holdfast(['plan', 'other.md'], { cwd })).code).toBe(0)
  })

  test('without an id, an unfinished session goes before one that was finished later', async () => {
    const running = start(['plan', 'doc.md', '--pace', '1000'], { cwd })
    await running.said('Creating issues')
    running.child.kill('SIGKILL')
    await running.ended
    const [{ id }] = envelopeIn(await holdfast(['ls', '-o', 'json'], { cwd })).data.sessions
    expect((await holdfast(['plan', 'doc.md', '--new'], { cwd })).code).toBe(0)
    const resumed = start(['plan', '--resume'], { cwd })
    await resumed.said(`session ${id}, going on`)
    resumed.child.kill('SIGKILL')
    await resumed.ended
  })
})
