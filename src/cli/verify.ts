// `holdfast verify`: what today's kinds would make of what is stored, for whoever is about to deploy them. Reads beside the
// owner; changes nothing. Exits with 0 when nothing differs and everything would be restored, with 1 otherwise.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { AnySessionKind } from '../define.js'
import { HoldfastError } from '../errors.js'
import { verify as check } from '../open.js'
import type { Unfit, Verification } from '../verify.js'
import type { Output } from './output.js'
import { printable, type Style } from './style.js'

export interface VerifyCommand {
  readonly dir: string
  /** Modules whose exports are session kinds: paths, or names of packages. */
  readonly kinds: readonly string[]
  readonly active?: boolean
}

export async function verify({ dir, kinds: modules, active = false }: VerifyCommand, output: Output): Promise<number> {
  const kinds = (await Promise.all(modules.map(kindsIn))).flat()
  const verification = await check({ dir, kinds: [...new Set(kinds)], active })
  const { unfit } = verification
  output.list(verification, unfit, () => unfit.map((one) => unfitText(one, output.style)).join('\n'))
  output.note(verdict(verification))
  return unfit.length === 0 ? 0 : 1
}

function verdict({ sessions, transitions, migrations, unfit }: Verification): string {
  const count = new Set(unfit.map(({ session }) => session)).size
  const looked = `${sessions} session${sessions === 1 ? '' : 's'}, ${transitions} transitions`
  const migrated = migrations > 0 ? `; ${migrations} of an older version` : ''
  return `${looked}${migrated}: ${count === 0 ? 'nothing would differ' : `${count} would differ, or not be restored`}`
}

const unfitText = ({ session, kind, code, message }: Unfit, { bold, red, dim }: Style): string =>
  `${bold(printable(session))} ${dim(printable(kind))} ${red(code)}\n  ${printable(message)}`

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
