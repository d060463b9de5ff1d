// The events of an execution session, and their check at the door. What is let in is complete, has its time `at`, stamped there
// once, before it is recorded, and may say who is behind it (`by`): that is the audit trail. An unknown type passes, since
// the machine refuses it better (it names what it would accept).

import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import { ACTIONS, count, type ModificationAction, name, note, time, value } from './fields.js'

interface Signed {
  /** When it happened, ISO 8601; the time of its arrival by default. */
  readonly at?: string | undefined
  /** Who did it. */
  readonly by?: string | undefined
}

/** A modification as an event brings it. */
export interface ModificationFields {
  readonly ticketId: string
  readonly userId: string
  readonly action: ModificationAction
  readonly value: string
  /** ISO 8601; the time of its arrival by default. */
  readonly timestamp?: string | undefined
}

/** All of them, or none. */
export const MOST_MODIFICATIONS = 1_000

export type ExecutionEvent =
  /** Adds modifications; with `process` they are applied as soon as it is their turn. */
  | ({
      readonly type: 'modify'
      readonly modifications: readonly ModificationFields[]
      readonly process?: boolean | undefined
    } & Signed)
  /** Has modifications applied that are not processed: those with these numbers, or all. */
  | ({ readonly type: 'process'; readonly numbers?: readonly number[] | undefined } & Signed)
  /** Somebody outside has applied a modification, or failed to. */
  | ({ readonly type: 'markProcessed'; readonly number: number; readonly error?: string | undefined } & Signed)
  | ({ readonly type: 'updatePlanCount'; readonly planCount: number } & Signed)
  /** With `process`, everything that is not processed is applied. */
  | ({ readonly type: 'confirm'; readonly process?: boolean | undefined } & Signed)
  | ({ readonly type: 'complete' } & Signed)
  | ({ readonly type: 'cancel'; readonly reason?: string | undefined } & Signed)

const signed = { at: time, by: name.optional() }

const modification = z.strictObject({
  ticketId: name,
  userId: name,
  action: z.enum(ACTIONS),
  value,
  timestamp: time,
})

const schemas: { readonly [T in ExecutionEvent['type']]: StandardSchemaV1<unknown, ExecutionEvent> } = {
  modify: z.strictObject({
    type: z.literal('modify'),
    modifications: z.array(modification).min(1).max(MOST_MODIFICATIONS).readonly(),
    process: z.boolean().optional(),
    ...signed,
  }),
  process: z.strictObject({
    type: z.literal('process'),
    numbers: z.array(z.int().min(1)).min(1).max(MOST_MODIFICATIONS).readonly().optional(),
    ...signed,
  }),
  markProcessed: z.strictObject({
    type: z.literal('markProcessed'),
    number: z.int().min(1),
    error: note.optional(),
    ...signed,
  }),
  updatePlanCount: z.strictObject({ type: z.literal('updatePlanCount'), planCount: count, ...signed }),
  confirm: z.strictObject({ type: z.literal('confirm'), process: z.boolean().optional(), ...signed }),
  complete: z.strictObject({ type: z.literal('complete'), ...signed }),
  cancel: z.strictObject({ type: z.literal('cancel'), reason: note.optional(), ...signed }),
}

/** Every event from outside passes here. */
export const eventSchema: StandardSchemaV1<unknown, ExecutionEvent> = {
  '~standard': {
    version: 1,
    vendor: 'holdfast',
    validate: (value) => {
      const { type } = value as { type: string }
      if (!Object.hasOwn(schemas, type)) return { value: value as ExecutionEvent }
      return schemas[type as ExecutionEvent['type']]['~standard'].validate(value)
    },
  },
}
