// Where a reading command reads: a directory or a database, beside its owner, or a server, by `--url`. The same questions
// with the same answers, so that a command does not know which it is.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client, RemoteSession } from '../client/index.js'
import type { SessionDiff } from '../diff.js'
import type { SessionEntry, SessionFilter, SessionPage } from '../listing.js'
import type { Reader } from '../reader.js'
import type { SessionState } from '../state.js'
import { systemClock } from '../system/clock.js'
import type { Transition } from '../transition.js'
import { ambiguity, findSession, idsToTell, readDirectory } from './directory.js'
import { usage } from './failure.js'
import type { Output } from './output.js'
import { homeOf } from './place.js'

/** What a command line says of where: `url` beats `dir`. */
export interface Where {
  readonly dir: string
  readonly url?: string
  readonly token?: string
}

export interface Source {
  /** The directory's reader; undefined of a server, which tells what can be asked by requests alone. */
  readonly reader: Reader | undefined
  list(filter: SessionFilter, page: { readonly limit: number; readonly cursor?: string }): Promise<SessionPage>
  /** The one session whose id begins so. Rejects with INVALID_ID, SESSION_NOT_FOUND, or AMBIGUOUS_ID. */
  find(prefix: string): Promise<SessionEntry>
  /** Its last state, or that after a transition. */
  state(id: string, seq?: number): Promise<SessionState>
  history(id: string, from: number, to?: number): AsyncIterable<Transition>
  diff(id: string, from: number, to: number): Promise<SessionDiff>
  /** How many sessions are quarantined, and how many have dead letters. */
  trouble(): Promise<Trouble>
  /** Its transitions from one on, and then those that come, until it ends. */
  follow(id: string, from: number, signal: AbortSignal): AsyncIterable<Transition>
  close(): void
}

/** The tags of the state that a session is in. */
export type TagsOf = (session: SessionEntry) => readonly string[]

interface Trouble {
  readonly quarantined: number
  readonly withLetters: number
}

/** Rejects with what makes it impossible to read there. `tagsOf`: what a directory knows of tags; a server knows its own. */
export async function sourceAt(where: Where, output: Output, tagsOf?: TagsOf): Promise<Source> {
  if (where.url === undefined) return new DirectorySource(readDirectory(where.dir, output), output, tagsOf)
  return new ServerSource(await clientAt(where), output)
}

/** The one session of a server whose id begins so, told as `findSession` tells it. */
export async function findAt(client: Client, prefix: string, output: Output): Promise<SessionEntry> {
  try {
    return await client.sessions.find(prefix)
  } catch (error) {
    const ids = idsToTell(error, output)
    if (!ids) throw error
    throw ambiguity(error, prefix, await Promise.all(ids.map((id) => client.sessions.find(id))), output)
  }
}

/** A client of the server that a command line names. Its token: `--token`, HOLDFAST_TOKEN, or that of the directory. */
export async function clientAt({ dir, url, token }: Where): Promise<Client> {
  // Only here: a command on a directory needs no client.
  const { connect } = await import('../client/index.js')
  const known = token ?? tokenOf(dir)
  return connect({ url: url as string, ...(known !== undefined && { token: known }), retryMs: RETRY_MS })
}

/** A command does not wait long for a server that is not there. */
const RETRY_MS = 3000

/** Whoever may read the directory's token is the one it is for. */
function tokenOf(dir: string): string | undefined {
  try {
    return readFileSync(join(homeOf(dir), 'access', 'token'), 'utf8').trim()
  } catch {
    return undefined
  }
}

/** For what only a directory can tell. */
export function requireReader({ reader }: Source, flag: string): Reader {
  if (reader) return reader
  throw usage(`${flag} looks at a directory, not at a server`, 'leave --url away, or the flag')
}

/** How often a directory is looked at anew: its owner tells nobody. */
const LOOK_MS = 100

class DirectorySource implements Source {
  readonly reader: Reader
  readonly #output: Output
  readonly #tagsOf: TagsOf | undefined

  constructor(reader: Reader, output: Output, tagsOf: TagsOf | undefined) {
    this.reader = reader
    this.#output = output
    this.#tagsOf = tagsOf
  }

  /** Of a tag, a page may be short and have a cursor. */
  async list(
    { tag, ...filter }: SessionFilter,
    page: { readonly limit: number; readonly cursor?: string },
  ): Promise<SessionPage> {
    const found = this.reader.list(filter, page)
    if (tag === undefined) return found
    const tagsOf = this.#tagsOf
    if (!tagsOf) throw usage('a directory does not tell which states have a tag', '--kinds names modules that do')
    return { ...found, sessions: found.sessions.filter((entry) => tagsOf(entry).includes(tag)) }
  }

  async find(prefix: string): Promise<SessionEntry> {
    return findSession(this.reader, prefix, this.#output)
  }

  async state(id: string, seq?: number): Promise<SessionState> {
    return seq === undefined ? this.reader.state(id) : this.reader.at(id, seq)
  }

  async *history(id: string, from: number, to?: number): AsyncGenerator<Transition> {
    yield* this.reader.history(id, from, to)
  }

  async diff(id: string, from: number, to: number): Promise<SessionDiff> {
    return this.reader.diff(id, from, to)
  }

  async trouble(): Promise<Trouble> {
    return this.reader.trouble()
  }

  async *follow(id: string, from: number, signal: AbortSignal): AsyncGenerator<Transition> {
    let next = from
    while (!signal.aborted) {
      for (const transition of this.reader.history(id, next)) {
        next = transition.seq + 1
        yield transition
      }
      if (this.reader.find(id).status !== 'active') return
      await new Promise<void>((resolve) => void systemClock.setTimeout(resolve, LOOK_MS))
      this.reader.refresh()
    }
  }

  close(): void {
    this.reader.close()
  }
}

class ServerSource implements Source {
  readonly reader = undefined
  readonly #client: Client
  readonly #output: Output

  constructor(client: Client, output: Output) {
    this.#client = client
    this.#output = output
  }

  list(filter: SessionFilter, page: { readonly limit: number; readonly cursor?: string }): Promise<SessionPage> {
    return this.#client.sessions.list(filter, page)
  }

  find(prefix: string): Promise<SessionEntry> {
    return findAt(this.#client, prefix, this.#output)
  }

  async state(id: string, seq?: number): Promise<SessionState> {
    return (await this.#session(id)).state(seq)
  }

  async *history(id: string, from: number, to?: number): AsyncGenerator<Transition> {
    yield* (await this.#session(id)).history({ from, to })
  }

  async diff(id: string, from: number, to: number): Promise<SessionDiff> {
    return (await this.#session(id)).diff(from, to)
  }

  async trouble(): Promise<Trouble> {
    const [quarantined, withLetters] = await Promise.all([
      this.#count({ quarantined: true }),
      this.#count({ deadLetters: true }),
    ])
    return { quarantined, withLetters }
  }

  /** As many as one page holds, at most. */
  async #count(filter: SessionFilter): Promise<number> {
    return (await this.#client.sessions.list(filter, { limit: 1000 })).sessions.length
  }

  async *follow(id: string, from: number, signal: AbortSignal): AsyncGenerator<Transition> {
    yield* (await this.#session(id)).transitions$({ from, signal })
  }

  close(): void {
    this.#client.close()
  }

  #session(id: string): Promise<RemoteSession> {
    return this.#client.session(id)
  }
}
