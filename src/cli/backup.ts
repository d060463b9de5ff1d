// `holdfast backup` and `holdfast restore`: everything in a directory to one file, and back. Of a server, the backup is made
// there, and fetched to a file here.

import { existsSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import type { Backup } from '../backup.js'
import { describeDamage } from '../damage.js'
import { replaceFile, writeAll } from '../disk.js'
import { HoldfastError, isHoldfastError } from '../errors.js'
import { createFileDisk } from '../files/disk.js'
import type { Damage } from '../journal.js'
import { backupDirectory, restoreBackup } from '../open.js'
import { withHint } from './failure.js'
import type { Output } from './output.js'
import { placeAt, refuseReplacing, targetOf } from './place.js'
import { clientAt, type Where } from './source.js'
import { printable } from './style.js'
import { bytesText, timeText } from './values.js'

export async function backup(file: string, where: Where, output: Output): Promise<number> {
  refuseReplacing(resolve(file))
  const written = await (where.url === undefined ? backupDirectory(file, placeAt(where.dir)) : fetchBackup(file, where))
  output.data(written, () => printable(written.path))
  warn(written.damage, output)
  output.note(
    `${bytesText(written.bytes)}; ${output.next(`restore ${printable(file)}`)} puts it back into an empty one`,
  )
  return 0
}

/** Has a server make a backup, and fetches it: the file here is whole, or as it was. Rejects with what that server refuses. */
export async function fetchBackup(file: string, where: Where): Promise<Backup> {
  const path = resolve(file)
  if (!existsSync(dirname(path)))
    throw new HoldfastError('FILE_NOT_FOUND', `there is no folder ${dirname(path)}; make it first`)
  using client = await clientAt(where)
  const made = await client
    .post<Omit<Backup, 'path'> & { readonly file: string }>('/v1/backup')
    .catch((error: unknown) => {
      const here = isHoldfastError(error, 'NOT_ALLOWED')
      throw here ? withHint(error, 'the server makes backups in the folder of serve --backups, for an admin') : error
    })
  const body = await client.read(`/v1/backups/${made.file}`)
  await replaceFile(createFileDisk(dirname(path)), basename(path), async (target) => {
    let bytes = 0
    for await (const chunk of body) {
      await writeAll(target, chunk, bytes)
      bytes += chunk.length
    }
    if (bytes !== made.bytes) throw cutOff(bytes, made.bytes)
  })
  const { bytes, end, damage } = made
  return { path, bytes, end, damage }
}

const cutOff = (got: number, bytes: number): HoldfastError =>
  new HoldfastError('SERVER_UNREACHABLE', `the backup was cut off: ${got} of ${bytes} bytes have come; try again`)

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
