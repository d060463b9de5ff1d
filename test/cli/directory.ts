// Data directories to read: made by a real runtime, and everything of them that could change.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { openRuntime, type Runtime } from 'holdfast'
import { counter } from '../fixtures/counter.js'

export { counter }

export const openCounters = (dir: string): Promise<Runtime> => openRuntime({ dir, kinds: [counter], pool: 'inline' })

/** Creates a counter and lets it count. */
export async function count(runtime: Runtime, id: string, times: number): Promise<void> {
  const session = await runtime.create(counter, undefined, { id })
  for (let number = 1; number <= times; number++) await session.send({ type: 'add', by: 1, id: `${id}-${number}` })
}

/** Every file with its content, size, times and mode: equal before and after means that nothing was written. */
export function footprint(dir: string): Record<string, unknown> {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true })
  return Object.fromEntries(
    entries.map((entry) => {
      const path = join(entry.parentPath, entry.name)
      const { size, mtimeMs, ctimeMs, mode } = statSync(path)
      const content = entry.isFile() ? readFileSync(path, 'latin1') : ''
      return [path, { size, mtimeMs, ctimeMs, mode, content }]
    }),
  )
}
