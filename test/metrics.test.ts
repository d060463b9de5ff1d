// What a runtime counts is what has happened to it, and its text is what Prometheus reads.
import { defineSession, step } from 'holdfast'
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import { prometheusText } from '../src/metrics.js'
import { house } from './house.js'

let failures = 1
const work = async (): Promise<string> => {
  if (failures-- > 0) throw new Error('not yet')
  return 'done'
}
const job = defineSession({
  kind: 'job',
  version: 1,
  steps: 'memory:steps',
  machine: setup({ actors: { work: step<typeof work>('work', { attempts: 2, backoffMs: 1 }) } }).createMachine({
    initial: 'idle',
    states: {
      idle: { on: { go: 'working' } },
      working: { invoke: { src: 'work', onDone: 'done' } },
      done: { type: 'final' },
    },
  }),
})

test('sessions by kind and status, transitions, steps with their further attempts, commits and how long they took', async () => {
  await using runtime = await house([job], { work: work as never }).open()
  const [one] = [await runtime.create(job), await runtime.create(job)]
  await one.send({ type: 'go' })
  await one.result()
  const metrics = runtime.metrics()
  expect(metrics).toMatchObject({
    sessions: { job: { active: 1, done: 1, error: 0, stopped: 0 } },
    ...{ transitions: 5, deadLetters: 0, quarantined: 0, parked: 0, waiting: 0, readOnly: false },
    steps: { started: 1, retried: 1, finished: 1, running: 0, queued: 0 },
    journal: { records: 5, pendingBytes: 0 },
  })
  expect(metrics.journal.flushMs).toBeGreaterThan(0)
  const lines = prometheusText(metrics).split('\n')
  expect(lines).toContain('holdfast_sessions{kind="job",status="done"} 1')
  expect(lines).toContain('holdfast_transitions_total 5')
  for (const line of lines) expect(line).toMatch(/^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[^}]*\})? [0-9.e+-]+|)$/)
  const names = lines.flatMap((line) => /^# TYPE (\S+)/.exec(line)?.[1] ?? [])
  expect(new Set(names).size).toBe(names.length)
})
