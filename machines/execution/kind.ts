// The execution session kind: the statechart with its door, its steps and what its sessions are found by, so that no question
// about many sessions opens one. Give it to `openRuntime({ kinds: [execution, executionCleanup] })`.

import { defineSession, type SessionKind } from 'holdfast'
import { eventSchema } from './events.js'
import { inputSchema } from './input.js'
import { type ExecutionMachine, type ExecutionValue, executionMachine } from './machine.js'

/**
 * Daily plans of a team, confirmed and modified by people.
 *
 *     const session = await runtime.create(execution, { adminUserId: 'ada', teamId: 'ENG', plan: true })
 *     await session.send({ type: 'confirm', by: 'ada' })
 */
export const execution: SessionKind<ExecutionMachine> = defineSession({
  kind: 'execution',
  version: 1,
  machine: executionMachine,
  steps: new URL('./steps.js', import.meta.url),
  input: inputSchema,
  events: eventSchema,
  index: ({
    context: { adminUserId, teamId, organizationId, planCount, modifications, counts, ...context },
    value,
  }) => ({
    status: (value as ExecutionValue).status,
    ...{ adminUserId, teamId, organizationId, planCount },
    generatedAt: context.generatedAt,
    confirmedAt: context.confirmedAt ?? null,
    completedAt: context.completedAt ?? null,
    cancelledAt: context.cancelledAt ?? null,
    modifications: modifications.length,
    processed: counts.processed,
    errors: counts.errors,
    queued: counts.queued,
    unprocessed: counts.processed < modifications.length,
    problems: context.problems.length,
  }),
})
