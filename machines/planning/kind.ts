// The planning session kind: the statechart with its door, its steps and what its sessions are found by.
// Give it to `openRuntime({ kinds: [planning] })`.

import { defineSession, type SessionKind } from 'holdfast'
import { eventSchema } from './events.js'
import { inputSchema } from './input.js'
import { type PlanningMachine, planningMachine } from './machine.js'
import { statusOf } from './state.js'

/**
 * From a document to issues.
 *
 *     const session = await runtime.create(planning, { title: 'Checkout', source: 'docs/checkout.md' })
 *     await session.send({ type: 'start' })
 *     await session.until(({ value }) => value === 'completed' || value === 'failed')
 */
export const planning: SessionKind<PlanningMachine> = defineSession({
  kind: 'planning',
  version: 1,
  machine: planningMachine,
  steps: new URL('./steps.js', import.meta.url),
  input: inputSchema,
  events: eventSchema,
  index: ({ context: { organizationId, title }, value }) => ({ organizationId, status: statusOf(value), title }),
})
