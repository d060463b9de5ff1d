// The port for traces: who makes spans of what happens here, and knows in which trace whoever calls is. Nothing here knows
// OpenTelemetry (`holdfast/opentelemetry` is one of these). It hears of a transition when that is durable, and of an attempt
// at a step when it begins; it decides nothing, and what it throws is logged and changes nothing.

import type { ErrorEnvelope } from './envelope.js'
import type { TraceContext } from './trace-context.js'
import type { Transition } from './transition.js'

export interface Tracing {
  /** The trace context of whoever calls now. */
  active(): TraceContext | undefined
  /** That of a trace which begins with a new session of a kind, when nobody's trace asked for it. */
  begin(kind: string): TraceContext | undefined
  /** A transition is durable: calls `act`, which does what it leads to, at once and once. */
  transition(transition: Transition, kind: string, act: () => void): void
  /** An attempt at a step begins, in the trace of the transition that started it. */
  step(step: TracedStep): StepSpan
}

export interface TracedStep {
  readonly session: string
  readonly kind: string
  /** The child's id in the machine. */
  readonly id: string
  /** The step's own name. */
  readonly name: string
  readonly attempt: number
  readonly idempotencyKey: string
  readonly trace: TraceContext | undefined
}

export type StepSpanEnd =
  | { readonly kind: 'done' | 'cancelled' }
  | { readonly kind: 'failed'; readonly error: ErrorEnvelope }

export interface StepSpan {
  /** What the step is told, so that what it calls is part of its span. */
  readonly context: TraceContext | undefined
  /** The attempt has ended. */
  end(end: StepSpanEnd): void
}

/** The same, but it never throws, and a transition is acted on once, whatever it does. */
export function guardedTracing(tracing: Tracing, report: (error: unknown) => void): Tracing {
  const told = <T>(tell: () => T): T | undefined => {
    try {
      return tell()
    } catch (error) {
      report(error)
      return undefined
    }
  }
  return {
    active: () => told(() => tracing.active()),
    begin: (kind) => told(() => tracing.begin(kind)),
    transition(transition, kind, act) {
      let failure: { readonly error: unknown } | undefined
      let acted = false
      const once = (): void => {
        if (acted) return
        acted = true
        try {
          act()
        } catch (error) {
          failure = { error }
        }
      }
      told(() => tracing.transition(transition, kind, once))
      once()
      if (failure) throw failure.error
    },
    step(step) {
      const span = told(() => tracing.step(step))
      return { context: span?.context ?? step.trace, end: (end) => told(() => span?.end(end)) }
    },
  }
}
