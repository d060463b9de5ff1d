// Who may do what: every route of the table × everybody who might call it. The expectations follow from what a route
// declares; a route that has no good request below fails, so a new one is declared here before it can land.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRuntime, type Runtime } from 'holdfast'
import { createHttp, type Route } from 'holdfast/http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ROUTES } from '../../src/http/routes.js'
import { type Ask, asking, PRINCIPALS, review, served } from './served.js'

/** A request of each route that succeeds for who may make it; `:id` is a session of team red. */
const BACKUP = 'holdfast-2026-01-01T00-00-00-000Z.backup'

const GOOD: {
  readonly [name: string]: { path?: object; query?: string; body?: unknown; status?: number; fails?: string }
} = {
  'session.create': { body: { kind: 'review', input: { title: 'A' } } },
  'session.list': {
    query:
      '?kind=review&status=active&tag=waiting&state=open&since=2020-01-01T00:00:00Z&limit=5&origin=x&quarantined=true&deadLetters=true&where=%7B%22title%22:%22A%22%7D',
  },
  'session.show': {},
  'session.send': { body: { type: 'open' } },
  'session.cancel': { body: { reason: 'no longer needed' } },
  'session.delete': {},
  'session.history': { query: '?from=1&limit=10' },
  'session.at': { path: { seq: 1 } },
  'session.diff': { query: '?from=1&to=1' },
  'session.fork': { body: { at: 1 } },
  'session.release': {},
  'session.letters': {},
  'session.entry': {},
  'session.state': { query: '?at=1' },
  'session.can': { body: { type: 'open' } },
  'session.stream': { query: '?after=0' },
  'session.ticket': {},
  'stream.all': { query: '?after=0' },
  'stream.ticket': {},
  'kind.list': {},
  'kind.show': { path: { name: 'review' } },
  'letter.list': {},
  'letter.resend': { path: { letter: 7 }, fails: 'DEAD_LETTER_NOT_FOUND' },
  'letter.discard': { path: { letter: 7 }, fails: 'DEAD_LETTER_NOT_FOUND' },
  'quarantine.list': {},
  'approvals.list': { query: '?kind=review&limit=5' },
  metrics: {},
  prune: { body: { olderThanMs: 1e12, dryRun: true } },
  backup: {},
  'backup.read': { path: { file: BACKUP } },
  doctor: {},
  health: {},
  ready: {},
  openapi: {},
}

let home: string
let runtime: Runtime
let ask: Ask
let askReadOnly: Ask

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'holdfast-access-'))
  runtime = await openRuntime({ dir: join(home, 'data'), pool: 'inline', kinds: [review] })
  const options = {
    principals: PRINCIPALS,
    place: { dir: join(home, 'data') },
    backups: home,
    ticketSecret: 'x'.repeat(43),
  }
  writeFileSync(join(home, BACKUP), 'what it holds')
  ask = asking(createHttp(runtime, options).fetch, 'http://127.0.0.1')
  askReadOnly = asking(createHttp(runtime, { ...options, readOnly: true }).fetch, 'http://127.0.0.1')
})
afterAll(async () => {
  await runtime.close()
  rmSync(home, { recursive: true, force: true })
})

/** A session of team red, of organization acme. */
const sessionOfRed = async (): Promise<string> => {
  const owner = { principal: 'red', organization: 'acme', team: 'red' }
  return (await runtime.create(review, { title: 'A' }, { owner })).id
}

async function try_(route: Route, as: string, how: Ask = ask): Promise<{ status: number; code?: string }> {
  const { path = {}, query = '', body } = GOOD[route.name] ?? {}
  const values: Record<string, unknown> = { id: await sessionOfRed(), ...path }
  const filled = route.path.replaceAll(/:(\w+)/g, (_, name: string) => String(values[name]))
  const { status, body: told } = await how(route.method, filled + query, { as, body })
  return { status, ...(status >= 400 && { code: told.code }) }
}

test('every route has a good request, and every good request a route', () => {
  expect(Object.keys(GOOD).sort()).toEqual(ROUTES.map(({ name }) => name).sort())
})

describe.each(ROUTES.map((route) => [`${route.method} ${route.path}`, route] as const))('%s', (_, route) => {
  const { fails } = GOOD[route.name] ?? {}
  const good = fails === undefined ? { status: Number(Object.keys(route.answers)[0]) } : { status: 404, code: fails }
  const open = route.access === 'public'
  const denied = { status: 403, code: 'NOT_ALLOWED' }

  test('succeeds for who may', async () => {
    expect(await try_(route, 'root')).toEqual(good)
    expect(await try_(route, 'red')).toEqual(route.concerns === 'instance' ? denied : good)
  })

  test.each(['', 'nobody-we-know'])('needs a token that is known: not %j', async (as) => {
    expect(await try_(route, as)).toEqual(open ? good : { status: 401, code: 'TOKEN_REQUIRED' })
  })

  test('is refused to another team of the organization, if it is about a session', async () => {
    const expected = { session: denied, instance: denied, sessions: good, nothing: good }
    expect(await try_(route, 'blue')).toEqual(expected[route.concerns])
  })

  test('is not there for another organization, if it is about a session', async () => {
    const absent = { status: 404, code: 'SESSION_NOT_FOUND' }
    const expected = { session: absent, instance: denied, sessions: good, nothing: good }
    expect(await try_(route, 'other')).toEqual(expected[route.concerns])
  })

  test('is refused to a reader, if it needs more than reading', async () => {
    expect(await try_(route, 'reader')).toEqual(open || route.access === 'read' ? good : denied)
  })

  test('is refused in read-only mode, if it changes something', async () => {
    expect(await try_(route, 'root', askReadOnly)).toEqual(route.mutates ? denied : good)
  })
})

describe('what is listed', () => {
  test('is of the caller’s organization and teams, page by page, and of all for who belongs to none', async () => {
    const { runtime, ask } = await served()
    const owners = [
      ...[{ organization: 'acme', team: 'red' }, { organization: 'acme', team: 'blue' }, { organization: 'acme' }],
      ...[{ organization: 'umbrella', team: 'red' }, {}],
    ]
    for (let n = 0; n < 50; n++) {
      const owner = owners[n % owners.length] as object
      await runtime.create(review, { title: JSON.stringify(owner) }, { owner })
    }
    const seenBy = async (as: string): Promise<object> => {
      const titles: Record<string, number> = {}
      for (let cursor = ''; ; ) {
        const { body } = await ask('GET', `/v1/sessions?limit=7${cursor}`, { as })
        for (const { attributes } of body.sessions) titles[attributes.title] = (titles[attributes.title] ?? 0) + 1
        if (body.cursor === undefined) return titles
        cursor = `&cursor=${body.cursor}`
      }
    }
    const [red, blue, acme, umbrella, none] = owners.map((owner) => JSON.stringify(owner)) as string[]
    expect(await seenBy('root')).toEqual({ [red!]: 10, [blue!]: 10, [acme!]: 10, [umbrella!]: 10, [none!]: 10 })
    expect(await seenBy('red')).toEqual({ [red!]: 10, [acme!]: 10 })
    expect(await seenBy('blue')).toEqual({ [blue!]: 10, [acme!]: 10 })
    expect(await seenBy('other')).toEqual({ [umbrella!]: 10 })
    const asking = async (as: string): Promise<number> =>
      (await ask('GET', '/v1/sessions?organization=umbrella', { as })).body.sessions.length
    expect([await asking('root'), await asking('other'), await asking('red')]).toEqual([10, 10, 0])
    await runtime.close()
  })

  test('a prefix that only sessions of others share tells nothing of them', async () => {
    const { runtime, ask } = await served()
    for (const [id, organization] of [
      ['ab1', 'acme'],
      ['ab2', 'umbrella'],
      ['ab3', 'umbrella'],
    ] as const) {
      await runtime.create(review, { title: id }, { id, owner: { organization } })
    }
    expect((await ask('GET', '/v1/sessions/ab', { as: 'red' })).body).toMatchObject({ id: 'ab1' })
    expect((await ask('GET', '/v1/sessions/ab', { as: 'other' })).body.details.ids).toEqual(['ab2', 'ab3'])
    expect((await ask('GET', '/v1/sessions/ab', { as: 'root' })).body.code).toBe('AMBIGUOUS_ID')
    expect((await ask('GET', '/v1/sessions/ab2', { as: 'red' })).body.code).toBe('SESSION_NOT_FOUND')
    await runtime.close()
  })
})

describe('whose a session is', () => {
  test('is who created it, its organization and its first team; a fork is of the same, whoever made it', async () => {
    const { runtime, ask } = await served()
    const { body } = await ask('POST', '/v1/sessions', { as: 'red', body: { kind: 'review', input: { title: 'A' } } })
    const owner = { principal: 'red', organization: 'acme', team: 'red' }
    expect(runtime.session(body.id).entry().owner).toEqual(owner)
    const { body: fork } = await ask('POST', `/v1/sessions/${body.id}/fork`, { as: 'root' })
    expect(runtime.session(fork.id).entry()).toMatchObject({ owner, origin: { session: body.id } })
    await runtime.close()
  })

  test('a team that the caller is not of is refused', async () => {
    const { runtime, ask } = await served()
    const body = { kind: 'review', input: { title: 'A' }, team: 'blue' }
    expect((await ask('POST', '/v1/sessions', { as: 'red', body })).body.code).toBe('NOT_ALLOWED')
    expect((await ask('POST', '/v1/sessions', { as: 'root', body })).body.code).toBe('NOT_ALLOWED')
    expect((await ask('POST', '/v1/sessions', { as: 'blue', body })).status).toBe(201)
    await runtime.close()
  })

  test('an id that is taken is refused in the same words, whosever the session is', async () => {
    const { runtime, ask } = await served()
    const create = (as: string, id: string) =>
      ask('POST', '/v1/sessions', { as, body: { kind: 'review', input: { title: as }, id } })
    const { id: own } = (
      await ask('POST', '/v1/sessions', { as: 'other', body: { kind: 'review', input: { title: 'A' } } })
    ).body
    const refusals: unknown[] = []
    for (const [n, as] of (['red', 'blue', 'other', 'root'] as const).entries()) {
      const id = `taken-${n}`
      expect((await create(as, id)).status).toBe(201)
      const again = await create('other', id)
      expect(again.status).toBe(409)
      const forked = await ask('POST', `/v1/sessions/${own}/fork`, { as: 'other', body: { id } })
      expect(forked.body).toEqual(again.body)
      refusals.push(JSON.parse(JSON.stringify(again.body).replaceAll(id, 'taken')))
    }
    for (const refusal of refusals) expect(refusal).toEqual(refusals[0])
    expect(refusals[0]).toMatchObject({ code: 'SESSION_EXISTS' })
    expect(Object.keys(refusals[0] as object).sort()).toEqual(
      ['type', 'title', 'status', 'detail', 'code', 'retryable'].sort(),
    )
    await runtime.close()
  })

  test('one idempotency key of two organizations is two, and none gives a session of another team', async () => {
    const { runtime, ask } = await served()
    const create = async (as: string): Promise<{ id?: string; code?: string }> => {
      const body = { kind: 'review', input: { title: 'A' } }
      return (await ask('POST', '/v1/sessions', { as, body, headers: { 'idempotency-key': 'k' } })).body
    }
    const [mine, again, theirs] = [await create('red'), await create('red'), await create('other')]
    expect(again.id).toBe(mine.id)
    expect(theirs.id).not.toBe(mine.id)
    expect(await create('blue')).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' })
    await runtime.close()
  })
})
