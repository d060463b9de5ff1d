// `holdfast doctor`: what is wrong in a directory, or a server's, and what would be done about it; with --repair, what was done.
// Exits with 0 when nothing is wrong, or nothing any more, and with 1 otherwise.

import type { AuditHead } from '../audit-chain.js'
import { type Diagnosis, describeRepair, type Finding, isOpen } from '../diagnosis.js'
import { doctor as examine } from '../open.js'
import { usage } from './failure.js'
import type { Output } from './output.js'
import { placeAt } from './place.js'
import { clientAt, type Where } from './source.js'
import { printable, type Style } from './style.js'

export interface DoctorCommand extends Where {
  /** A head of the audit log that was kept. */
  readonly auditHead?: AuditHead
  readonly repair?: boolean
}

export async function doctor(command: DoctorCommand, output: Output): Promise<number> {
  const { dir, url, repair = false, auditHead } = command
  if (url !== undefined && repair)
    throw usage('a repair needs a directory that nobody has open', 'stop the server, then leave --url away')
  const diagnosis = await (url === undefined
    ? examine({ ...placeAt(dir), repair, ...(auditHead && { auditHead }) })
    : atServer(command))
  const { findings, healthy, sessions, audit } = diagnosis
  output.list(diagnosis, findings, () => findings.map((finding) => findingText(finding, output.style)).join('\n'))
  output.note(`${sessions} session${sessions === 1 ? '' : 's'}: ${verdict(diagnosis)}`)
  if (audit) output.note(`  keep this elsewhere, for a later --audit-head: ${audit.n}:${audit.hash}`)
  const repairable = findings.some(({ repair, done }) => repair && done === undefined)
  if (repairable) output.note(`  ${output.next('doctor --repair')} does what is said here; keep a copy before that`)
  return healthy ? 0 : 1
}

async function atServer({ auditHead, ...where }: DoctorCommand): Promise<Diagnosis> {
  using client = await clientAt(where)
  return await client.get<Diagnosis>(`/v1/doctor${auditHead ? `?auditHead=${auditHead.n}:${auditHead.hash}` : ''}`)
}

function verdict({ findings, healthy }: Diagnosis): string {
  if (healthy) return 'nothing is wrong'
  const count = findings.filter(isOpen).length
  return `${count} problem${count === 1 ? '' : 's'}`
}

function findingText(finding: Finding, { red, yellow, dim }: Style): string {
  const { severity, code, message, advice } = finding
  const head = severity === 'problem' ? red('problem') : yellow('note')
  const next = repairText(finding) ?? advice
  return `${head}: ${printable(message)} ${dim(`(${code})`)}${next === undefined ? '' : `\n  ${printable(next)}`}`
}

function repairText({ repair, done }: Finding): string | undefined {
  if (!repair) return undefined
  const what = describeRepair(repair)
  if (done === undefined) return `with --repair: ${what}`
  return done ? `done: ${what}` : `not done, the disk refused: ${what}`
}
