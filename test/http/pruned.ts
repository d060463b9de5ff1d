// A runtime with a session `pruned` of 61 transitions, the first of which are not kept.
import { createRuntime, type Runtime } from 'holdfast'
import { openFileJournal } from '../../src/files/open-journal.js'
import { createFileSnapshots } from '../../src/files/snapshots.js'
import { createInlinePool } from '../../src/inline/pool.js'
import { createMemoryDisk } from '../../src/memory/disk.js'
import { systemChance } from '../../src/system/chance.js'
import { systemClock } from '../../src/system/clock.js'
import { counter } from '../fixtures/counter.js'

export async function openPruned(): Promise<Runtime> {
  const disk = createMemoryDisk()
  disk.makeFolder('')
  const { journal } = openFileJournal(disk, systemClock, { segmentBytes: 1500, reserveBytes: 0, stallMs: 1e9 })
  const snapshots = createFileSnapshots(disk, () => {})
  const pool = createInlinePool({ clock: systemClock })
  const ports = { journal, snapshots, pool, clock: systemClock, chance: systemChance }
  const runtime = await createRuntime(ports, { kinds: [counter] })
  const session = await runtime.create(counter, undefined, { id: 'pruned' })
  for (let id = 0; id < 60; id++) await session.send({ type: 'add', by: 1, id } as never)
  await runtime.compact({ keepBytes: 0 })
  return runtime
}
