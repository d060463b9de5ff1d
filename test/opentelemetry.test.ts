// Spans and metrics by the API of OpenTelemetry, as its SDK exports them: one span for each durable transition and each attempt
// at a step, under the one that led to it, in the trace of who called, also after the process that began it is gone.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { type AnySessionKind, defineSession, type Tracing } from 'holdfast'
import { connect } from 'holdfast/client'
import { meterRuntime, openTelemetry } from 'holdfast/opentelemetry'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { setup } from 'xstate'
import { prometheusText } from '../src/metrics.js'
import { createCrashDisk } from '../src/testing/disk.js'
import { boxKind, parcel } from './fixtures/parcel.js'
import { weigh } from './fixtures/parcel-steps.js'
import { house } from './house.js'

const exporter = new InMemorySpanExporter()
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
const tracer = provider.getTracer('test')
const tracing = openTelemetry({ tracer })
const kinds = [parcel, boxKind] as AnySessionKind[]
const steps = { weigh: weigh as never }
const openHouse = (disk = createCrashDisk(), own: Tracing = tracing, work = steps) =>
  house(kinds, work, disk, undefined, { tracing: own })

beforeAll(() => void context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()))
afterAll(() => context.disable())

/** What was exported since the last look, each as `name < name of its parent`, in the order of their ends. */
function exported(): { spans: ReadableSpan[]; lines: string[] } {
  const spans = exporter.getFinishedSpans()
  exporter.reset()
  const names = new Map(spans.map((span) => [span.spanContext().spanId, span.name]))
  const lines = spans.map(({ name, parentSpanContext: parent }) =>
    parent ? `${name} < ${names.get(parent.spanId) ?? 'elsewhere'}` : name,
  )
  return { spans, lines }
}

const within = <T>(name: string, act: () => Promise<T>): Promise<T> =>
  tracer.startActiveSpan(name, async (span) => {
    try {
      return await act()
    } finally {
      span.end()
    }
  })

test('whoever calls within a span is the parent of the transition, which is the parent of the steps that it starts', async () => {
  await using runtime = await openHouse().open()
  const session = await within('checkout', () => runtime.create(parcel, undefined, { id: 'p' }))
  await within('pack', () => session.send({ type: 'pack' } as never))
  const output = (await session.result()) as { parcel: string }
  const { spans, lines } = exported()
  expect(lines).toEqual(
    expect.arrayContaining([
      ...['parcel xstate.init < checkout', 'parcel pack < pack', 'box xstate.init < pack', 'box fill < pack'],
      ...['step weigh < box fill', 'step weigh < parcel xstate.done.actor.box'],
    ]),
  )
  const stepOf = spans.findLast(({ name }) => name === 'step weigh')
  expect(output.parcel).toBe(`00-${stepOf?.spanContext().traceId}-${stepOf?.spanContext().spanId}-01`)
  expect(stepOf?.attributes).toMatchObject({ 'holdfast.session': 'p', 'holdfast.step.outcome': 'done' })
  const packed = spans.find(({ name }) => name === 'parcel pack')
  expect(packed?.attributes).toMatchObject({ 'holdfast.seq': 2, 'holdfast.to': 'packing', 'holdfast.status': 'active' })
})

test('a session that nobody’s trace has asked for begins one, and stays in it; each of another is in another', async () => {
  await using runtime = await openHouse().open()
  const session = await runtime.create(parcel, undefined, { id: 'p' })
  await session.send({ type: 'look' } as never)
  await runtime.create(parcel)
  const { spans, lines } = exported()
  expect(lines.slice(0, 3)).toEqual([
    'create parcel',
    'parcel xstate.init < create parcel',
    'parcel look < create parcel',
  ])
  expect(new Set(spans.map((span) => span.spanContext().traceId)).size).toBe(2)
})

test('after a power cut spans are in the trace that the session was in, under the span that had asked for it', async () => {
  const disk = createCrashDisk()
  const never = { weigh: (() => new Promise(() => {})) as never }
  const first = await openHouse(disk, tracing, never).open()
  const session = await first.create(parcel, undefined, { id: 'p' })
  await within('pack', () => session.send({ type: 'pack' } as never))
  for await (const { to } of first.transitions$({ from: 0 })) if (to === 'full') break
  const cut = disk.crash()
  const asked = exported().spans.find(({ name }) => name === 'pack')
  await first.close()
  exported()
  await using runtime = await openHouse(cut).open()
  await runtime.session('p').result()
  const { spans, lines } = exported()
  expect(new Set(spans.map((span) => span.spanContext().traceId))).toEqual(new Set([asked?.spanContext().traceId]))
  expect(lines).toContain('step weigh < box holdfast.attempt')
  const again = spans.find(({ name }) => name === 'box holdfast.attempt')
  expect(again?.parentSpanContext).toMatchObject({ spanId: asked?.spanContext().spanId, isRemote: true })
})

test('a step that fails is a span that says so, each attempt its own; of an event only the type is told', async () => {
  let tries = 0
  const shaky = { weigh: (async () => (++tries === 1 ? Promise.reject(new Error('out of order')) : 'ok')) as never }
  await using runtime = await openHouse(createCrashDisk(), tracing, shaky).open()
  const session = await runtime.create(parcel, undefined, { id: 'p' })
  await session.send({ type: 'pack', note: 'canary-7f3a' } as never)
  await session.result()
  const { spans } = exported()
  const attempts = spans.filter(({ name }) => name === 'step weigh').slice(0, 2)
  expect(attempts.map(({ status, attributes }) => [status.message, attributes['holdfast.step.attempt']])).toEqual([
    ['out of order', 1],
    [undefined, 2],
  ])
  expect(JSON.stringify(spans.map(({ name, attributes, events }) => [name, attributes, events]))).not.toContain(
    'canary',
  )
})

test('a tracer that throws changes nothing: every transition is acted on once, and the error is logged', async () => {
  const fail = (): never => {
    throw new Error('no spans today')
  }
  for (const late of [false, true]) {
    const broken: Tracing = {
      ...{ active: fail, begin: fail, step: fail },
      transition: (_transition, _kind, act) => {
        if (late) act()
        fail()
      },
    }
    const home = openHouse(createCrashDisk(), broken)
    await using runtime = await home.open()
    const session = await runtime.create(parcel, undefined, { id: 'p' })
    await session.send({ type: 'pack' } as never)
    expect(await session.result()).toEqual({ box: 'none', parcel: 'none', filled: 1 })
    expect(new Set(home.log)).toEqual(new Set(['a trace could not be told of']))
  }
})

test('a client sends the trace that its caller is in', async () => {
  const sent: (string | null)[] = []
  const listen = (async (_: string, { headers }: RequestInit) => {
    sent.push(new Headers(headers).get('traceparent'))
    return Response.json({ id: 'p', kind: 'parcel' })
  }) as typeof fetch
  using client = connect({ url: 'http://127.0.0.1', fetch: listen, tracing })
  await within('call', () => client.create({ kind: 'parcel' }))
  await client.create({ kind: 'parcel' })
  const [span] = exported().spans
  expect(sent).toEqual([`00-${span?.spanContext().traceId}-${span?.spanContext().spanId}-01`, null])
})

test('the meter has the figures that the text for Prometheus has', async () => {
  const lamp = defineSession({
    kind: 'lamp',
    version: 1,
    machine: setup({}).createMachine({ on: { flip: { actions: () => {} } } }),
  })
  const runtime = await house([lamp]).open()
  const told = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter: told, exportIntervalMillis: 1e9 })
  const meters = new MeterProvider({ readers: [reader] })
  const stop = meterRuntime(runtime, { meter: meters.getMeter('test') })
  const session = await runtime.create(lamp)
  await session.send({ type: 'flip' })
  const text = prometheusText(runtime.metrics())
  await reader.forceFlush()
  const [scope] = told.getMetrics()[0]!.scopeMetrics
  const lines = scope!.metrics.flatMap(({ descriptor, dataPoints }) =>
    dataPoints.map(({ attributes, value }) => `${descriptor.name} ${JSON.stringify(attributes)} ${value}`),
  )
  expect(lines).toContain('holdfast_transitions {} 2')
  expect(lines).toContain('holdfast_sessions {"kind":"lamp","status":"active"} 1')
  expect(lines).toHaveLength(text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length)
  stop()
  await runtime.close()
  await meters.shutdown()
})

test('without the package, the subpath says what to install, and holdfast itself never asks for it', () => {
  const absent = `import { register } from 'node:module'
    register('data:text/javascript,' + encodeURIComponent(\`export function resolve(name, context, next) {
      if (name.startsWith('@opentelemetry/')) throw new Error(name + ' is not there')
      return next(name, context)
    }\`))
    for (const path of ['holdfast', 'holdfast/http', 'holdfast/client']) await import(path)
    console.log(await import('holdfast/opentelemetry').then(() => 'loaded', ({ code, message }) => code + ': ' + message))`
  const cwd = fileURLToPath(new URL('..', import.meta.url))
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', absent], { cwd, encoding: 'utf8' })
  expect(said.trim()).toMatch(/^PACKAGE_MISSING: .*npm install @opentelemetry\/api$/)
})

test('with no SDK set up nothing is made of it, and nothing is in the way', async () => {
  await using runtime = await openHouse(createCrashDisk(), openTelemetry({ tracer: trace.getTracer('none') })).open()
  const session = await runtime.create(parcel, undefined, { id: 'p' })
  await session.send({ type: 'pack' } as never)
  expect(await session.result()).toEqual({ box: 'none', parcel: 'none', filled: 1 })
  expect(session.state()).not.toHaveProperty('trace')
})
