// The adapters of the services by themselves: packages and keys that are not there, how long somebody asks to wait, and the file
// of tickets.

import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openLinearTracker } from '../../../machines/execution/steps/linear-tracker.js'
import { LocalTracker } from '../../../machines/execution/steps/local-tracker.js'
import { openSlackChannel } from '../../../machines/execution/steps/slack-channel.js'
import { loadLibsql } from '../../../machines/execution/tables.js'
import { uuidOf } from '../../../machines/execution/uuid.js'
import { waitOf } from '../../../machines/services/waiting.js'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-adapters-'))
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(dir, { recursive: true, force: true })
})

const absent = (): Promise<never> => Promise.reject(new Error('Cannot find package'))

test('a package or a key that is not there is named, with what to do', async () => {
  const linear = { kind: 'linear', teamId: 'ENG', connection: 'nobody' } as const
  const slack = { kind: 'slack', channel: 'general', connection: 'nobody' } as const
  vi.stubEnv('LINEAR_API_KEY', '')
  vi.stubEnv('SLACK_BOT_TOKEN', '')
  await expect(openLinearTracker(linear)).rejects.toMatchObject({
    ...{ code: 'SERVICE_NOT_CONFIGURED', retry: false, details: { variable: 'LINEAR_API_KEY' } },
  })
  await expect(openSlackChannel(slack)).rejects.toMatchObject({
    ...{ code: 'SERVICE_NOT_CONFIGURED', retry: false, details: { variable: 'SLACK_BOT_TOKEN' } },
  })
  vi.stubEnv('LINEAR_API_KEY', 'key')
  vi.stubEnv('SLACK_BOT_TOKEN', 'token')
  await expect(openLinearTracker(linear, { load: absent })).rejects.toMatchObject({
    ...{ code: 'SERVICE_NOT_INSTALLED', retry: false, message: expect.stringContaining('npm install @linear/sdk') },
  })
  await expect(openSlackChannel(slack, { load: absent })).rejects.toMatchObject({
    ...{ code: 'SERVICE_NOT_INSTALLED', retry: false, message: expect.stringContaining('npm install @slack/web-api') },
  })
  await expect(loadLibsql(absent)).rejects.toMatchObject({
    ...{
      code: 'PACKAGE_MISSING',
      message: expect.stringContaining('npm install libsql'),
      details: { package: 'libsql' },
    },
  })
})

test('how long to wait is what the answer says, from a second to an hour', () => {
  const now = Date.UTC(2030, 0, 1)
  const waits = (headers: Record<string, string>): number => waitOf(new Headers(headers), now)
  expect(waits({ 'retry-after': '30' })).toBe(30_000)
  expect(waits({ 'retry-after': new Date(now + 90_000).toUTCString() })).toBe(90_000)
  expect(waits({ 'x-ratelimit-requests-remaining': '0', 'x-ratelimit-requests-reset': String(now + 5_000) })).toBe(
    5_000,
  )
  expect(waits({ 'x-ratelimit-requests-remaining': '7', 'x-ratelimit-requests-reset': String(now + 5_000) })).toBe(
    60_000,
  )
  expect(waits({ 'retry-after': '0' })).toBe(1_000)
  expect(waits({ 'retry-after': '999999' })).toBe(3_600_000)
  expect(waits({ 'retry-after': 'soon' })).toBe(60_000)
  expect(waitOf(undefined, now)).toBe(60_000)
})

const change = (n: number, more: object = {}) =>
  ({ clientId: uuidOf(`c${n}`), ticketId: 'T-1', userId: 'ben', action: 'comment', value: `v${n}`, ...more }) as const

test('in the file of tickets a change is once, however many try at once; what somebody else writes is read', async () => {
  const file = join(dir, 'deep', 'tickets.jsonl')
  const [one, another] = [new LocalTracker(file), new LocalTracker(file)]
  const outcomes = await Promise.all(Array.from({ length: 20 }, (_, n) => (n % 2 ? one : another).apply(change(n % 5))))
  expect(outcomes.filter((outcome) => outcome === 'changed')).toHaveLength(5)
  expect(await one.lines()).toHaveLength(5)
  appendFileSync(file, `${JSON.stringify({ change: uuidOf('c9'), of: 'T-1', by: 'x', set: 'comment', to: 'y' })}\n`)
  expect(await one.apply(change(9))).toBe('found')
  appendFileSync(
    file,
    '{"ticket":"T-1","team":"red","assignee":{"id":"ada","name":"Ada"}}\n{"ticket":"T-2","team":"blue"}\n',
  )
  expect(await one.openTickets('red')).toMatchObject([{ id: 'T-1', state: 'todo', assignee: { id: 'ada' } }])
  await one.apply(change(10, { action: 'reassign', value: 'ben' }))
  expect(await one.openTickets('red')).toMatchObject([{ id: 'T-1', assignee: { id: 'ben' } }])
  await one.apply(change(11, { action: 'status_change', value: 'done' }))
  expect(await one.openTickets('red')).toEqual([])
})

test('a line that a power cut tore is passed over, at every byte; one in the middle that is damaged is named', async () => {
  const whole = join(dir, 'whole.jsonl')
  const tracker = new LocalTracker(whole)
  for (const n of [1, 2]) await tracker.apply(change(n))
  const text = readFileSync(whole, 'utf8')
  const first = text.indexOf('\n') + 1
  for (let cut = first; cut < text.length - 1; cut += 7) {
    const file = join(dir, `cut-${cut}.jsonl`)
    writeFileSync(file, text.slice(0, cut))
    const torn = new LocalTracker(file)
    expect(await torn.apply(change(2)), String(cut)).toBe('changed')
    expect(await torn.apply(change(1))).toBe('found')
    expect(await torn.apply(change(2))).toBe('found')
    expect(await torn.apply(change(3))).toBe('changed')
    const changes = (await torn.lines()).flatMap((line) => ('change' in line ? [line.change] : []))
    expect(changes).toEqual([1, 2, 3].map((n) => uuidOf(`c${n}`)))
  }
  const bad = join(dir, 'bad.jsonl')
  writeFileSync(bad, text.replace('{', '('))
  await expect(new LocalTracker(bad).apply(change(3))).rejects.toMatchObject({
    code: 'SERVICE_CORRUPT',
    message: expect.stringContaining('line 1'),
  })
  expect(readFileSync(bad, 'utf8')).toBe(text.replace('{', '('))
})
