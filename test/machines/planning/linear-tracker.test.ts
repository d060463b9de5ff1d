// The tracker in Linear: the real SDK against a Linear on the loopback interface that remembers every call.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { estimateOn } from '../../../machines/planning/steps/linear/values.js'
import { openLinearTracker } from '../../../machines/planning/steps/linear-tracker.js'
import { uuidOf } from '../../../machines/planning/steps/uuid.js'
import type { NewIssue, Tracker } from '../../../machines/planning/tracker.js'
import { type Fault, KEY, LinearServer, TEAM } from './linear-server.js'

let linear: LinearServer
let url: string
beforeEach(async () => {
  linear = new LinearServer()
  url = await linear.listen()
})
afterEach(() => linear.close())

const open = (
  options: { timeoutMs?: number; signal?: AbortSignal; key?: string; teamId?: string } = {},
): Promise<Tracker> => {
  const { key = KEY, teamId = TEAM, ...rest } = options
  return openLinearTracker({ kind: 'linear', teamId }, { env: { LINEAR_API_KEY: key, LINEAR_API_URL: url }, ...rest })
}

const issue = (name: string, more: Partial<NewIssue> = {}): NewIssue => ({
  clientId: uuidOf(name),
  type: 'story',
  title: name,
  description: `About ${name}`,
  labels: [],
  ...more,
})

const once = (fault: Fault, field: string): void => {
  let left = 1
  linear.faultOf = (call) => (call.field === field && left-- > 0 ? fault : undefined)
}

describe('an issue', () => {
  test('is made under the id of the caller, with its title, text, labels, priority and estimate', async () => {
    const known = linear.addLabel('Mobile')
    const tracker = await open()
    const made = await tracker.create(issue('Pay', { labels: ['mobile', 'PCI'], priority: 'high', estimate: 5 }))
    expect(made.id).toBe(uuidOf('Pay'))
    const [stored] = linear.made
    expect(stored).toMatchObject({
      id: made.id,
      teamId: TEAM,
      title: 'Pay',
      description: 'About Pay',
      priority: 2,
      estimate: 5,
    })
    const names = stored?.labelIds.map((id) => linear.labels.get(id)?.name)
    expect(names).toEqual(['Story', 'Mobile', 'PCI'])
    expect(stored?.labelIds).toContain(known)
  })

  test('made again is there once, and stays as it is, whether the refusal comes with 400 or with 200', async () => {
    for (const status of [400, 200]) {
      linear.refusalStatus = status
      const name = `Pay ${status}`
      expect(await (await open()).create(issue(name))).toEqual(
        await (await open()).create(issue(name, { description: 'changed' })),
      )
      expect(linear.made.filter(({ title }) => title === name)).toMatchObject([{ description: `About ${name}` }])
    }
  })

  test('is found by its id when it is there', async () => {
    const tracker = await open()
    await tracker.create(issue('a'))
    const many = Array.from({ length: 250 }, (_, n) => uuidOf(`other ${n}`))
    expect([...(await tracker.find([uuidOf('a'), ...many])).entries()]).toEqual([[uuidOf('a'), uuidOf('a')]])
    expect(linear.callsTo('issues').map(({ variables }) => variables.ids.length)).toEqual([100, 100, 51])
  })

  test('that is refused and is not there fails, and says what Linear says', async () => {
    const tracker = await open()
    await expect(tracker.create(issue('x', { title: '  ' }))).rejects.toMatchObject({
      code: 'TRACKER_REFUSED',
      retry: false,
      message: expect.stringContaining('title must be'),
    })
  })

  test('with a title that is too long keeps all of it in the text', async () => {
    const title = 'word '.repeat(80).trim()
    await (await open()).create(issue('long', { title }))
    expect(linear.made[0]?.title).toHaveLength(250)
    expect(linear.made[0]?.description).toBe(`${title}\n\nAbout long`)
  })

  test.each([
    ['fibonacci', 4, 5, undefined],
    ['fibonacci', 20, 8, undefined],
    ['exponential', 3, 4, undefined],
    ['linear', 9, 5, undefined],
    ['tShirt', 2, 2, undefined],
    ['notUsed', 5, undefined, 'Story points: 5'],
  ] as const)('estimated on the scale %s, %d points are %s', async (issueEstimationType, points, estimate, note) => {
    linear.team = { ...linear.team, issueEstimationType }
    await (await open()).create(issue('x', { estimate: points }))
    expect(linear.made[0]?.estimate).toBe(estimate)
    const said = linear.made[0]?.description ?? ''
    expect(said.includes(`Story points: ${points}`)).toBe(points !== estimate)
    if (note) expect(said).toContain(note)
  })

  test('an extended scale, and one with zero, go further', () => {
    const team = { issueEstimationType: 'fibonacci', issueEstimationExtended: true, issueEstimationAllowZero: true }
    expect([0, 0.2, 13, 100].map((points) => estimateOn(team, points))).toEqual([0, 0, 13, 21])
  })

  test('a label of a group is left out; one that another made meanwhile is taken', async () => {
    linear.addLabel('Area', { isGroup: true })
    const tracker = await open()
    await tracker.create(issue('a'))
    const theirs = linear.addLabel('Late')
    await tracker.create(issue('b', { labels: ['area', 'late'] }))
    expect(linear.made[1]?.labelIds).toContain(theirs)
    expect(linear.made[1]?.labelIds).toHaveLength(2)
  })

  test('many at a time make each label once, and ask for the team once', async () => {
    const tracker = await open()
    await Promise.all(Array.from({ length: 20 }, (_, n) => tracker.create(issue(`i${n}`, { labels: ['one', 'two'] }))))
    expect([...linear.labels.values()].map(({ name }) => name).sort()).toEqual(['Story', 'one', 'two'])
    expect(linear.callsTo('team')).toHaveLength(1)
    expect(linear.callsTo('issueLabelCreate')).toHaveLength(3)
  })
})

describe('links', () => {
  test('put an issue under another, and one behind another, again and again with the same outcome', async () => {
    const tracker = await open()
    const [a, b] = [await tracker.create(issue('a')), await tracker.create(issue('b'))]
    for (let time = 0; time < 3; time++) {
      await tracker.link(b.id, a.id)
      await tracker.depend(b.id, a.id)
    }
    expect(linear.issues.get(b.id)?.parentId).toBe(a.id)
    expect([...linear.relations.values()]).toEqual([{ type: 'blocks', issueId: a.id, relatedIssueId: b.id }])
  })

  test.each([
    ['a circle', (tracker: Tracker, a: string, b: string) => tracker.link(a, b)],
    ['an issue that is not there', (tracker: Tracker, a: string) => tracker.link(uuidOf('nobody'), a)],
    ['a wait for what is not there', (tracker: Tracker, a: string) => tracker.depend(a, uuidOf('nobody'))],
  ])('%s is refused', async (_, call) => {
    const tracker = await open()
    const [a, b] = [await tracker.create(issue('a')), await tracker.create(issue('b'))]
    await tracker.link(b.id, a.id)
    await expect(call(tracker, a.id, b.id)).rejects.toMatchObject({ code: 'TRACKER_REFUSED', retry: false })
  })
})

describe('when something is wrong', () => {
  test('a wrong key is TRACKER_UNAUTHORIZED, and no message or detail holds it', async () => {
    const error = await (await open({ key: 'lin_api_wrong' })).create(issue('a')).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'TRACKER_UNAUTHORIZED', retry: false })
    expect(JSON.stringify([error, (error as Error).message])).not.toContain('lin_api_wrong')
  })

  test('a limit is TRACKER_RATE_LIMITED, with the time until its reset', async () => {
    once('rate limit', 'issueCreate')
    const error = await (await open()).create(issue('a')).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'TRACKER_RATE_LIMITED', retry: false })
    const { waitMs } = (error as { details: { waitMs: number } }).details
    expect(waitMs).toBeGreaterThan(60_000)
    expect(waitMs).toBeLessThanOrEqual(90_000)
    expect(linear.made).toEqual([])
  })

  test.each(['unavailable', 'cut off', 'lost answer', 'not json'] as const)(
    '%s may be tried again, and makes it once',
    async (fault) => {
      once(fault, 'issueCreate')
      const tracker = await open()
      const first = tracker.create(issue('a'))
      if (fault === 'not json') await expect(first).rejects.toMatchObject({ retry: true })
      else await expect(first).rejects.toMatchObject({ code: 'TRACKER_UNAVAILABLE', retry: true })
      await tracker.create(issue('a'))
      expect(linear.made).toHaveLength(1)
    },
  )

  test('silence ends with the time limit of the call', async () => {
    once('silence', 'issueCreate')
    await expect((await open({ timeoutMs: 300 })).create(issue('a'))).rejects.toMatchObject({
      code: 'TRACKER_UNAVAILABLE',
      message: expect.stringContaining('in time'),
    })
  })

  test('a step that is cancelled ends with its reason, and makes no further call', async () => {
    once('silence', 'issueCreate')
    const stop = new AbortController()
    const tracker = await open({ signal: stop.signal })
    const creating = tracker.create(issue('a'))
    const ended = expect(creating).rejects.toThrow('enough')
    while (linear.callsTo('issueCreate').length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    stop.abort(new Error('enough'))
    await ended
    const { length } = linear.calls
    await expect(tracker.create(issue('b'))).rejects.toThrow('enough')
    expect(linear.calls).toHaveLength(length)
  })

  test.each([
    ['no key', {}, TEAM, { code: 'TRACKER_NOT_CONFIGURED', details: { variable: 'LINEAR_API_KEY' } }],
    [
      'no team',
      { LINEAR_API_KEY: KEY },
      '',
      { code: 'TRACKER_NOT_CONFIGURED', details: { variable: 'LINEAR_TEAM_ID' } },
    ],
  ])('%s is named', async (_, env, teamId, error) => {
    await expect(openLinearTracker({ kind: 'linear', teamId }, { env })).rejects.toMatchObject(error)
  })

  test('a team that is not there is TRACKER_REFUSED', async () => {
    const tracker = await open({ teamId: 'NOPE' })
    await expect(tracker.create(issue('a'))).rejects.toMatchObject({ code: 'TRACKER_REFUSED' })
  })

  test('without the SDK the package to install is named', async () => {
    const load = () => Promise.reject(Object.assign(new Error('no'), { code: 'ERR_MODULE_NOT_FOUND' }))
    const opened = openLinearTracker({ kind: 'linear', teamId: TEAM }, { env: { LINEAR_API_KEY: KEY }, load })
    await expect(opened).rejects.toMatchObject({
      code: 'TRACKER_NOT_INSTALLED',
      retry: false,
      message: expect.stringContaining('npm install @linear/sdk'),
      details: { package: '@linear/sdk' },
    })
  })
})
