// Tickets in a file, so that everything runs with no account: a line of JSON for each thing that happened to them, appended and
// synced. It promises that a change is in it once, whoever dies when: a change has an id, and one that is there already is not
// made again. A line that a power cut tore is passed over, for nobody was told of it; a ticket is known from when it is named.
//
//   {"ticket":"ENG-1","title":"Pay by card","team":"ENG","state":"todo","assignee":{"id":"ada","name":"Ada"}}

import { mkdir, open, readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ServiceError } from '../errors.js'
import type { Change, Mark, NewPlan, Outcome, Ticket, Tracker } from '../tracker.js'

/** A line of the file: a ticket as it is known, a change, or a plan. */
export type TicketLine =
  | {
      readonly ticket: string
      readonly title?: string
      readonly team?: string
      readonly state?: string
      readonly priority?: number
      readonly assignee?: { readonly id: string; readonly name: string }
    }
  | { readonly change: string; readonly of: string; readonly by: string; readonly set: string; readonly to: string }
  | { readonly plan: string; readonly title: string; readonly text: string }

const CLOSED: readonly string[] = ['done', 'completed', 'canceled', 'cancelled', 'duplicate']

/** Lines of one file are written one call after the other, also of several sessions. */
const writing: Map<string, Promise<unknown>> = new Map()

interface Known {
  readonly ids: Set<string>
  /** Of the file, when it was read or written last. */
  readonly size: number
  /** Its last line has no end. */
  readonly torn: boolean
}

/** What was in files when this process wrote to them last. */
const read: Map<string, Known> = new Map()

export class LocalTracker implements Tracker {
  readonly parallel: number = 1
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  async openTickets(teamId: string): Promise<readonly Ticket[]> {
    const tickets = new Map<string, Ticket & { team: string }>()
    for (const line of await this.lines()) {
      if ('ticket' in line) {
        const { ticket: id, title = id, team = teamId, state = 'todo', priority = 0, assignee } = line
        tickets.set(id, { id, identifier: id, title, team, state, priority, ...(assignee && { assignee }) })
      } else if ('change' in line) {
        const known = tickets.get(line.of)
        if (!known) continue
        if (line.set === 'status_change') tickets.set(line.of, { ...known, state: line.to })
        if (line.set === 'reassign') tickets.set(line.of, { ...known, assignee: { id: line.to, name: line.to } })
      }
    }
    return [...tickets.values()]
      .filter(({ team, state }) => team === teamId && !CLOSED.includes(state.toLowerCase()))
      .map(({ team: _, ...ticket }) => ticket)
  }

  async storePlan(_: string, { clientId, title, text }: NewPlan): Promise<{ readonly id: string }> {
    await this.#once(clientId, { plan: clientId, title, text })
    return { id: clientId }
  }

  /** The change's own id tells everything. */
  look(_: Change): Promise<Mark> {
    return Promise.resolve('')
  }

  async apply({ clientId, ticketId, userId, action, value }: Change): Promise<Outcome> {
    const line = { change: clientId, of: ticketId, by: userId, set: action, to: value }
    return (await this.#once(clientId, line)) ? 'changed' : 'found'
  }

  /** Every line, oldest first. Rejects with SERVICE_CORRUPT naming one that is none of ours. */
  async lines(): Promise<readonly TicketLine[]> {
    const text = await this.#text()
    const torn = !text.endsWith('\n')
    const lines = text.split('\n')
    return lines.flatMap((line, index) => {
      if (line === '') return []
      try {
        return [JSON.parse(line) as TicketLine]
      } catch (cause) {
        // The last one may be torn; so may one that another was begun after.
        if ((torn && index === lines.length - 1) || lines[index + 1]?.startsWith(TORN)) return []
        throw new ServiceError('SERVICE_CORRUPT', `${this.#file}: line ${index + 1} is not JSON: mend it`, { cause })
      }
    })
  }

  /** True when it was appended, false when it was there. */
  async #once(id: string, line: TicketLine): Promise<boolean> {
    const before = writing.get(this.#file) ?? Promise.resolve()
    const mine = before.then(async () => {
      const known = await this.#known()
      if (known.ids.has(id)) return false
      read.delete(this.#file)
      await this.#append(known, line)
      known.ids.add(id)
      read.set(this.#file, { ids: known.ids, size: await this.#size(), torn: false })
      return true
    })
    const settled = mine.catch(() => {})
    writing.set(this.#file, settled)
    try {
      return await mine
    } finally {
      if (writing.get(this.#file) === settled) writing.delete(this.#file)
    }
  }

  /** The changes and plans that are in the file, which is read again when somebody else has written to it. */
  async #known(): Promise<Known> {
    const known = read.get(this.#file)
    if (known && known.size === (await this.#size())) return known
    const ids = new Set<string>()
    for (const line of await this.lines()) {
      if ('change' in line) ids.add(line.change)
      if ('plan' in line) ids.add(line.plan)
    }
    const text = await this.#text()
    return { ids, size: Buffer.byteLength(text), torn: text !== '' && !text.endsWith('\n') }
  }

  async #append({ torn, size }: Known, line: TicketLine): Promise<void> {
    try {
      await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 })
      const file = await open(this.#file, 'a', 0o600)
      try {
        await file.appendFile(`${torn ? `\n${TORN}\n` : ''}${JSON.stringify(line)}\n`)
        await file.sync()
      } finally {
        await file.close()
      }
      if (size === 0) await syncFolder(dirname(this.#file))
    } catch (error) {
      throw failed(this.#file, error)
    }
  }

  async #size(): Promise<number> {
    return (await stat(this.#file).catch(() => undefined))?.size ?? 0
  }

  async #text(): Promise<string> {
    try {
      return await readFile(this.#file, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
      throw failed(this.#file, error)
    }
  }
}

/** Says that the line before it was torn; itself it says nothing. */
const TORN = '{"torn":true}'

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const failed = (file: string, cause: unknown): ServiceError => {
  const { code = '', message = String(cause) } = cause as { code?: string; message?: string }
  return new ServiceError('SERVICE_UNAVAILABLE', `${file} cannot be read or written (${code || message})`, {
    cause,
    details: { file, reason: code },
  })
}
