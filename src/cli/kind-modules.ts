// Session kinds from the modules that a command line names, and which sessions an opening with them would park.
// Whether a session is parked is nowhere on the disk: it is a matter of the code that opens the directory, and of damage.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { AnySessionKind } from '../define.js'
import { HoldfastError } from '../errors.js'
import type { SessionEntry } from '../listing.js'
import type { Reader } from '../reader.js'

/** Why sessions would be parked, by id: those whose damage is known, and with modules of kinds, those that do not fit them. */
export async function parkedAmong(
  sessions: Iterable<SessionEntry>,
  reader: Reader,
  modules: readonly string[] | undefined,
): Promise<ReadonlyMap<string, HoldfastError>> {
  const parked = new Map(reader.unreadable.map(({ id, reason }) => [id, reason]))
  if (!modules) return parked
  // Only here: it brings the engine along.
  const [{ kindsByName }, { whyParked }] = await Promise.all([import('../kinds.js'), import('../verify.js')])
  const kinds = kindsByName(await kindsOf(modules))
  for (const entry of sessions) {
    const reason = whyParked(reader, entry, kinds)
    if (reason) parked.set(entry.id, reason)
  }
  return parked
}

/** What tells the tags of a session's state, from the kinds in modules. */
export async function tagsIn(modules: readonly string[]): Promise<(session: SessionEntry) => readonly string[]> {
  // Only here: it brings the engine along.
  const [{ kindsByName }, { tagsOf }] = await Promise.all([import('../kinds.js'), import('../machine-snapshot.js')])
  const kinds = kindsByName(await kindsOf(modules))
  return ({ kind, value }) => tagsOf(kinds.get(kind)?.machine, value)
}

/** The session kinds among the exports of modules, each once. Rejects with INVALID_ARGUMENT for a module that has none. */
export async function kindsOf(modules: readonly string[]): Promise<AnySessionKind[]> {
  return [...new Set((await Promise.all(modules.map(kindsIn))).flat())]
}

/** The session kinds among the exports of a module, and in lists among them. */
async function kindsIn(name: string): Promise<AnySessionKind[]> {
  const path = resolve(name)
  let exports: { readonly [name: string]: unknown }
  try {
    exports = await import(existsSync(path) ? pathToFileURL(path).href : name)
  } catch (cause) {
    throw unusable(name, `cannot be loaded (${(cause as Error).message})`, cause)
  }
  const kinds = Object.values(exports).flat().filter(isKind)
  if (kinds.length === 0) throw unusable(name, 'exports no session kind')
  return kinds
}

/** By what it has: the module may have been made with another copy of Holdfast. */
function isKind(value: unknown): value is AnySessionKind {
  const { kind, version, machine, children } = (value ?? {}) as Partial<AnySessionKind>
  return typeof kind === 'string' && typeof version === 'number' && machine !== undefined && children instanceof Map
}

const unusable = (name: string, what: string, cause?: unknown): HoldfastError =>
  new HoldfastError('INVALID_ARGUMENT', `--kinds ${name} ${what}; name a module that exports what defineSession gave`, {
    cause,
  })
