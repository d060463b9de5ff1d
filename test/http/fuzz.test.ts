// Requests that nobody would send, made from the server's own OpenAPI document: right ones, nearly right ones and hostile
// ones, by callers of every sort, many at a time, on files. None may be answered with a 5xx, change a prototype or touch a
// file outside of the data directory; and what is answered is what the document says.
//   HOLDFAST_FUZZ=1000000 HOLDFAST_SEED=7 npx vitest run test/http/fuzz.test.ts
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve, sep } from 'node:path'
import { openRuntime, type Runtime } from 'holdfast'
import { createHttp, type Http } from 'holdfast/http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { OpenApi, Operation, Schema } from '../../src/http/openapi.js'
import { createSeededChance } from '../../src/testing/chance.js'
import { PRINCIPALS, review, tokenOf } from './served.js'

const COUNT = Number(process.env.HOLDFAST_FUZZ ?? 50_000)
const SEED = Number(process.env.HOLDFAST_SEED ?? 1)
const AT_ONCE = 64

const { random } = createSeededChance(SEED)
const below = (n: number): number => Math.floor(random() * n)
const oneOf = <T>(items: readonly T[]): T => items[below(items.length)] as T
const often = (chance: number): boolean => random() < chance

/** Texts that have led others astray: out of a folder, into a prototype, past a check, through a parser. */
const HOSTILE: readonly string[] = [
  ...[
    '..',
    '../..',
    '../../../../etc/passwd',
    '..\\..\\windows',
    '....//....//etc/passwd',
    '/etc/passwd',
    'file:///etc/passwd',
  ],
  ...[
    '%2e%2e%2f%2e%2e%2fetc%2fpasswd',
    '..%2f..%2f',
    '%252e%252e%252f',
    '..%c0%af..%c0%af',
    '%00',
    'a%00b',
    '%',
    '%zz',
    '%ff',
  ],
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '__proto__[x]', 'constructor.prototype.x'],
  ...[
    '',
    ' ',
    '0',
    '-1',
    '1e309',
    'NaN',
    'null',
    'true',
    '[]',
    '{}',
    "' or 1=1 --",
    '<script>',
    '${7*7}',
    '\u202e',
    '\ud800',
  ],
  ...[
    'a'.repeat(65),
    'a'.repeat(5000),
    '9'.repeat(40),
    'xstate.stop',
    'xstate.init',
    'holdfast.migrate',
    '*',
    'xstate.done.actor.x',
  ],
]

const DEEP: readonly string[] = [
  '['.repeat(10_000),
  `${'['.repeat(10_000)}${']'.repeat(10_000)}`,
  '{"a":'.repeat(10_000),
]
const BROKEN: readonly string[] = [
  ...DEEP,
  '',
  '{',
  'null',
  '"',
  '\u0000',
  '{"type":"note"',
  '[1,]',
  `{"type":"note","type":"open"}`,
]

let home: string
let runtime: Runtime
let http: Http
let document: OpenApi
let operations: readonly { readonly path: string; readonly method: string; readonly operation: Operation }[]
let frequent: typeof operations
const ids: string[] = ['gone']

beforeAll(async () => {
  home = fs.mkdtempSync(join(tmpdir(), 'holdfast-fuzz-'))
  runtime = await openRuntime({ dir: home, pool: 'inline', kinds: [review], logger: quiet })
  const limits = { requestsPerSecond: 1e9, burst: 1e9 }
  const places = { place: { dir: home }, backups: join(home, 'quarantine') }
  fs.mkdirSync(places.backups)
  http = createHttp(runtime, { principals: PRINCIPALS, limits, logger: quiet, ...places })
  const response = await http.fetch(
    new Request('http://127.0.0.1/openapi.json', { headers: { authorization: `Bearer ${tokenOf('root')}` } }),
  )
  document = (await response.json()) as OpenApi
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  frequent = operations.filter(({ operation: { operationId } }) =>
    ['session.create', 'session.send'].includes(operationId),
  )
})
afterAll(async () => {
  await runtime.close()
  fs.rmSync(home, { recursive: true, force: true })
})

const unexpected: unknown[] = []
const quiet = { info: () => {}, warn: () => {}, error: (fields: object) => void unexpected.push(fields) }

/** A value of a schema, or one that is nearly of it. */
function valueFor(schema: Schema, depth = 0): unknown {
  if (often(0.08) || depth > 6)
    return oneOf<unknown>([...HOSTILE, null, -1, 1e308, true, [], {}, { type: 'open' }, ['x']])
  const {
    type,
    enum: values,
    const: only,
    anyOf,
    oneOf: either,
    properties = {},
    items,
    required = [],
  } = schema as {
    readonly type?: string
    readonly enum?: readonly unknown[]
    readonly const?: unknown
    readonly anyOf?: readonly Schema[]
    readonly oneOf?: readonly Schema[]
    readonly properties?: { readonly [name: string]: Schema }
    readonly items?: Schema
    readonly required?: readonly string[]
  }
  const choices = anyOf ?? either
  if (choices) return valueFor(oneOf(choices), depth + 1)
  if (only !== undefined) return only
  if (values) return oneOf(values)
  switch (type) {
    case 'object': {
      const made = Object.entries(properties)
        .filter(([name]) => required.includes(name) || name === 'input' || often(0.5))
        .map(([name, inner]): [string, unknown] => [name, knownAs(name, inner, depth)])
      if (often(0.1)) made.push([oneOf(HOSTILE), oneOf(HOSTILE)])
      return Object.fromEntries(made)
    }
    case 'array':
      return Array.from({ length: below(4) }, () => valueFor(items ?? {}, depth + 1))
    case 'integer':
    case 'number':
      return oneOf([0, 1, 2, 3, 10, -1, 1.5, 2 ** 53, 1e12])
    case 'boolean':
      return often(0.5)
    case 'string':
      return oneOf([...ids.slice(-3), 'a', 'review', '2026-01-01T00:00:00Z', oneOf(HOSTILE)])
    default:
      return oneOf<unknown>([{ title: 'A' }, { type: 'open' }, { type: 'note', text: oneOf(HOSTILE) }, null, 'x', 1])
  }
}

/** What the document cannot tell: which kinds, events and sessions there are. */
function knownAs(name: string, schema: Schema, depth: number): unknown {
  if (name === 'kind' && often(0.9)) return 'review'
  if (name === 'type' && often(0.7)) return oneOf(['open', 'approve', 'reject', 'note', 'xstate.stop', '__proto__'])
  if (name === 'input' && often(0.9)) return { title: oneOf(['A', 'B', oneOf(HOSTILE)]) }
  if ((name === 'id' || name === 'team') && often(0.8)) return undefined
  if (name === 'olderThanMs' && often(0.7)) return 1e15
  return valueFor(schema, depth + 1)
}

function bodyOf({ requestBody }: Operation): string | undefined {
  if (!requestBody || often(0.05)) return often(0.05) ? oneOf(BROKEN) : undefined
  if (often(0.1)) return oneOf(BROKEN)
  const text = JSON.stringify(valueFor(requestBody.content['application/json']?.schema ?? {})) ?? ''
  return often(0.03)
    ? text.replace('{', '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},')
    : text
}

/** Half of a surrogate pair has no encoding: it becomes what a client would make of it. */
const encoded = (text: string): string => encodeURIComponent(Buffer.from(text).toString())

function pathOf(path: string, { parameters }: Operation): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    if (often(0.15)) return often(0.5) ? oneOf(HOSTILE) : encoded(oneOf(HOSTILE))
    if (name === 'id') return oneOf(ids)
    return name === 'name' ? 'review' : oneOf(['1', '2', '3'])
  })
  const query = parameters
    .filter((parameter) => parameter.in === 'query' && (parameter.required || often(0.3)))
    .map(({ name, schema }) => `${name}=${encoded(String(valueFor(schema)))}`)
  if (often(0.03)) query.push(`${oneOf(HOSTILE)}=${oneOf(HOSTILE)}`)
  return query.length > 0 ? `${filled}?${query.join('&')}` : filled
}

/** Those that read or write everything there is. */
const isRare = ({ operationId }: Operation): boolean => ['doctor', 'backup'].includes(operationId)

function requestOf(): { readonly operation: Operation; readonly request: Request } | undefined {
  const { path, method, operation } = often(0.2) ? oneOf(frequent) : oneOf(operations)
  if (isRare(operation) && !often(0.01)) return undefined
  if (operation.operationId === 'session.delete' && !often(0.3)) return undefined
  const headers = new Headers()
  const as = oneOf(['root', 'root', 'red', 'red', 'other', 'reader', ''])
  if (as !== '') headers.set('authorization', `Bearer ${tokenOf(as)}`)
  const body = method === 'get' ? undefined : bodyOf(operation)
  if (body !== undefined && often(0.97)) headers.set('content-type', 'application/json')
  try {
    if (often(0.1)) headers.set('idempotency-key', oneOf(HOSTILE))
    const target = `http://127.0.0.1${pathOf(path, operation)}`
    const request = new Request(target, {
      method: often(0.02) ? 'PATCH' : method,
      headers,
      ...(body !== undefined && { body }),
    })
    return { operation, request }
  } catch {
    return undefined // no client could send it
  }
}

/** Every path that the file system is asked for, while this lives. */
function watchFiles(): { readonly inside: Set<string>; readonly outside: Set<string>; readonly stop: () => void } {
  const [inside, outside] = [new Set<string>(), new Set<string>()]
  const names = [
    'openSync',
    'open',
    'readFileSync',
    'readFile',
    'writeFileSync',
    'writeFile',
    'mkdirSync',
    'mkdir',
    'renameSync',
    'rename',
    'unlinkSync',
    'unlink',
    'rmSync',
    'rm',
    'readdirSync',
    'createReadStream',
    'createWriteStream',
  ] as const
  const real = fs as unknown as Record<string, unknown>
  const kept = names.map((name) => [name, real[name]] as const)
  for (const [name, original] of kept) {
    real[name] = (...args: unknown[]): unknown => {
      const path = resolve(String(args[0]))
      const isInside = path === home || path.startsWith(home + sep)
      ;(isInside ? inside : outside).add(`${name} ${path}`)
      return (original as (...args: unknown[]) => unknown).apply(fs, args)
    }
  }
  syncBuiltinESMExports()
  const stop = (): void => {
    for (const [name, original] of kept) real[name] = original
    syncBuiltinESMExports()
  }
  return { inside, outside, stop }
}

const PROTOTYPES = [Object, Array, Function, String, Number, Map, Set, Promise, Request, Response, Headers].map(
  ({ prototype }) => prototype,
)
const shapeOf = (): string =>
  JSON.stringify(PROTOTYPES.map((prototype) => Reflect.ownKeys(prototype as object).map(String)))

test(`of ${COUNT} requests none is answered with a 5xx, changes a prototype, or touches a file outside of the directory`, async () => {
  const shape = shapeOf()
  const { inside, outside, stop } = watchFiles()
  const statuses = new Map<number, number>()
  const wrong: string[] = []
  let sent = 0
  const began = process.cpuUsage()

  const askOne = async (): Promise<void> => {
    const made = requestOf()
    if (!made) return
    sent++
    const { operation, request } = made
    const response = await http.fetch(request)
    const { status } = response
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
    const what = `${request.method} ${request.url.slice(0, 200)} -> ${status}`
    if (status >= 500) wrong.push(`${what}: ${await response.text()}`)
    else if (status >= 400) {
      const { code } = (await response.json()) as { code: unknown }
      if (typeof code !== 'string' || response.headers.get('content-type') !== 'application/problem+json')
        wrong.push(what)
    } else if (!(status in operation.responses) && request.method.toLowerCase() !== 'head')
      wrong.push(`${what}, which is not documented`)
    else if (status === 201 && operation.operationId === 'session.create') {
      const { id } = (await response.json()) as { id: string }
      ids.push(id)
      if (ids.length > 50) ids.shift()
    }
  }
  const askOn = async (): Promise<void> => {
    while (sent < COUNT) await askOne()
  }
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, askOn))
  } finally {
    stop()
  }
  const { user, system } = process.cpuUsage(began)
  const told = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`)
  console.log(
    `${sent} requests, seed ${SEED}, ${((user + system) / 1e6).toFixed(1)} s of processor: ${told.join(', ')}`,
  )

  expect(wrong.slice(0, 10)).toEqual([])
  expect(unexpected).toEqual([])
  expect(shapeOf()).toBe(shape)
  expect({}).not.toHaveProperty('polluted')
  expect([...outside]).toEqual([])
  expect(inside.size).toBeGreaterThan(0)
  // It came through to what it is about, and not only to its door.
  for (const status of [200, 201, 204, 400, 401, 403, 404, 409, 413])
    expect(statuses.get(status), `${status}`).toBeGreaterThan(COUNT / 10_000)
  // What it left behind is whole.
  expect(runtime.health()).toMatchObject({ status: 'ok', quarantined: [], parked: [] })
}, 3_600_000)
