// A thousand versions of a document of 1 MB: what an update, a reading and a restoring cost at the beginning and at the end,
// and what all of it takes on the disk. `node bench/documents.js [versions]`; needs a build.
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { document, PlanningSessionManager } from '../dist/machines/document/index.js'
import { openRuntime } from '../dist/src/index.js'

const MB = 1024 * 1024
const SAMPLES = 20

const bytesIn = (path) =>
  statSync(path).isDirectory()
    ? readdirSync(path).reduce((sum, name) => sum + bytesIn(join(path, name)), 0)
    : statSync(path).size

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]

async function timed(act) {
  const times = []
  for (let n = 0; n < SAMPLES; n++) {
    const { user, system } = process.cpuUsage()
    await act(n)
    const used = process.cpuUsage({ user, system })
    times.push((used.user + used.system) / 1000)
  }
  return Number(median(times).toFixed(1))
}

/** A requirement a line, each edit in another place of the document. */
function edited(lines, n) {
  lines[(n * 7919) % lines.length] = `Requirement, as of edit ${n}: the system answers within ${n} ms.`
  return lines.join('\n')
}

export async function documents(versions = 1000) {
  const dir = mkdtempSync(join(process.env.HOLDFAST_BENCH_DIR ?? tmpdir(), 'holdfast-documents-'))
  const open = () => openRuntime({ dir, kinds: [document] })
  const lines = Array.from(
    { length: 12_000 },
    (_, n) => `Requirement ${n}: the system does thing ${n}, and says so to whoever asked.`,
  )
  const content = lines.join('\n').padEnd(MB, '\nmore')
  let runtime = await open()
  let manager = new PlanningSessionManager(undefined, undefined, { runtime })
  const { id } = (await manager.create({ title: 'Large', initial_content: content })).data
  const rows = []
  let made = 1
  const update = async () => void (await manager.update(id, { content: edited(lines, made++) })).data
  const measure = async (label) => {
    const updating = await timed(update)
    const restoring = await timed((n) => manager.getVersion(id, 1 + n))
    await runtime.close()
    const opening = await timed(async () => {
      runtime = await open()
      manager = new PlanningSessionManager(undefined, undefined, { runtime })
      await manager.get(id)
      await runtime.close()
    })
    runtime = await open()
    manager = new PlanningSessionManager(undefined, undefined, { runtime })
    rows.push({
      label,
      updateMs: updating,
      openAndGetMs: opening,
      getVersion1To20Ms: restoring,
      diskMB: Number((bytesIn(dir) / MB).toFixed(1)),
    })
  }
  await measure('first 20 versions')
  while (made < versions - SAMPLES) await update()
  await measure(`at ${versions} versions`)
  await runtime.close()
  rmSync(dir, { recursive: true, force: true })
  return rows
}

if (import.meta.url === pathToFileURL(process.argv[1]).href)
  console.table(await documents(Number(process.argv[2] ?? 1000)))
