// What may be told to a session, and its check at the door. What is let in has its time `at`, stamped there once, before it
// is recorded: the machine reads no clock. An unknown type passes, since the machine refuses it better.

import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import { sessionEventSchema } from './restored.js'
import type { SessionEvent } from './session-events.js'

/** What is recorded from outside. All but the analysis: of sessions without commands, which somebody else drives. */
export type RecordedEvent = Extract<
  SessionEvent,
  { type: 'IterationStarted' | 'IterationCompleted' | 'CommandExecuted' | 'AnalysisCompleted' }
>

interface Timed {
  /** ISO 8601; the time of its arrival by default. */
  readonly at?: string | undefined
}

export type WorkflowEvent = Timed &
  (
    | { readonly type: 'start' }
    /** At the next boundary between commands. */
    | { readonly type: 'pause'; readonly reason?: string | undefined }
    | { readonly type: 'resume' }
    /** At the next boundary between commands. */
    | { readonly type: 'complete' }
    /** At once: what runs is ended first. */
    | { readonly type: 'cancel'; readonly reason?: string | undefined }
    | { readonly type: 'fail'; readonly error: string }
    | { readonly type: 'checkpoint' }
    | { readonly type: 'record'; readonly event: RecordedEvent }
  )

const reason = z.string().max(10_000).optional()
const time = z.iso
  .datetime({ offset: true })
  // biome-ignore lint/plugin/clock: the door is outside of the machine, and what it writes is recorded
  .default(() => new Date().toISOString())

const schemas = {
  start: z.strictObject({ type: z.literal('start'), at: time }),
  pause: z.strictObject({ type: z.literal('pause'), reason, at: time }),
  resume: z.strictObject({ type: z.literal('resume'), at: time }),
  complete: z.strictObject({ type: z.literal('complete'), at: time }),
  cancel: z.strictObject({ type: z.literal('cancel'), reason, at: time }),
  fail: z.strictObject({ type: z.literal('fail'), error: z.string().min(1).max(100_000), at: time }),
  checkpoint: z.strictObject({ type: z.literal('checkpoint'), at: time }),
  record: z.strictObject({ type: z.literal('record'), event: sessionEventSchema, at: time }),
} satisfies { readonly [T in WorkflowEvent['type']]: z.ZodType }

/** Every event from outside passes here. */
export const eventSchema: StandardSchemaV1<unknown, WorkflowEvent> = {
  '~standard': {
    version: 1,
    vendor: 'holdfast',
    validate: (value) => {
      const { type } = value as { type: string }
      if (!Object.hasOwn(schemas, type)) return { value: value as WorkflowEvent }
      const schema = schemas[type as WorkflowEvent['type']] as unknown as StandardSchemaV1<unknown, WorkflowEvent>
      return schema['~standard'].validate(value)
    },
  },
}
