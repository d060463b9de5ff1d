// The workflow session kind: the statechart with its door, its steps and what its sessions are found by.
// Give it to `openRuntime({ kinds: [workflow] })`.

import { defineSession, type SessionKind } from 'holdfast'
import { inputSchema } from './config.js'
import { eventSchema } from './events.js'
import { type WorkflowMachine, workflowMachine } from './machine.js'
import { iterationIn } from './story.js'

/**
 * Commands that are iterated over a repository.
 *
 *     const config = { project_path: '/src/shop', workflow: ['npm run fix', 'npm test'], max_iterations: 5 }
 *     const session = await runtime.create(workflow, { config })
 *     await session.send({ type: 'start' })
 *     await session.result()
 */
export const workflow: SessionKind<WorkflowMachine> = defineSession({
  kind: 'workflow',
  version: 1,
  machine: workflowMachine,
  steps: new URL('./steps.js', import.meta.url),
  input: inputSchema as never,
  events: eventSchema,
  index: ({ context: { config, state, log } }) => ({
    status: state.type,
    type: config.execution_mode.type,
    worktree: config.execution_mode.type === 'worktree' ? config.execution_mode.name : null,
    project_path: config.project_path,
    name: config.workflow.name ?? null,
    iteration: iterationIn(log).number,
    started_at: log[0]?.[0]?.timestamp ?? null,
  }),
})
