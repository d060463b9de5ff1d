// What happens in sessions, as spans: one for each durable transition, one for each attempt at a step. A session keeps the
// trace context that it was called in, so after a crash its spans are in the same trace. Of an event it tells the type only,
// never what is in it; of a step's error what the journal may hold.

import type { Attributes, Context, SpanContext, Tracer } from '@opentelemetry/api'
import { type TraceContext, traceContextOf } from '../trace-context.js'
import type { TracedStep, Tracing } from '../tracing.js'
import type { Transition } from '../transition.js'
import { api } from './api.js'

const { context, createTraceState, isSpanContextValid, ROOT_CONTEXT, SpanStatusCode, trace } = api

export interface OpenTelemetryOptions {
  /** Default: the tracer `holdfast` of the SDK that the program has set up. */
  readonly tracer?: Tracer
}

/**
 * Spans for a runtime, and for a client the trace that its caller is in.
 *
 * ```ts
 * await using runtime = await openRuntime({ kinds: [review], tracing: openTelemetry() })
 * ```
 */
export function openTelemetry({ tracer = trace.getTracer('holdfast') }: OpenTelemetryOptions = {}): Tracing {
  return {
    active: () => told(trace.getSpanContext(context.active())),
    begin(kind) {
      const span = tracer.startSpan(`create ${kind}`, { root: true, attributes: { 'holdfast.kind': kind } })
      span.end()
      return told(span.spanContext())
    },
    transition(transition, kind, act) {
      const within = contextFrom(transition.trace)
      const startTime = Date.parse(transition.at)
      const attributes = attributesOf(transition, kind)
      const span = tracer.startSpan(`${kind} ${transition.event.type}`, { startTime, attributes }, within)
      if (transition.status === 'error') span.setStatus({ code: SpanStatusCode.ERROR })
      try {
        context.with(trace.setSpan(within, span), act)
      } finally {
        span.end()
      }
    },
    step(step) {
      const span = tracer.startSpan(`step ${step.name}`, { attributes: attributesOfStep(step) }, parentOf(step))
      return {
        context: told(span.spanContext()) ?? step.trace,
        end(end) {
          if (end.kind === 'failed') span.setStatus({ code: SpanStatusCode.ERROR, message: end.error.message })
          span.setAttribute('holdfast.step.outcome', end.kind)
          span.end()
        },
      }
    },
  }
}

/** The transition that has just started it, if that is of its trace; after a crash, who asked for it then. */
function parentOf({ trace: recorded }: TracedStep): Context {
  const around = context.active()
  const traceId = trace.getSpanContext(around)?.traceId
  return recorded === undefined || recorded.traceparent.split('-')[1] === traceId ? around : contextFrom(recorded)
}

function attributesOf({ session, seq, event, from, to, status }: Transition, kind: string): Attributes {
  return {
    ...{ 'holdfast.session': session, 'holdfast.kind': kind, 'holdfast.seq': seq, 'holdfast.event': event.type },
    ...{ 'holdfast.from': textOf(from), 'holdfast.to': textOf(to), 'holdfast.status': status },
  }
}

const attributesOfStep = ({ session, kind, id, name, attempt, idempotencyKey }: TracedStep): Attributes => ({
  ...{ 'holdfast.session': session, 'holdfast.kind': kind, 'holdfast.step': name, 'holdfast.step.id': id },
  ...{ 'holdfast.step.attempt': attempt, 'holdfast.step.key': idempotencyKey },
})

const textOf = (value: Transition['to']): string => (typeof value === 'string' ? value : JSON.stringify(value))

/** A span's context as it is sent and kept. */
function told(span: SpanContext | undefined): TraceContext | undefined {
  if (!span || !isSpanContextValid(span)) return undefined
  const { traceId, spanId, traceFlags, traceState } = span
  const flags = traceFlags.toString(16).padStart(2, '0')
  return traceContextOf({
    traceparent: `00-${traceId}-${spanId}-${flags}`,
    tracestate: traceState?.serialize() ?? null,
  })
}

/** The other way: where a span belongs whose parent was in another process, or before a crash. */
function contextFrom(recorded: TraceContext | undefined): Context {
  if (!recorded) return ROOT_CONTEXT
  const [, traceId, spanId, flags] = recorded.traceparent.split('-') as [string, string, string, string]
  const { tracestate } = recorded
  return trace.setSpanContext(ROOT_CONTEXT, {
    ...{ traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true },
    ...(tracestate !== undefined && { traceState: createTraceState(tracestate) }),
  })
}
