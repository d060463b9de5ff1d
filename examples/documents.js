// A planning document over its life: two people change it, a version is restored, it becomes work items and is archived.
// Run it: node examples/documents.js (after npm install)
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRuntime } from 'holdfast'
import { document, PlanningSessionManager } from 'holdfast/machines/document'

const dir = mkdtempSync(join(tmpdir(), 'holdfast-documents-'))
const open = async () => {
  const runtime = await openRuntime({ dir, kinds: [document] })
  return { runtime, manager: new PlanningSessionManager(undefined, undefined, { runtime }) }
}

const today = await open()
const { data: begun } = await today.manager.create({
  title: 'Checkout',
  initial_content: '# Checkout\n\nPay by card.\n',
})
const change = (content, updated_by) => today.manager.update(begun.id, { content, updated_by })
// At the same time: both are kept, one after the other.
await Promise.all([
  change('# Checkout\n\nPay by card or invoice.\n', 'ada'),
  change('# Checkout\n\nPay by card.\n\nRefunds.\n', 'grace'),
])
await today.runtime.close()

// Tomorrow, another process opens the same directory.
const { runtime, manager } = await open()
const [plan] = (await manager.findActive()).data
for (const { version_number, created_by, content } of (await manager.getVersions(plan.id)).data) {
  console.log(`version ${version_number}`, created_by ?? '-', JSON.stringify(content))
}
await manager.restoreVersion(plan.id, 1, 'ada')
await manager.markConverted(plan.id, { project_id: 'shop', work_item_ids: ['wi-1', 'wi-2'] })
const refused = await manager.update(plan.id, { content: 'too late' })
console.log(refused.error.code, refused.error.details)
const { data: archived } = await manager.archive(plan.id)
console.log(archived.status, `after ${archived.current_version} versions`)
await runtime.close()
rmSync(dir, { recursive: true })
