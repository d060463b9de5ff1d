// The events of a kind's machine as arbitraries of fast-check: their types from the machine, their payloads from a map of
// arbitraries, or from the kind's schema where that can say what it is as JSON Schema, else none.

import type { StandardJSONSchemaV1 } from '@standard-schema/spec'
import type { Arbitrary } from 'fast-check'
import type { AnyMachine, AnySessionKind, KindEvent, SessionKind } from '../define.js'
import type { RecordedEvent } from '../record.js'
import { fc } from './fast-check.js'
import { type JsonSchema, valuesOf } from './schema.js'

/** By type of event: what it carries beside its type. */
export type Payloads<TMachine extends AnyMachine> = {
  readonly [TType in KindEvent<TMachine>['type']]?: Arbitrary<
    Omit<Extract<KindEvent<TMachine>, { type: TType }>, 'type'>
  >
}

const MOST_EVENTS = 12

/**
 * Sequences of events for a kind: every type that its machine has a transition for, XState's own and wildcards left out.
 *
 *     fc.assert(fc.property(eventsOf(review, { comment: fc.record({ text: fc.string() }) }), (events) => …))
 */
export function eventsOf<TMachine extends AnyMachine>(
  kind: SessionKind<TMachine>,
  payloads: Payloads<TMachine> = {},
): Arbitrary<KindEvent<TMachine>[]> {
  const given: { readonly [type: string]: Arbitrary<object> | undefined } = payloads
  const bySchema = schemasOf(kind)
  const one = eventTypes(kind).map((type): Arbitrary<RecordedEvent> => {
    const payload = given[type] ?? payloadOf(bySchema.get(type))
    return payload.map((fields) => ({ ...fields, type }))
  })
  const events = one.length > 0 ? fc.array(fc.oneof(...one), { maxLength: MOST_EVENTS }) : fc.constant([])
  return events as Arbitrary<KindEvent<TMachine>[]>
}

/** The types of events that a machine takes from outside. */
export function eventTypes({ machine }: AnySessionKind): string[] {
  const types: readonly string[] = machine.events
  return types.filter((type) => !type.startsWith('xstate.') && !type.includes('*')).sort()
}

/** What a type of event carries, if the kind's schema tells. */
function payloadOf(schema: JsonSchema | undefined): Arbitrary<object> {
  const { type: _, ...properties } = schema?.properties ?? {}
  return valuesOf({ ...schema, type: 'object', properties }) as Arbitrary<object>
}

/** Type of event -> its part of the kind's schema. A schema that has none as JSON Schema tells nothing. */
function schemasOf({ events }: AnySessionKind): Map<string, JsonSchema> {
  const standard = events?.['~standard'] as Partial<StandardJSONSchemaV1['~standard']> | undefined
  try {
    const whole = standard?.jsonSchema?.input({ target: 'draft-2020-12' }) as JsonSchema | undefined
    const parts = whole?.anyOf ?? whole?.oneOf ?? (whole ? [whole] : [])
    return new Map(parts.map((part) => [String(part.properties?.type?.const), part]))
  } catch {
    return new Map()
  }
}
