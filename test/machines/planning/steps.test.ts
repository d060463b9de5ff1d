// The five steps by themselves, in this thread: what they read, make and refuse, and that doing them again changes nothing.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import type { StepContext } from 'holdfast'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { PlanningDocument } from '../../../machines/planning/document.js'
import { parseMarkdown } from '../../../machines/planning/parse.js'
import { handed, received } from '../../../machines/planning/steps/handover.js'
import { clientIdOf, createAll, issueOf } from '../../../machines/planning/steps/issues.js'
import { openLocalTracker } from '../../../machines/planning/steps/local-tracker.js'
import { LARGEST_DOCUMENT_BYTES } from '../../../machines/planning/steps/source.js'
import { createIssues, extract, fetch, linkHierarchy, parse } from '../../../machines/planning/steps.js'
import type { NewIssue, Tracker, TrackerConfig } from '../../../machines/planning/tracker.js'
import { property } from '../../property.js'

const DOCUMENT = `# Checkout

## Epic: Payments

### Feature: Cards

#### Story: Pay by card (5 points)

As a buyer, I want to pay by card, so that I can buy.

Acceptance criteria:
- [ ] a valid card is charged
- [ ] an expired one is refused

#### Enabler: PCI scope

Type: infrastructure

### Story: Refund

Depends on: Pay by card
Priority: high
`

let dir: string
let tracker: TrackerConfig & { kind: 'local' }
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-planning-'))
  tracker = { kind: 'local', file: join(dir, 'tracker.json') }
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

interface Said {
  percent: number
  message: string | undefined
}

const contextOf = (
  idempotencyKey = 'session.step.1',
  signal = new AbortController().signal,
): StepContext & { said: Said[] } => {
  const said: Said[] = []
  const progress = (percent: number, message?: string): void => void said.push({ percent, message })
  return {
    signal,
    idempotencyKey,
    attempt: 1,
    secret: () => '',
    deadline: undefined,
    progress,
    emit() {},
    log() {},
    said,
  }
}

const put = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(dir, name), content)
  return name
}

const KEY = 's.extract.5'

const planOf = async (text: string): Promise<PlanningDocument> => {
  const { plan } = await extract({ document: await parse({ text, format: 'markdown' }, contextOf()) }, contextOf())
  return plan
}

describe('fetch', () => {
  const read = (source: string) => fetch({ source, baseDir: dir, allowHosts: [] }, contextOf())

  test('reads a file relative to the base directory', async () => {
    expect(await read(put('plan.md', 'Grüße'))).toEqual({
      text: 'Grüße',
      format: 'markdown',
      location: join(dir, 'plan.md'),
      bytes: 7,
    })
  })

  test('reads an absolute path and a file: URL', async () => {
    put('a plan.md', '# Plan')
    const path = join(dir, 'a plan.md')
    expect(await read(path)).toMatchObject({ text: '# Plan', location: path })
    expect(await read(pathToFileURL(path).href)).toMatchObject({ text: '# Plan', location: path })
  })

  test('a document of exactly the largest size is read', async () => {
    put('large.md', 'x')
    writeFileSync(join(dir, 'large.md'), 'x'.repeat(LARGEST_DOCUMENT_BYTES))
    expect((await read('large.md')).bytes).toBe(LARGEST_DOCUMENT_BYTES)
  })

  test.each([
    ['a missing file', 'FILE_NOT_FOUND', () => 'missing.md'],
    ['a path through a file', 'FILE_NOT_FOUND', () => `${put('plan.md', 'x')}/below.md`],
    ['an empty file', 'EMPTY_DOCUMENT', () => put('empty.md', '')],
    ['a file of blanks', 'EMPTY_DOCUMENT', () => put('blank.md', ' \n\t\n')],
    ['a directory', 'FILE_IS_DIRECTORY', () => '.'],
    ['a file that is not UTF-8', 'DOCUMENT_NOT_TEXT', () => put('latin1.md', Uint8Array.of(71, 114, 252, 223, 101))],
    ['a UTF-16 file', 'DOCUMENT_NOT_TEXT', () => put('utf16.md', Buffer.from('# Plan', 'utf16le'))],
    ['another scheme', 'SOURCE_NOT_SUPPORTED', () => 'ftp://files.example/plan.md'],
    ['a file: URL of another machine', 'SOURCE_NOT_SUPPORTED', () => 'file://elsewhere/plan.md'],
  ])('%s is refused with %s', async (_, code, source) => {
    await expect(read(source())).rejects.toMatchObject({ code, message: expect.stringMatching(/\w{3,}/) })
  })

  test('a file one byte too large is refused before it is read', async () => {
    put('large.md', 'x')
    truncateSync(join(dir, 'large.md'), LARGEST_DOCUMENT_BYTES + 1)
    await expect(read('large.md')).rejects.toMatchObject({
      code: 'DOCUMENT_TOO_LARGE',
      details: { bytes: LARGEST_DOCUMENT_BYTES + 1, limit: LARGEST_DOCUMENT_BYTES },
    })
  })

  test('a socket is refused, not waited for', async () => {
    const server = createServer().listen(join(dir, 'pipe'))
    await new Promise((resolve) => server.on('listening', resolve))
    await expect(read('pipe')).rejects.toMatchObject({ code: 'NOT_A_FILE' })
    server.close()
  })

  test('an error says where it looked, and when', async () => {
    const error = await read('missing.md').catch((error: unknown) => error)
    expect(error).toMatchObject({ details: { path: join(dir, 'missing.md') } })
    expect(Math.abs(Date.now() - Date.parse((error as { at: string }).at))).toBeLessThan(10_000)
  })

  test('an aborted read ends with the reason', async () => {
    put('plan.md', '# Plan')
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(fetch({ source: 'plan.md', baseDir: dir, allowHosts: [] }, contextOf('k', signal))).rejects.toThrow()
  })
})

describe('parse and extract', () => {
  test('give the plan of a document, through what travels between them', async () => {
    const plan = await planOf(DOCUMENT)
    expect(plan.epics.map(({ title }) => title)).toEqual(['Payments'])
    expect(plan.features).toMatchObject([{ title: 'Cards', parent: 'epic-1' }])
    expect(plan.stories).toMatchObject([
      { title: 'Pay by card', parent: 'feature-1', storyPoints: 5, asA: 'buyer' },
      { title: 'Refund', parent: 'epic-1', dependsOn: ['story-1'] },
    ])
    expect(plan.enablers).toMatchObject([{ title: 'PCI scope', enablerType: 'infrastructure' }])
  })

  test('say what they found', async () => {
    const [parsing, extracting] = [contextOf(), contextOf()]
    await extract({ document: await parse({ text: DOCUMENT, format: 'markdown' }, parsing) }, extracting)
    expect(parsing.said).toEqual([{ percent: 100, message: '6 sections' }])
    expect(extracting.said).toEqual([{ percent: 100, message: '5 items' }])
  })

  test('a document without an item is refused with NO_ITEMS_FOUND, and the time', async () => {
    const error = await planOf('# Notes\n\nNothing to plan.').catch((error: unknown) => error)
    expect(error).toMatchObject({ code: 'NO_ITEMS_FOUND', at: expect.stringMatching(/^\d{4}-/) })
  })

  const KINDS = [
    '# H',
    '## H *x*',
    'text',
    '**bold** text',
    '[a](#b)',
    '- item',
    '- [ ] box',
    '- [x] **box**',
    '  - in',
  ]
  const MORE = ['1. one', '> quote', '```\ncode\n```', '| a | b |\n|---|---|\n| 1 | **2** |', '', '---', 'two  \nlines']
  const lines = fc.array(fc.constantFrom(...KINDS, ...MORE), { minLength: 1, maxLength: 40 })

  property([lines])('what is handed over comes out as it went in', (parts) => {
    const parsed = parseMarkdown(`x\n${parts.join('\n')}`)
    expect(received(JSON.parse(JSON.stringify(handed(parsed))))).toEqual(parsed)
  })

  test('what is handed over is little more than the text, where the parsed document is several times that', () => {
    const text = Array.from({ length: 200 }, (_, n) => DOCUMENT.replaceAll('Pay', `Pay ${n}`)).join('\n')
    const parsed = parseMarkdown(text)
    expect(JSON.stringify(handed(parsed)).length).toBeLessThan(1.5 * text.length)
    expect(JSON.stringify(parsed).length).toBeGreaterThan(2 * text.length)
  })
})

describe('extract', () => {
  const titleIn = async (text: string) =>
    (await extract({ document: await parse({ text, format: 'markdown' }, contextOf()) }, contextOf())).title

  test.each([
    ['its first heading', '# The shop\n\n## Epic: Payments\n', 'The shop'],
    ['its front matter', '---\ntitle: The shop\n---\n\n## Epic: Payments\n', 'The shop'],
    ['no title when its first heading is an item', '# Epic: Payments\n\n## Epic: Refunds\n', undefined],
    ['no title when it has no heading', '- Epic: Payments\n- Epic: Refunds\n', undefined],
  ])('finds the title of a document: %s', async (_, text, title) => {
    expect(await titleIn(text)).toBe(title)
  })
})

describe('createIssues', () => {
  test('makes an issue of each item, and gives the ids by planning id', async () => {
    const { result, links } = await createIssues(
      { plan: await planOf(DOCUMENT), key: KEY, tracker, pace: null },
      contextOf(),
    )
    expect(result).toEqual({
      epics: { 'epic-1': 'LOCAL-1' },
      features: { 'feature-1': 'LOCAL-2' },
      stories: { 'story-1': 'LOCAL-3', 'story-2': 'LOCAL-4' },
      enablers: { 'enabler-1': 'LOCAL-5' },
    })
    expect(links).toEqual([
      { child: 'LOCAL-2', parent: 'LOCAL-1' },
      { child: 'LOCAL-3', parent: 'LOCAL-2' },
      { child: 'LOCAL-4', parent: 'LOCAL-1' },
      { child: 'LOCAL-5', parent: 'LOCAL-2' },
      { waiting: 'LOCAL-4', on: 'LOCAL-3' },
    ])
  })

  test('run again with the same key it makes none, and gives the same ids', async () => {
    const input = { plan: await planOf(DOCUMENT), key: KEY, tracker, pace: null }
    const first = await createIssues(input, contextOf('s.createIssues.7'))
    expect(await createIssues(input, contextOf('s.createIssues.11'))).toEqual(first)
    expect(await openLocalTracker(tracker.file).list()).toHaveLength(5)
  })

  test('run with another key it makes issues of its own', async () => {
    const input = { plan: await planOf(DOCUMENT), key: KEY, tracker, pace: null }
    await createIssues(input, contextOf())
    await createIssues({ ...input, key: 's.extract.11' }, contextOf())
    expect(await openLocalTracker(tracker.file).list()).toHaveLength(10)
  })

  test('cut off anywhere and run again, it makes each issue once', async () => {
    const plan = await planOf(DOCUMENT)
    for (let cut = 0; cut <= 5; cut++) {
      const key = `s.extract.${cut}`
      const before = (await openLocalTracker(tracker.file).list()).length
      const stop = new AbortController()
      const context = contextOf(undefined, stop.signal)
      if (cut === 0) stop.abort(new Error('cut'))
      context.progress = () => {
        if (++done === cut) stop.abort(new Error('cut'))
      }
      let done = 0
      await expect(createIssues({ plan, key, tracker, pace: { delayMs: 0 } }, context)).rejects.toThrow()
      expect(await openLocalTracker(tracker.file).list()).toHaveLength(before + cut)
      await createIssues({ plan, key, tracker, pace: null }, contextOf())
      expect(await openLocalTracker(tracker.file).list()).toHaveLength(before + 5)
    }
  })

  test('tells of every issue as it is made', async () => {
    const context = contextOf()
    await createIssues({ plan: await planOf(DOCUMENT), key: KEY, tracker, pace: null }, context)
    expect(context.said).toEqual(
      [1, 2, 3, 4, 5].map((count) => ({ percent: 20 * count, message: `${count} of 5 issues` })),
    )
  })

  test('with a pace it makes them one at a time, with a pause after each', async () => {
    const start = Date.now()
    await createIssues({ plan: await planOf(DOCUMENT), key: KEY, tracker, pace: { delayMs: 30 } }, contextOf())
    expect(Date.now() - start).toBeGreaterThanOrEqual(5 * 25)
  })

  test('a thousand issues share the writing of the file', async () => {
    const stories = Array.from({ length: 1000 }, (_, n) => `### Story: Number ${n}`).join('\n')
    let written = 0
    const local = openLocalTracker(tracker.file, { reached: (stage) => void (stage === 'renamed' && written++) })
    const { result } = await createAll(await planOf(`## Epic: Many\n${stories}`), KEY, local, null, contextOf())
    expect(new Set(Object.values(result.stories)).size).toBe(1000)
    expect(written).toBeLessThan(20)
  })

  test('after a failure it begins no more, and waits for what is under way', async () => {
    const begun: string[] = []
    let open = 0
    const failing: Tracker = {
      parallel: 2,
      async create({ title }) {
        begun.push(title)
        open++
        await new Promise((resolve) => setTimeout(resolve, title === 'Payments' ? 1 : 20))
        open--
        if (title === 'Payments') throw new Error('the tracker is away')
        return { id: title }
      },
      link: () => Promise.resolve(),
      depend: () => Promise.resolve(),
      find: () => Promise.resolve(new Map()),
    }
    await expect(createAll(await planOf(DOCUMENT), KEY, failing, null, contextOf())).rejects.toThrow('is away')
    expect([begun, open]).toEqual([['Payments', 'Cards'], 0])
  })

  test('a tracker that this version has not is refused with TRACKER_NOT_SUPPORTED', async () => {
    const unknown = { kind: 'elsewhere' } as unknown as TrackerConfig
    const input = { plan: await planOf(DOCUMENT), key: KEY, tracker: unknown, pace: null }
    await expect(createIssues(input, contextOf())).rejects.toMatchObject({ code: 'TRACKER_NOT_SUPPORTED' })
  })
})

describe('an issue', () => {
  test('has what a tracker has fields for, and the rest in its text', async () => {
    const plan = await planOf(DOCUMENT)
    const titles = new Map([['story-1', 'Pay by card']])
    const [story, refund] = plan.stories as [(typeof plan.stories)[0], (typeof plan.stories)[0]]
    expect(issueOf('story', story, 'c1', titles)).toEqual({
      clientId: 'c1',
      type: 'story',
      title: 'Pay by card',
      description: [
        'As a buyer, I want to pay by card, so that I can buy.',
        '## Acceptance criteria',
        '- [ ] a valid card is charged\n- [ ] an expired one is refused',
      ].join('\n\n'),
      labels: [],
      estimate: 5,
    } satisfies NewIssue)
    expect(issueOf('story', refund, 'c2', titles)).toMatchObject({
      description: '## Depends on\n\n- Pay by card',
      priority: 'high',
    })
  })

  test('keeps what the document calls it, and that its box is checked there', async () => {
    const { stories } = await planOf(
      [
        ...[
          '# Epic: Checkout',
          '- [x] US-101: Pay by card',
          '- [ ] US-102: Refund',
          '',
          '### Story: Receipt',
          'ID: ACC-7',
        ],
        ...['', '## User stories', '', '| ID | Story |', '| --- | --- |', '| US-9 | Gift cards |'],
      ].join('\n'),
    )
    expect(stories.map(({ title, key, checked }) => [title, key, checked])).toEqual([
      ['Pay by card', 'US-101', true],
      ['Refund', 'US-102', undefined],
      ['Receipt', 'ACC-7', undefined],
      ['Gift cards', 'US-9', undefined],
    ])
    const descriptions = stories.map((story) => issueOf('story', story, 'c', new Map()).description)
    expect(descriptions.slice(0, 2)).toEqual([
      'Key in the document: US-101\n\nChecked off in the document',
      'Key in the document: US-102',
    ])
  })

  test('is known by a UUID made of the key and the planning id', () => {
    const id = clientIdOf('s.extract.5', 'story-1')
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(clientIdOf('s.extract.5', 'story-1')).toBe(id)
    const others = [clientIdOf('s.extract.6', 'story-1'), clientIdOf('s.extract.5', 'story-2')]
    expect(new Set([id, ...others]).size).toBe(3)
  })
})

describe('linkHierarchy', () => {
  test('puts each issue under its parent, again and again with the same outcome', async () => {
    const { links } = await createIssues({ plan: await planOf(DOCUMENT), key: KEY, tracker, pace: null }, contextOf())
    const context = contextOf()
    expect(await linkHierarchy({ links, linked: 0, tracker, pace: null }, context)).toEqual({ linked: 5 })
    expect(context.said.at(-1)).toEqual({ percent: 100, message: '5 of 5 links' })
    const before = readFileSync(tracker.file, 'utf8')
    await linkHierarchy({ links, linked: 0, tracker, pace: null }, contextOf())
    expect(readFileSync(tracker.file, 'utf8')).toBe(before)
    const issues = await openLocalTracker(tracker.file).list()
    expect(issues.map(({ id, parentId }) => [id, parentId])).toEqual([
      ['LOCAL-1', undefined],
      ['LOCAL-2', 'LOCAL-1'],
      ['LOCAL-3', 'LOCAL-2'],
      ['LOCAL-4', 'LOCAL-1'],
      ['LOCAL-5', 'LOCAL-2'],
    ])
    expect(issues.flatMap(({ id, dependsOn }) => (dependsOn ? [[id, dependsOn]] : []))).toEqual([
      ['LOCAL-4', ['LOCAL-3']],
    ])
  })

  test('nothing to link is nothing to do: the tracker is not even opened', async () => {
    mkdirSync(tracker.file)
    expect(await linkHierarchy({ links: [], linked: 0, tracker, pace: null }, contextOf())).toEqual({ linked: 0 })
  })

  test('an issue that somebody removed is named', async () => {
    const links = [{ child: 'LOCAL-9', parent: 'LOCAL-1' }]
    await expect(linkHierarchy({ links, linked: 0, tracker, pace: null }, contextOf())).rejects.toMatchObject({
      code: 'UNKNOWN_ISSUE',
      details: { id: 'LOCAL-9' },
    })
  })
})
