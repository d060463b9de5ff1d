// `holdfast backup` and `holdfast restore`: everything in a directory to one file, and back.

import { describeDamage } from '../damage.js'
import type { Damage } from '../journal.js'
import { backupDirectory, restoreBackup } from '../open.js'
import type { Output } from './output.js'
import { placeAt, targetOf } from './place.js'
import { printable } from './style.js'
import { bytesText, timeText } from './values.js'

export async function backup(file: string, dir: string, output: Output): Promise<number> {
  const written = await backupDirectory(file, placeAt(dir))
  output.data(written, () => printable(written.path))
  warn(written.damage, output)
  output.note(
    `${bytesText(written.bytes)}; ${output.next(`restore ${printable(file)}`)} puts it back into an empty one`,
  )
  return 0
}

export async function restore(file: string, dir: string, output: Output): Promise<number> {
  const restored = await restoreBackup(file, targetOf(file, dir))
  const { sessions, bytes, at } = restored
  output.data(restored, () => printable(restored.dir))
  warn(restored.damage, output)
  const count = `${sessions} session${sessions === 1 ? '' : 's'}`
  output.note(`${count}, ${bytesText(bytes)}, as of ${timeText(at)}; ${output.next('ls')} shows them`)
  return 0
}

function warn(damage: readonly Damage[], output: Output): void {
  for (const found of damage) output.warn(`${describeDamage(found)}; it was so when the backup was written`)
}
