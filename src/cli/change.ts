// `holdfast cancel`, `release`, `resend`, `discard` and `delete`: one verb of one session each, and what became of it.

import type { Output } from './output.js'
import { transitionRows } from './session-view.js'
import { printable } from './style.js'
import { table } from './table.js'
import { at, type ChangeWhere, type Handle, requireThere } from './target.js'
import { stateText } from './values.js'

export interface CancelCommand extends ChangeWhere {
  readonly reason?: string
}

export async function cancel(prefix: string, command: CancelCommand, output: Output): Promise<number> {
  const { reason } = command
  return shown(prefix, command, output, (session) => session.cancel(reason === undefined ? {} : { reason }))
}

export function release(prefix: string, command: ChangeWhere, output: Output): Promise<number> {
  return shown(prefix, command, output, (session) => session.release())
}

export async function resend(prefix: string, letter: number, command: ChangeWhere, output: Output): Promise<number> {
  const transition = await of(prefix, command, output, (session) => session.resend(letter))
  output.data(transition, () => table(transitionRows([transition])).join('\n'))
  return 0
}

export async function discard(prefix: string, letter: number, command: ChangeWhere, output: Output): Promise<number> {
  const session = await of(prefix, command, output, async (session) => {
    await session.discard(letter)
    return session.id
  })
  output.data({ session, letter }, () => printable(session))
  output.note(`dead letter ${letter} is gone`)
  return 0
}

export async function remove(prefix: string, command: ChangeWhere, output: Output): Promise<number> {
  const session = await of(prefix, command, output, async (session) => {
    await session.delete()
    return session.id
  })
  output.data({ session }, () => printable(session))
  output.note('it is gone for good')
  return 0
}

/** The session as it is afterwards. */
async function shown(
  prefix: string,
  where: ChangeWhere,
  output: Output,
  act: (session: Handle) => Promise<void>,
): Promise<number> {
  const snapshot = await of(prefix, where, output, async (session) => {
    await act(session)
    return session.snapshot()
  })
  const { id, status, value } = snapshot
  output.data(snapshot, () => printable(id))
  output.note(`it is ${status}, in ${printable(stateText(value))}; ${output.next(`show ${id}`)}`)
  return 0
}

function of<T>(
  prefix: string,
  where: ChangeWhere,
  output: Output,
  act: (session: Handle) => T | Promise<T>,
): Promise<T> {
  requireThere(where, output)
  return at(where, output, async (target) => act(await target.session(prefix)))
}
