// The usage examples of the system that this kind comes from run as they are written, on the built package, each in a process
// of its own: only the path of an import and the place of storage are others. The services are on the loopback interface.

import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import Database from 'libsql'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { builtPackage } from '../../piscina/built.js'
import { PEOPLE, TicketServer } from './linear-server.js'
import { CHANNEL, SlackServer } from './slack-server.js'

/** Word for word. */
const BASIC = `
import { createSessionManagementService } from './lib/services/session-management-service.js';

const sessionService = createSessionManagementService({
  databasePath: './data/sessions.db',
  autoCleanupDays: 30
});

// Create session
const session = await sessionService.createExecutionSession({
  adminUserId: 'admin-123',
  teamId: 'team-456',
  planCount: 5
});

// Add modifications
await sessionService.addPlanModification({
  sessionId: session.id,
  ticketId: 'ticket-1',
  userId: 'user-1',
  action: 'status_change',
  value: 'in_progress'
});

// Confirm and complete
await sessionService.confirmSession(session.id);
await sessionService.completeSession(session.id);
`
const INTEGRATION = `
import { createExecutionSessionIntegration } from './lib/services/execution-session-integration.js';

const integration = createExecutionSessionIntegration({
  sessionManagement: { databasePath: './data/sessions.db' },
  linear: { apiKey: 'key', teamId: 'team' },
  slack: { botToken: 'token', appToken: 'app', signingSecret: 'secret' }
});

// Create session with full integration
const result = await integration.createExecutionSession('admin-123', 'team-456');

// Process user modification
await integration.processUserModification(
  result.sessionId,
  'user-1',
  'ticket-1',
  'status_change',
  'in_progress'
);
`
const DEBUG = `
import { createSessionManagementService } from './lib/services/session-management-service.js';

const sessionService = createSessionManagementService({
  databasePath: './data/sessions.db',
  debug: true
});
`
const PACKAGE = 'holdfast/machines/execution'

let dir: string
let linear: TicketServer
let slack: SlackServer
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-execution-original-'))
  linear = new TicketServer()
  slack = new SlackServer()
})
afterEach(async () => {
  rmSync(dir, { recursive: true, force: true })
  await Promise.all([linear.close(), slack.close()])
})

const databasePath = (): string => join(dir, 'data', 'sessions.db')

/** Runs an example; gives what `told` is then, and what it said beside that. */
async function run(
  example: string,
  told: string,
  env: Record<string, string> = {},
): Promise<{ told: any; said: string }> {
  const written = example
    .replace(/from '\.\/lib\/[\w/.-]+'/g, `from '${PACKAGE}'`)
    .replaceAll(`'./data/sessions.db'`, JSON.stringify(databasePath()))
  const script = `${written}\nconsole.log(JSON.stringify(${told}))\nawait (typeof integration === 'undefined' ? sessionService : integration).close()`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: fileURLToPath(new URL('../', builtPackage())),
    env: { ...process.env, ...env },
  })
  let [out, said] = ['', '']
  child.stdout.on('data', (data: Buffer) => {
    out += data
  })
  child.stderr.on('data', (data: Buffer) => {
    said += data
  })
  expect(await new Promise((resolve) => child.on('close', resolve)), said).toBe(0)
  return { told: JSON.parse(out), said }
}

test('basic session management, and the tables that it leaves', async () => {
  const { told } = await run(BASIC, 'await sessionService.getSessionWithModifications(session.id)')
  expect(told).toMatchObject({
    ...{ status: 'completed', adminUserId: 'admin-123', teamId: 'team-456', planCount: 5 },
    modifications: [
      { ticketId: 'ticket-1', userId: 'user-1', action: 'status_change', value: 'in_progress', processed: false },
    ],
  })
  const database = new Database(databasePath())
  expect(database.prepare('SELECT id, status, plan_count FROM execution_sessions').all()).toEqual([
    { id: told.id, status: 'completed', plan_count: 5 },
  ])
  expect(database.prepare('SELECT session_id, value, processed FROM plan_modifications').all()).toEqual([
    { session_id: told.id, value: 'in_progress', processed: 0 },
  ])
  database.close()
  expect(statSync(databasePath()).mode & 0o777).toBe(0o600)
})

test('the integration service: plans from Linear, announced in Slack, a modification applied; and no key in what is stored', async () => {
  linear.key = 'key'
  linear.team.key = 'team'
  slack.tokens.add('token')
  linear.addTicket('ticket-1', { assignee: PEOPLE[0].id })
  const env = { LINEAR_API_URL: await linear.listen(), SLACK_API_URL: await slack.listen(), SLACK_CHANNEL: CHANNEL }
  const { told } = await run(INTEGRATION, '[result, await integration.getSessionStatus(result.sessionId)]', env)
  expect(told).toMatchObject([
    { status: 'pending', planCount: 1, modificationCount: 0, processedModifications: 0, errors: [] },
    { status: 'pending', planCount: 1, modificationCount: 1, processedModifications: 1, errors: [] },
  ])
  expect(linear.acts).toEqual(['ticket-1 state state-progress'])
  expect(linear.made).toHaveLength(1)
  expect(slack.messages.map(({ text }) => text.split('\n')[0])).toEqual([
    `1 execution plan for team-456, to be confirmed by admin-123 (${told[0].sessionId})`,
  ])
})

test('debug mode says every call', async () => {
  const { said } = await run(DEBUG, 'await sessionService.getSessionStats()')
  expect(said).toContain('execution: getSessionStats')
})

test('importing the kind loads no client of a service, no SQLite and no other kind', async () => {
  const hooks = `
    import { writeSync } from 'node:fs'
    export async function load(url, context, next) {
      writeSync(1, url + '\\n')
      return next(url, context)
    }`
  const main = `
    import { register } from 'node:module'
    register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hooks)}))
    await import('${PACKAGE}')`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', main], {
    cwd: fileURLToPath(new URL('../', builtPackage())),
  })
  const urls = stdout.split('\n').filter((url) => url !== '')
  expect(urls.some((url) => url.endsWith('machines/execution/machine.js'))).toBe(true)
  expect(urls.filter((url) => /linear|slack\/|libsql|execution\/steps|machines\/(?!execution\/)/.test(url))).toEqual([])
})
