// Session kinds from the modules that a command line names, and which sessions an opening with them would park.
// Whether a session is parked is nowhere on the disk: it is a matter of the code that opens the directory, and of damage.

import { existsSync } from 'node:fs'
import { relative, resolve } from 'node:path'
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
  const isThere = existsSync(path)
  if (!isThere && isPath(name)) throw absent(name, path)
  let exports: { readonly [name: string]: unknown }
  try {
    exports = await import(isThere ? pathToFileURL(path).href : name)
  } catch (cause) {
    const { code, message } = cause as { readonly code?: string; readonly message: string }
    if (!isThere && code === 'ERR_MODULE_NOT_FOUND' && /^Cannot find package/.test(message)) throw absent(name, path)
    const what = code === 'ERR_UNKNOWN_FILE_EXTENSION' ? 'is not JavaScript: compile it (npx tsc)' : undefined
    throw unusable(name, what ?? `cannot be loaded (${message})`, cause)
  }
  const kinds = Object.values(exports).flat().filter(isKind)
  if (kinds.length === 0) throw unusable(name, 'exports no session kind')
  return kinds
}

/** What no package is called. */
const isPath = (name: string): boolean => /^[./\\]|^[A-Za-z]:[\\/]/.test(name)

function absent(name: string, path: string): HoldfastError {
  const place = relative('', path)
  const source = path.replace(/\.([cm]?)js$/, '.$1ts')
  if (source !== path && existsSync(source))
    return unusable(name, `is not there, but ${relative('', source)} is: compile it (npx tsc)`)
  return unusable(name, isPath(name) ? `is not there: no file ${place}` : `is no file ${place}, and no package`)
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
