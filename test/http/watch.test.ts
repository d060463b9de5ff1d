// What those ask who watch over all sessions: what waits for a person, of the sessions that they may see, and the metrics.
import { defineSession } from 'holdfast'
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import { served } from './served.js'

const ask = defineSession({
  kind: 'ask',
  version: 1,
  machine: setup({}).createMachine({
    initial: 'waiting',
    states: { waiting: { tags: 'waits-for-person', on: { approve: 'over' } }, over: { type: 'final' } },
  }),
})

test('each sees what waits among the sessions of their own, and who may see all has the metrics', async () => {
  const { ask: request, runtime } = await served({}, [ask])
  const made: Record<string, string> = {}
  for (const as of ['red', 'blue', 'other']) {
    made[as] = (await request('POST', '/v1/sessions', { as, body: { kind: 'ask' } })).body.id
  }
  const inbox = async (as: string): Promise<string[]> =>
    (await request('GET', '/v1/approvals', { as })).body.sessions.map(({ id }: { id: string }) => id)
  expect(await inbox('red')).toEqual([made.red])
  expect(await inbox('other')).toEqual([made.other])
  expect((await inbox('root')).length).toBe(3)
  await request('POST', `/v1/sessions/${made.red}/events`, { as: 'red', body: { type: 'approve' } })
  expect(await inbox('red')).toEqual([])
  const metrics = await request('GET', '/metrics')
  expect(metrics.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(metrics.body).toContain('holdfast_sessions{kind="ask",status="active"} 2\n')
  expect((await request('GET', '/metrics', { as: 'red' })).status).toBe(403)
  await runtime.close()
})
