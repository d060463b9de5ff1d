// The routes of session kinds: which there are, what each of them takes, and its statechart.

import { z } from 'zod'
import type { AnySessionKind } from '../define.js'
import { unservedKind } from '../refusals.js'
import { statechartOf } from '../statechart.js'
import { type Route, route } from './route.js'
import * as shapes from './shapes.js'

const kindShape = z.object({
  kind: z.string(),
  version: z.int(),
  children: z.array(z.string()).describe('The kinds of its child sessions'),
  input: shapes.anyJson.optional().describe('What its input is, as JSON Schema, if that is known'),
  events: shapes.anyJson.optional().describe('What its events are, as JSON Schema, if that is known'),
})

export const kindRoutes: readonly Route[] = [
  route({
    name: 'kind.list',
    method: 'GET',
    path: '/v1/kinds',
    summary: 'Lists the session kinds that can be created here.',
    access: 'read',
    concerns: 'nothing',
    answers: { 200: { description: 'The kinds', schema: z.object({ kinds: z.array(kindShape) }) } },
    handle: ({ runtime }) => ({ kinds: [...runtime.kinds.values()].map(shown) }),
  }),
  route({
    name: 'kind.show',
    method: 'GET',
    path: '/v1/kinds/:name',
    summary: 'Shows one session kind, with its statechart.',
    access: 'read',
    concerns: 'nothing',
    params: z.object({ name: z.string().max(64) }),
    answers: { 200: { description: 'The kind', schema: kindShape.extend({ statechart: shapes.anyJson }) } },
    handle: ({ runtime, params }) => {
      const kind = runtime.kinds.get(params.name)
      if (!kind) throw unservedKind(params.name, runtime.kinds)
      return { ...shown(kind), statechart: statechartOf(kind.machine) }
    },
  }),
]

function shown({ kind, version, children, input, events }: AnySessionKind): object {
  const [inputSchema, eventSchema] = [jsonSchemaOf(input), jsonSchemaOf(events)]
  return {
    ...{ kind, version, children: [...children.values()].map((child) => child.kind.kind) },
    ...(inputSchema !== undefined && { input: inputSchema }),
    ...(eventSchema !== undefined && { events: eventSchema }),
  }
}

/** Undefined where nobody can tell: a schema of another library, or one that JSON Schema has no words for. */
function jsonSchemaOf(schema: AnySessionKind['input']): unknown {
  if (!(schema instanceof z.ZodType)) return undefined
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
}
