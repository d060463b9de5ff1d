// The usage examples of the system that this kind comes from run as they are written, on the built package, each in a process
// of its own: only the path of an import and the place of storage (HOLDFAST_DIR) are others.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { builtPackage } from '../../piscina/built.js'

/** Word for word. */
const CREATING = `
import { createPlanningSession } from '../db/models';
import { planningSessionStateStore } from '../planning/state-store';

// Create a planning session in the database
const session = await createPlanningSession(
  organizationId,
  confluencePageUrl,
  title
);

// Initialize the state
const stateManager = await planningSessionStateStore.getStateManager(session.id.toString());
await stateManager.initialize();
`
const GETTING = `
import { planningSessionStateStore } from '../planning/state-store';

// Get the state of a planning session
const state = await planningSessionStateStore.getState(sessionId);
`
const UPDATING = `
import { planningSessionStateStore } from '../planning/state-store';
import { PlanningSessionStatus } from '../planning/state';

// Get a state manager for a planning session
const stateManager = await planningSessionStateStore.getStateManager(sessionId);

// Update the status
await stateManager.setStatus(PlanningSessionStatus.PROCESSING);

// Update the progress
await stateManager.setProgress(50, 'Processing');

// Add an error
await stateManager.addError('Something went wrong', 'ERROR_CODE', { details: 'Additional details' });

// Add a warning
await stateManager.addWarning('Something might be wrong', 'WARNING_CODE', { details: 'Additional details' });

// Set the result
await stateManager.setResult({
  epics: { 'epic-1': 'linear-epic-1' },
  features: { 'feature-1': 'linear-feature-1' },
  stories: { 'story-1': 'linear-story-1' },
  enablers: { 'enabler-1': 'linear-enabler-1' }
});
`
const STARTING = `
import { startPlanningProcess } from '../planning/process';

// Start the planning process
await startPlanningProcess(sessionId);
`
const PACKAGE = 'holdfast/machines/planning'

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-original-'))
  writeFileSync(join(dir, 'checkout.md'), '## Epic: Payments\n### Story: Pay by card\n')
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** Runs an example where its document has variables with these values; gives what `told` is then. */
function run(example: string, variables: Record<string, unknown>, told: string): Record<string, unknown> {
  const given = Object.entries(variables).map(([name, value]) => `const ${name} = ${JSON.stringify(value)}`)
  const written = example.replace(/from '\.\.\/[\w/-]+'/g, `from '${PACKAGE}'`)
  const after = `import { closePlanning } from '${PACKAGE}'\nconsole.log(JSON.stringify(${told}))\nawait closePlanning()`
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', [...given, written, after].join('\n')],
    {
      cwd: fileURLToPath(new URL('../', builtPackage())),
      env: { ...process.env, HOLDFAST_DIR: join(dir, 'data') },
      encoding: 'utf8',
    },
  )
  expect(status, stderr).toBe(0)
  return JSON.parse(stdout)
}

const create = () => {
  const variables = { organizationId: 'acme', confluencePageUrl: join(dir, 'checkout.md'), title: 'Checkout' }
  return run(CREATING, variables, 'stateManager.getState()')
}

test('creating a planning session, and getting its state in another process', () => {
  const created = create()
  expect(created).toMatchObject({
    ...{ organizationId: 'acme', confluencePageUrl: join(dir, 'checkout.md'), planningTitle: 'Checkout' },
    ...{ status: 'pending', progress: 0, errors: [], warnings: [] },
  })
  expect(run(GETTING, { sessionId: created.id }, 'state')).toEqual(created)
  expect(existsSync(join(dir, 'data', 'holdfast.json'))).toBe(true)
})

test('updating a planning session state: an error, then a warning, then a result, each is taken', () => {
  const { id: sessionId } = create()
  expect(run(UPDATING, { sessionId }, 'stateManager.getState()')).toMatchObject({
    status: 'completed',
    progress: 100,
    errors: [{ message: 'Something went wrong', code: 'ERROR_CODE', details: { details: 'Additional details' } }],
    warnings: [{ message: 'Something might be wrong', code: 'WARNING_CODE' }],
    result: { epics: { 'epic-1': 'linear-epic-1' }, enablers: { 'enabler-1': 'linear-enabler-1' } },
  })
})

test('starting a planning process: it does the work', () => {
  const { id: sessionId } = create()
  const told = `await (async () => {
    const { planningSessionStateStore } = await import('${PACKAGE}')
    for (;;) {
      const state = await planningSessionStateStore.getState(sessionId)
      if (state.status !== 'processing') return state
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()`
  expect(run(STARTING, { sessionId }, told)).toMatchObject({
    status: 'completed',
    result: { epics: { 'epic-1': 'LOCAL-1' }, features: {}, stories: { 'story-1': 'LOCAL-2' }, enablers: {} },
  })
})
