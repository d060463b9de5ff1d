// `holdfast verify`: what today's kinds would make of what is stored, for whoever is about to deploy them. Reads beside the
// owner, or a backup of a server's; changes nothing. Exits with 0 when nothing differs and everything would be restored, with 1 otherwise.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { verify as check, restoreBackup } from '../open.js'
import type { Unfit, Verification } from '../verify.js'
import { fetchBackup } from './backup.js'
import { kindsOf } from './kind-modules.js'
import type { Output } from './output.js'
import { placeAt, targetOf } from './place.js'
import type { Where } from './source.js'
import { printable, type Style } from './style.js'

export interface VerifyCommand extends Where {
  /** Modules whose exports are session kinds: paths, or names of packages. */
  readonly kinds: readonly string[]
  readonly active?: boolean
}

export async function verify(command: VerifyCommand, output: Output): Promise<number> {
  const { kinds: modules, active = false } = command
  const kinds = await kindsOf(modules)
  const verification = await (command.url === undefined
    ? check({ ...placeAt(command.dir), kinds, active })
    : aside(command, (place) => check({ ...place, kinds, active })))
  const { unfit } = verification
  output.list(verification, unfit, () => unfit.map((one) => unfitText(one, output.style)).join('\n'))
  output.note(verdict(verification))
  return unfit.length === 0 ? 0 : 1
}

/** Records are told by no server: a backup of it is put back in a folder for the while. */
async function aside<T>(where: Where, look: (place: ReturnType<typeof placeAt>) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-verify-'))
  try {
    const file = join(folder, 'backup')
    const dir = join(folder, 'data')
    await fetchBackup(file, where)
    await restoreBackup(file, targetOf(file, dir))
    return await look(placeAt(dir))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function verdict({ sessions, transitions, migrations, unfit }: Verification): string {
  const count = new Set(unfit.map(({ session }) => session)).size
  const looked = `${sessions} session${sessions === 1 ? '' : 's'}, ${transitions} transitions`
  const migrated = migrations > 0 ? `; ${migrations} of an older version` : ''
  return `${looked}${migrated}: ${count === 0 ? 'nothing would differ' : `${count} would differ, or not be restored`}`
}

const unfitText = ({ session, kind, code, message }: Unfit, { bold, red, dim }: Style): string =>
  `${bold(printable(session))} ${dim(printable(kind))} ${red(code)}\n  ${printable(message)}`
