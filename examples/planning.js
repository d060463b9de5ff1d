// A document becomes issues, by the names of the planning façade: in `.holdfast/tracker.json`, or with LINEAR_API_KEY and
// LINEAR_TEAM_ID in the environment in Linear. Kill it at any moment and run it again: it goes on, and makes nothing twice.
//   node examples/planning.js [document: a file, a URL, a page of Confluence]
import { join, resolve } from 'node:path'
import { openRuntime } from 'holdfast'
import {
  createPlanningSession,
  PlanningSessionStatus,
  planning,
  planningSessionStateStore,
  startPlanningProcess,
  usePlanningRuntime,
} from 'holdfast/machines/planning'

const source = process.argv[2] ?? join(import.meta.dirname, 'marketplace.md')
const document = /^https?:/.test(source) ? source : resolve(source)
const dir = process.env.HOLDFAST_DIR ?? '.holdfast'

const runtime = await openRuntime({ dir, kinds: [planning] })
usePlanningRuntime(runtime, {
  trackerFile: join(dir, 'tracker.json'),
  ...(process.env.LINEAR_TEAM_ID && { tracker: 'linear' }),
})

// One session a document: the second run finds the first one's.
const sessions = await planningSessionStateStore.getStatesByOrganization('acme')
const known = sessions.find(({ confluencePageUrl }) => confluencePageUrl === document)
const { id, status } = known ?? (await createPlanningSession('acme', document, 'My plan'))
if (status === PlanningSessionStatus.PENDING) await startPlanningProcess(id)

const session = runtime.session(id, planning)
session.progress$().subscribe(({ step, message }) => console.error(`${step}: ${message ?? ''}`))
await session.until(({ value }) => value === 'completed' || value === 'failed')

const { errors, warnings, result } = await planningSessionStateStore.getState(id)
for (const { message } of [...errors, ...warnings]) console.log(message)
if (result) for (const [type, ids] of Object.entries(result)) console.log(`${Object.keys(ids).length} ${type}`)
await runtime.close()
