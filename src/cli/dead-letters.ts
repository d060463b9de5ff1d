// `holdfast dead-letters`: events that were set aside, because their sessions crashed on them. Reads beside the owner, or
// asks a server; changes nothing.

import type { SessionEntry } from '../listing.js'
import type { DeadLetter } from '../trouble.js'
import type { Output } from './output.js'
import { letterRows } from './session-view.js'
import { type Source, sourceAt, type Where } from './source.js'
import { printable } from './style.js'
import { table } from './table.js'

export interface DeadLettersOptions extends Where {
  /** Of sessions, on one page. */
  readonly limit: number
  readonly cursor?: string
}

type Letter = { readonly session: string; readonly kind: string } & DeadLetter

export async function deadLetters(
  prefix: string | undefined,
  options: DeadLettersOptions,
  output: Output,
): Promise<number> {
  const { limit, cursor: from } = options
  const source = await sourceAt(options, output)
  try {
    const page = { limit, ...(from !== undefined && { cursor: from }) }
    const { sessions, cursor } =
      prefix === undefined
        ? await source.list({ deadLetters: true }, page)
        : { sessions: [await source.find(prefix)], cursor: undefined }
    const letters: Letter[] = []
    for (const session of sessions) letters.push(...(await lettersOf(session, source)))
    output.list({ letters, ...(cursor !== undefined && { cursor }) }, letters, () =>
      table(letters.flatMap((letter) => letterRows([letter]).map((row) => [printable(letter.session), ...row]))).join(
        '\n',
      ),
    )
    if (cursor !== undefined) output.note(`more: add --cursor ${cursor}`)
    output.note(letters.length === 0 ? 'no event was set aside' : output.next('resend <id> <number> --kinds <module>'))
    return 0
  } finally {
    source.close()
  }
}

async function lettersOf({ id: session, kind }: SessionEntry, source: Source): Promise<Letter[]> {
  const { trouble } = await source.state(session)
  return (trouble?.letters ?? []).map((letter) => ({ session, kind, ...letter }))
}
