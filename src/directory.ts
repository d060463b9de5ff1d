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

const SEGMENT = /^(\d{8}|floor)\.jsonl/
/** Snapshots are in folders of two hex digits. */
const SHARD = /^[0-9a-f]{2}$/

/** What Holdfast keeps at the top of a directory, and by what it is told from somebody else's of that name, where it would replace that. */
const OWN: { readonly [name: string]: (disk: Disk) => boolean } = {
  [DIRECTORY_FILE]: () => true,
  // One that was being written when the power went is empty, or zeros.
  [LOCK_FILE]: (disk) => /^($|\{|\0)/.test(headOf(disk, LOCK_FILE) ?? 'a folder'),
  journal: (disk) => namesIn(disk, 'journal')?.every((name) => SEGMENT.test(name)) ?? false,
  sessions: (disk) => namesIn(disk, 'sessions')?.every((name) => SHARD.test(name)) ?? false,
  'index.jsonl': (disk) => headOf(disk, 'index.jsonl')?.startsWith('{"holdfast":') ?? false,
  quarantine: () => true,
  access: () => true,
  audit: () => true,
}
/** What a file system or a desktop puts into a folder by itself; what begins with a dot is no content either. */
const NOBODYS = ['lost+found', 'Thumbs.db', 'desktop.ini']
/** How many of them a refusal names. */
const NAMED = 3

/**
 * Throws DIRECTORY_NOT_EMPTY for a folder of other things: files of Holdfast's would stand among them, and one that is called as
 * they are would be replaced. A folder is Holdfast's when it `isOurs`, or by its name. Changes nothing.
 */
export function refuseForeign(disk: Disk): void {
  if (disk.location.endsWith('.holdfast')) return
  const names = disk.list('').filter((name) => !name.startsWith('.') && !NOBODYS.includes(name))
  const files = names.filter((name) => !(Object.hasOwn(OWN, name) && OWN[name]?.(disk)))
  if (files.length === 0 || isOurs(disk)) return
  const named = files.slice(0, NAMED).join(', ')
  const more = files.length > NAMED ? ` and ${files.length - NAMED} more` : ''
  throw new HoldfastError(
    'DIRECTORY_NOT_EMPTY',
    `${disk.location} holds other files (${named}${more}) and no sessions; name a directory of its own, or, to have sessions among them, put an empty file ${DIRECTORY_FILE} there`,
    { details: { dir: disk.location } },
  )
}

/** A `holdfast.json`, a part of a journal, or a snapshot: any of them may be all that a crash, or damage, has left. */
export function isOurs(disk: Disk): boolean {
  const file = disk.openRead(DIRECTORY_FILE)
  file?.close()
  if (file || namesIn(disk, 'journal')?.some((name) => SEGMENT.test(name))) return true
  const shards = namesIn(disk, 'sessions')?.filter((name) => SHARD.test(name)) ?? []
  return shards.some((shard) =>
    namesIn(disk, `sessions/${shard}`)?.some((name) =>
      /^\{\s*"holdfast":/.test(headOf(disk, `sessions/${shard}/${name}`) ?? ''),
    ),
  )
}

/** None where it is not there; undefined when it is a file. */
function namesIn(disk: Disk, folder: string): readonly string[] | undefined {
  try {
    return disk.list(folder)
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOTDIR') return undefined
    throw error
  }
}

const HEAD_BYTES = 32

/** How the text of a file begins; undefined when it is not there, or is a folder. */
function headOf(disk: Disk, path: string): string | undefined {
  const head = new Uint8Array(HEAD_BYTES)
  const file = disk.openRead(path)
  try {
    return file && new TextDecoder().decode(head.subarray(0, file.readSync(head, 0)))
  } catch (error) {
    if ((error as { code?: unknown }).code === 'EISDIR') return undefined
    throw error
  } finally {
    file?.close()
  }
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
