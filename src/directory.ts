// What a data directory says of itself: its format and kinds in `holdfast.json`, its owner in `lock`.
// Reading only, over the Disk port. A file that cannot be read says nothing; a newer format is refused, untouched.

import { crc32 } from 'node:zlib'
import { type Disk, readAll } from './disk.js'
import { HoldfastError } from './errors.js'

const FORMAT = 1
export const DIRECTORY_FILE = 'holdfast.json'
export const LOCK_FILE = 'lock'

/** What `holdfast.json` holds: the format of the directory and every kind that was ever opened with it. */
export interface DirectoryFile {
  readonly holdfast: number
  readonly kinds: { readonly [kind: string]: number }
}

/** What the lock file tells of the owner. */
export interface Owner {
  readonly pid: number
  readonly since: string
}

/** The text of `holdfast.json`. It is good to the last byte, or damaged: the checksum is that of the kinds as JSON. */
export function directoryText(kinds: DirectoryFile['kinds']): string {
  const checksum = crc32(JSON.stringify(kinds), FORMAT).toString(16).padStart(8, '0')
  return `${JSON.stringify({ holdfast: FORMAT, kinds, checksum }, null, 2)}\n`
}

/** Throws FORMAT_NEWER when a newer Holdfast wrote the directory. Changes nothing. */
export function readDirectoryFile(disk: Disk): DirectoryFile | undefined {
  const bytes = readAll(disk, DIRECTORY_FILE)
  if (!bytes) return undefined
  const text = new TextDecoder().decode(bytes)
  let directory: Partial<DirectoryFile> | null
  try {
    directory = JSON.parse(text) as Partial<DirectoryFile> | null
  } catch {
    return undefined // It only repeats what the journal knows; it is written anew.
  }
  const { holdfast = 0, kinds = {} } = directory ?? {}
  if (holdfast <= FORMAT) return text === directoryText(kinds) ? { holdfast, kinds } : undefined
  throw new HoldfastError(
    'FORMAT_NEWER',
    `${disk.location} has format ${holdfast}, as ${DIRECTORY_FILE} says, and this Holdfast reads ${FORMAT}; install a newer one`,
    { details: { file: DIRECTORY_FILE, format: holdfast } },
  )
}

/** What Holdfast keeps at the top of a directory. */
const OWN = [DIRECTORY_FILE, LOCK_FILE, 'journal', 'sessions', 'index.jsonl', 'quarantine', 'access', 'audit']
/** What a file system or a desktop puts into a folder by itself; what begins with a dot is no content either. */
const NOBODYS = ['lost+found', 'Thumbs.db', 'desktop.ini']
/** How many of them a refusal names. */
const NAMED = 3

/**
 * Throws DIRECTORY_NOT_EMPTY for a folder of other things: files of Holdfast's would stand among them, and one that is called as
 * they are would be replaced. A folder is Holdfast's when a journal or `holdfast.json` is in it, or by its name. Changes nothing.
 */
export function refuseForeign(disk: Disk): void {
  if (disk.location.endsWith('.holdfast')) return
  const files = disk.list('').filter((name) => !name.startsWith('.') && !OWN.includes(name) && !NOBODYS.includes(name))
  if (files.length === 0 || isOurs(disk)) return
  const named = files.slice(0, NAMED).join(', ')
  const more = files.length > NAMED ? ` and ${files.length - NAMED} more` : ''
  throw new HoldfastError(
    'DIRECTORY_NOT_EMPTY',
    `${disk.location} holds other files (${named}${more}) and no sessions; name a directory of its own, or, to have sessions among them, put an empty file ${DIRECTORY_FILE} there`,
    { details: { dir: disk.location } },
  )
}

/** A journal without `holdfast.json` is what a crash, or damage, leaves. */
function isOurs(disk: Disk): boolean {
  if (disk.list('journal').some((name) => /^(\d{8}|floor)\.jsonl/.test(name))) return true
  const file = disk.openRead(DIRECTORY_FILE)
  file?.close()
  return file !== undefined
}

/** Who owns a directory, if the owner has said so and has not gone in order. */
export function ownerOf(disk: Disk, file: string = LOCK_FILE): Owner | undefined {
  const { pid, since } = readLock(disk, file)
  return typeof pid === 'number' && typeof since === 'string' ? { pid, since } : undefined
}

/** The highest epoch of a writer that the lock file tells; 0 when it tells none. */
export function epochOf(disk: Disk, file: string = LOCK_FILE): number {
  const { epoch } = readLock(disk, file)
  return typeof epoch === 'number' && Number.isSafeInteger(epoch) ? epoch : 0
}

/** The text of the lock file. It outlives the owner but for who that was: `epoch` is the last that a writer had. */
export const lockText = (owner: Owner | undefined, epoch: number): string => JSON.stringify({ ...owner, epoch })

function readLock(disk: Disk, file: string): Partial<Owner> & { readonly epoch?: unknown } {
  const bytes = readAll(disk, file)
  try {
    const told: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof told === 'object' && told !== null ? told : {}
  } catch {
    return {}
  }
}
