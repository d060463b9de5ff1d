// Data directories to read: made by a real runtime, and everything of them that could change.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { openRuntime, type Runtime } from 'holdfast'
import { expect, vi } from 'vitest'
import { counter } from '../fixtures/counter.js'
import { fragile, gate, letters, tree } from '../fixtures/troubled.js'

export { counter }

export const openCounters = (dir: string): Promise<Runtime> => openRuntime({ dir, kinds: [counter], pool: 'inline' })

/** Creates a counter and lets it count. */
export async function count(runtime: Runtime, id: string, times: number): Promise<void> {
  const session = await runtime.create(counter, undefined, { id })
  for (let number = 1; number <= times; number++) await session.send({ type: 'add', by: 1, id: `${id}-${number}` })
}

/** Kinds of what is in trouble, has a family, waits for a person; and counters. */
export const openTroubled = (dir: string): Promise<Runtime> => {
  const logger = { info: () => {}, warn: () => {}, error: () => {} }
  return openRuntime({ dir, kinds: [counter, fragile, gate, letters, tree], pool: 'inline', logger })
}

/** One that is quarantined (`bad`), one with a dead letter (`odd`), one with a family (`oak`). */
export async function trouble(dir: string): Promise<void> {
  const wait = { timeout: 60_000 }
  await using runtime = await openTroubled(dir)
  const bad = await runtime.create(fragile, undefined, { id: 'bad' })
  for (const _ of [1, 2, 3]) await bad.send({ type: 'crash' }).catch(() => {})
  await vi.waitFor(() => expect(runtime.health().quarantined.map(({ id }) => id)).toEqual(['bad']), wait)
  const odd = await runtime.create(letters, undefined, { id: 'odd' })
  await odd.send({ type: 'later' })
  await vi.waitFor(() => expect(runtime.deadLetters().length).toBe(1), wait)
  await runtime.create(tree, undefined, { id: 'oak' })
  await vi.waitFor(() => expect(runtime.sessions.count({ kind: 'tree.branch.leaf' })).toBe(2), wait)
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
