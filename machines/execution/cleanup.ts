// The cleanup as a session of its own, so that its timer survives and its runs are on record: every so often it is due, until
// somebody says what was cleaned. Runs by hand are recorded here, too. It deletes nothing itself: see `upkeep.ts`.

import type { StandardSchemaV1 } from '@standard-schema/spec'
import { defineSession, type SessionKind } from 'holdfast'
import {
  type AnyActorRef,
  assign,
  type EventObject,
  type MetaObject,
  type ParameterizedObject,
  type ProvidedActor,
  type StateMachine,
  type StateSchema,
  setup,
} from 'xstate'
import { z } from 'zod'
import { count, name, note } from './fields.js'

export interface CleanupContext {
  /** How old a session is that is cleaned away. */
  readonly days: number
  readonly everyMs: number
  readonly runs: number
  readonly last?: Cleaned
  /** Why the last run failed. */
  readonly problem?: string
}

export interface Cleaned {
  readonly deletedSessions: number
  readonly deletedModifications: number
  readonly days: number
  /** Absent when it ran by itself. */
  readonly by?: string | undefined
}

export type CleanupEvent =
  | { readonly type: 'setDays'; readonly days: number }
  | ({ readonly type: 'cleaned' } & Cleaned)
  | { readonly type: 'failed'; readonly message: string }

export interface CleanupInput {
  readonly days: number
  /** Default: a day. */
  readonly everyMs?: number | undefined
}

export type CleanupMachine = StateMachine<
  CleanupContext,
  CleanupEvent,
  Record<string, AnyActorRef | undefined>,
  ProvidedActor,
  ParameterizedObject,
  ParameterizedObject,
  string,
  'waiting' | 'due',
  string,
  CleanupInput,
  unknown,
  EventObject,
  MetaObject,
  StateSchema
>

const DAY_MS = 86_400_000

type Of<T extends CleanupEvent['type']> = Extract<CleanupEvent, { type: T }>

const parts = setup({
  types: {} as { context: CleanupContext; events: CleanupEvent; input: CleanupInput },
  delays: { every: ({ context: { everyMs } }) => everyMs },
  actions: {
    setDays: assign(({ event }) => ({ days: (event as Of<'setDays'>).days })),
    keep: assign(({ context: { runs }, event }) => {
      const { type: _, ...last } = event as Of<'cleaned'>
      return { runs: runs + 1, last, problem: undefined }
    }),
    fail: assign(({ event }) => ({ problem: (event as Of<'failed'>).message })),
  },
})

const cleanupMachine: CleanupMachine = parts.createMachine({
  id: 'execution-cleanup',
  context: ({ input: { days, everyMs = DAY_MS } }) => ({ days, everyMs, runs: 0 }),
  initial: 'waiting',
  on: { setDays: { actions: 'setDays' } },
  states: {
    waiting: { after: { every: 'due' }, on: { cleaned: { actions: 'keep' } } },
    due: {
      on: { cleaned: { target: 'waiting', actions: 'keep' }, failed: { target: 'waiting', actions: 'fail' } },
    },
  },
})

const days = z.number().min(0).max(36_500)
const schemas = {
  setDays: z.strictObject({ type: z.literal('setDays'), days }),
  cleaned: z.strictObject({
    ...{ type: z.literal('cleaned'), deletedSessions: count, deletedModifications: count, days },
    by: name.optional(),
  }),
  failed: z.strictObject({ type: z.literal('failed'), message: note }),
} as const

const events: StandardSchemaV1<unknown, CleanupEvent> = {
  '~standard': {
    version: 1,
    vendor: 'holdfast',
    validate: (value) => {
      const { type } = value as { type: string }
      if (!Object.hasOwn(schemas, type)) return { value: value as CleanupEvent }
      const schema: StandardSchemaV1<unknown, CleanupEvent> = schemas[type as keyof typeof schemas]
      return schema['~standard'].validate(value)
    },
  },
}

/** The cleanup of a runtime's execution sessions: one session, made by the façade. */
export const executionCleanup: SessionKind<CleanupMachine> = defineSession({
  kind: 'execution-cleanup',
  version: 1,
  machine: cleanupMachine,
  input: z.strictObject({ days, everyMs: z.int().min(1_000).optional() }),
  events,
  index: ({ context: { runs, days, problem }, value }) => ({ status: value, runs, days, problem: problem ?? null }),
})
