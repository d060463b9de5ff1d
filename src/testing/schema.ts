// Values that fit a JSON Schema, as far as payloads of events need: objects, arrays, enums, choices and plain values with
// their bounds. What it does not know is any JSON; the kind's own schema still has the last word on an event.

import type { Arbitrary } from 'fast-check'
import { fc } from './fast-check.js'

/** The part of JSON Schema that is understood. */
export interface JsonSchema {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly properties?: { readonly [name: string]: JsonSchema }
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly minItems?: number
  readonly maxItems?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
}

export function valuesOf(schema: JsonSchema): Arbitrary<unknown> {
  const choices = schema.anyOf ?? schema.oneOf
  if ('const' in schema) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (choices) return fc.oneof(...choices.map(valuesOf))
  const { minimum: min, maximum: max } = schema
  switch (schema.type) {
    case 'object':
      return objects(schema)
    case 'array':
      return fc.array(valuesOf(schema.items ?? {}), {
        minLength: schema.minItems ?? 0,
        maxLength: schema.maxItems ?? 3,
      })
    case 'string':
      return fc.string(bounds({ minLength: schema.minLength, maxLength: schema.maxLength }))
    case 'integer':
      return fc.integer(bounds({ min, max }))
    case 'number':
      return fc.double({ ...bounds({ min, max }), noNaN: true, noDefaultInfinity: true })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    default:
      return fc.jsonValue()
  }
}

function objects({ properties = {}, required = [] }: JsonSchema): Arbitrary<object> {
  const fields = Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, valuesOf(schema)]))
  return fc.record(fields, { requiredKeys: required.filter((name) => name in fields) })
}

/** Without what is undefined. */
const bounds = <T extends object>(given: T): T =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T
