// The doctor's hand: does what the findings say, and no more. It moves to quarantine and writes anew what can be made from
// the journal; a session that cannot be read stays as it is.

import type { Clock } from '../clock.js'
import { type Diagnosis, diagnosisOf } from '../diagnosis.js'
import { DIRECTORY_FILE, directoryText } from '../directory.js'
import { type Disk, readAll, replaceFile } from '../disk.js'
import type { Position } from '../record.js'
import { Registry } from '../registry.js'
import { atOnce } from '../turns.js'
import { DurableFiles } from './durable-file.js'
import { readFileJournal } from './foreign-journal.js'
import { openFileJournal } from './open-journal.js'
import { following } from './patient.js'
import { createFileSnapshots } from './snapshots.js'

export interface RepairPorts {
  readonly disk: Disk
  readonly clock: Clock
  /** The highest epoch that the lock file tells. */
  readonly epoch: number
  /** Hears of the epoch with which the journal was opened. */
  began(epoch: number): void
}

/** Does what the findings say, and tells what was done. The caller holds the lock. Throws DISK_FULL or DISK_FAILED. */
export async function repairFiles(ports: RepairPorts, diagnosis: Diagnosis): Promise<Diagnosis> {
  const { disk } = ports
  const wanted = new Set(diagnosis.findings.map(({ repair }) => repair?.kind))
  const files = new DurableFiles(disk)
  const moved = new Map<string, boolean>()
  for (const { repair } of diagnosis.findings) {
    if (repair?.kind === 'set-aside') moved.set(repair.file, files.quarantine(repair.file) !== undefined)
  }
  if (wanted.has('renew-journal')) await renewJournal(ports)
  if (wanted.has('rebuild-index')) await rebuildIndex(disk, files)
  if (wanted.has('rewrite-directory-file')) await rewriteDirectoryFile(disk, files)
  const findings = diagnosis.findings.map((finding) => {
    const { repair } = finding
    if (!repair) return finding
    return { ...finding, done: repair.kind === 'set-aside' ? moved.get(repair.file) === true : true }
  })
  return diagnosisOf(diagnosis.dir, diagnosis.sessions, findings)
}

async function renewJournal({ disk, clock, epoch, began }: RepairPorts): Promise<void> {
  const opened = openFileJournal(disk, clock, { epoch })
  began(opened.epoch)
  await opened.journal.close()
}

async function rebuildIndex(disk: Disk, files: DurableFiles): Promise<void> {
  if (readAll(disk, 'index.jsonl')) files.quarantine('index.jsonl')
  const { registry, through } = journalTells(disk)
  await createFileSnapshots(disk, () => {}).writeIndex({ through, entries: [...registry.entries()] })
}

async function rewriteDirectoryFile(disk: Disk, files: DurableFiles): Promise<void> {
  if (readAll(disk, DIRECTORY_FILE)) files.quarantine(DIRECTORY_FILE)
  const kinds: Record<string, number> = {}
  for (const { kind, version } of journalTells(disk).registry.entries()) {
    kinds[kind] = Math.max(kinds[kind] ?? 0, version)
  }
  await replaceFile(disk, DIRECTORY_FILE, Buffer.from(directoryText(kinds)))
}

/** Complete `through` the last record, be it one of a session that is deleted: behind it there may be space that is reserved. */
function journalTells(disk: Disk): { readonly registry: Registry; readonly through: Position } {
  const journal = readFileJournal(disk, () => {})
  try {
    const registry = new Registry()
    registry.load(journal.floors(() => {}))
    return { registry, through: atOnce(following(registry, journal, journal.begin)) }
  } finally {
    journal.close()
  }
}
