// `holdfast verify`: what today's kinds would make of what is stored, for whoever is about to deploy them. Reads beside the
// owner; changes nothing. Exits with 0 when nothing differs and everything would be restored, with 1 otherwise.

import { verify as check } from '../open.js'
import type { Unfit, Verification } from '../verify.js'
import { kindsOf } from './kind-modules.js'
import type { Output } from './output.js'
import { placeAt } from './place.js'
import { printable, type Style } from './style.js'

export interface VerifyCommand {
  readonly dir: string
  /** Modules whose exports are session kinds: paths, or names of packages. */
  readonly kinds: readonly string[]
  readonly active?: boolean
}

export async function verify({ dir, kinds: modules, active = false }: VerifyCommand, output: Output): Promise<number> {
  const verification = await check({ ...placeAt(dir), kinds: await kindsOf(modules), active })
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
