// The OpenAPI 3.1 document, from the table of routes and its schemas: what is not in the table is not in it either.

import { z } from 'zod'
import type { Fields, Route } from './route.js'

/** An OpenAPI document, as far as it is made here. */
export interface OpenApi {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string; readonly description: string }
  readonly paths: { readonly [path: string]: { readonly [method: string]: Operation } }
  readonly components: object
}

export interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly parameters: readonly Parameter[]
  readonly requestBody?: { readonly required: boolean; readonly content: Content }
  readonly responses: { readonly [status: string]: object }
  readonly security: readonly object[]
  /** What the caller must be allowed to do. */
  readonly 'x-access': string
}

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required: boolean
  readonly description?: string
  readonly schema: Schema
}

export type Schema = { readonly [keyword: string]: unknown }
type Content = { readonly [type: string]: { readonly schema: Schema } }

/** The version of the interface: that of `/v1`. */
const VERSION = '1.0.0'

export function openApiOf(routes: readonly Route[]): OpenApi {
  const paths: Record<string, Record<string, Operation>> = {}
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) }
  }
  const description = 'Durable sessions. What is sent is durable when it is answered; what is shown is durable.'
  return {
    openapi: '3.1.0',
    info: { title: 'Holdfast', version: VERSION, description },
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: { Problem: schemaOf(problem, 'output') },
    },
  }
}

const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string().describe('Stable'),
  retryable: z.boolean().describe('True when the same request may succeed later'),
  details: z.record(z.string(), z.unknown()).optional(),
})

function operationOf(route: Route): Operation {
  const { name, summary, access, body, answers, mutates, method } = route
  const key = {
    name: 'Idempotency-Key',
    in: 'header',
    required: false,
    schema: { type: 'string', maxLength: 190 },
  } as const
  return {
    operationId: name,
    summary,
    parameters: [
      ...parametersOf(route.params, 'path'),
      ...parametersOf(route.query, 'query'),
      ...(mutates && method === 'POST' ? [key] : []),
    ],
    ...(body && { requestBody: { required: !body.safeParse(undefined).success, content: contentOf(body, 'input') } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, { description, schema, type }]) => [
          status,
          { description, ...(schema && { content: contentOf(schema, 'output', type) }) },
        ]),
      ),
      default: {
        description: 'What went wrong',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
    security: access === 'public' ? [] : [{ token: [] }],
    'x-access': access,
  }
}

function parametersOf(fields: Fields | undefined, where: 'path' | 'query'): Parameter[] {
  return Object.entries((fields?.shape ?? {}) as Record<string, z.ZodType>).map(([name, field]) => {
    const { description, ...schema } = schemaOf(field, 'input')
    const required = where === 'path' || !field.safeParse(undefined).success
    return { name, in: where, required, ...(typeof description === 'string' && { description }), schema }
  })
}

const contentOf = (schema: z.ZodType, io: 'input' | 'output', type = 'application/json'): Content => ({
  [type]: { schema: schemaOf(schema, io) },
})

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Schema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}
