// What is sent and answered, as schemas: the same names as in the embedded runtime. They check what comes in, and describe
// in the OpenAPI document what goes out.

import { z } from 'zod'
import type { Attributes } from '../state.js'

/** JSON of any shape: the runtime itself looks at it, and says where it is not what it takes. */
export const anyJson: z.ZodType = z.unknown()

export const id: z.ZodType<string> = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]*$/)
export const sessionParams: z.ZodObject<{ id: z.ZodType<string> }> = z.object({
  id: id.describe('The id of a session, or the beginning of it'),
})

/** A whole number in a query or a path. */
export const whole = (least: number, most: number): z.ZodType<number> =>
  z
    .string()
    .regex(/^\d{1,16}$/)
    .meta({ type: 'integer', minimum: least, maximum: most })
    .transform(Number)
    .pipe(z.int().min(least).max(most)) as unknown as z.ZodType<number>

export const seq: z.ZodType<number> = whole(1, Number.MAX_SAFE_INTEGER)

/** Asked for by `true`, or not at all. */
export const flag: z.ZodType<true> = z.literal('true').transform(() => true as const) as unknown as z.ZodType<true>

/** Which page of a list. */
export const page: z.ZodObject<{ limit: z.ZodOptional<z.ZodType<number>>; cursor: z.ZodOptional<z.ZodString> }> =
  z.object({
    limit: whole(1, 1000).optional().describe('How many at most; default 100'),
    cursor: z.string().optional().describe('Where the last page said that more begin'),
  })

export const status: z.ZodType<'active' | 'done' | 'error' | 'stopped'> = z.enum(['active', 'done', 'error', 'stopped'])
const stateValue: z.ZodType = z.union([z.string(), z.record(z.string(), z.unknown())])
const scalars = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
const attributes: z.ZodType = scalars
/** Attributes in a query, as an object of JSON. */
export const attributesInQuery: z.ZodType<Attributes> = z
  .string()
  .max(4096)
  .meta({ contentMediaType: 'application/json' })
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown
    } catch {
      context.addIssue({ code: 'custom', message: 'is not JSON' })
      return z.NEVER
    }
  })
  .pipe(scalars) as unknown as z.ZodType<Attributes>
export const event: z.ZodType = z.looseObject({ type: z.string().min(1) })
const time = z.string().describe('ISO 8601')

const owner: z.ZodType = z.object({
  principal: z.string().optional(),
  organization: z.string().optional(),
  team: z.string().optional(),
})

export const entry: z.ZodType = z.object({
  id,
  kind: z.string(),
  version: z.int(),
  seq: z.int(),
  position: z.int(),
  status,
  value: stateValue,
  attributes,
  parent: z.object({ session: id, child: z.string(), incarnation: z.int() }).optional(),
  origin: z.object({ session: id, seq: z.int() }).optional(),
  owner: owner.optional(),
  quarantine: z.object({ reason: z.unknown(), at: time }).optional(),
  deadLetters: z.int().optional(),
  createdAt: time,
  updatedAt: time,
})

export const snapshot: z.ZodType = z.object({
  id,
  kind: z.string(),
  version: z.int(),
  seq: z.int(),
  status,
  value: stateValue,
  context: anyJson,
  output: anyJson.optional(),
  error: anyJson.optional(),
  tags: z.array(z.string()),
  steps: z.array(z.string()),
  attributes,
  createdAt: time,
  updatedAt: time,
})

export const transition: z.ZodType = z.object({
  session: id,
  seq: z.int(),
  position: z.int(),
  at: time,
  event,
  from: stateValue,
  to: stateValue,
  status,
  patch: z.array(anyJson).optional().describe('What changed in the context'),
  trace: z
    .object({ traceparent: z.string(), tracestate: z.string().optional() })
    .optional()
    .describe('The trace that it belongs to, as W3C Trace Context has it'),
  deleted: z.literal(true).optional(),
})

export const sessionPage: z.ZodType = z.object({ sessions: z.array(entry), cursor: z.string().optional() })

const change = (shape: z.ZodType): z.ZodType => z.object({ before: shape, after: shape })

export const diff: z.ZodType = z.object({
  session: id,
  from: z.int(),
  to: z.int(),
  patch: z.array(anyJson).optional(),
  value: change(stateValue),
  status: change(status),
})

const ownLetter = z.looseObject({
  id: z.int(),
  from: z.string(),
  event,
  error: anyJson,
  attempts: z.int(),
  at: time,
})
/** A dead letter, asked for by its session. */
export const letterOfSession: z.ZodType = ownLetter
/** A dead letter among those of all sessions. */
export const letter: z.ZodType = ownLetter.extend({ session: id, kind: z.string() })
