// Who carries out a command that changes something: a runtime that opens the directory for that one command, or a server, by
// `--url`. The same verbs with the same answers, so that a command does not know which it is.
// The runtime begins no step: a command is over in a moment, and would cut off whatever it began.

import type { CancelOptions, ForkOptions, SendOptions, SessionSnapshot } from '../handle.js'
import type { SessionEntry } from '../listing.js'
import type { Pool } from '../pool.js'
import { unknownKind } from '../refusals.js'
import type { Transition } from '../transition.js'
import { findSession, readDirectory } from './directory.js'
import { usage } from './failure.js'
import { kindsOf } from './kind-modules.js'
import { logTo } from './log.js'
import type { Output } from './output.js'
import { placeAt } from './place.js'
import { clientAt, findAt, type Where } from './source.js'

/** Where, and for a directory with which kinds. */
export interface ChangeWhere extends Where {
  readonly kinds?: readonly string[]
}

export interface CreateOptions {
  readonly id?: string
  readonly idempotencyKey?: string
}

/** A session: of a runtime or of a server, which have these verbs in common. */
export interface Handle {
  readonly id: string
  send(event: never, options: SendOptions): Promise<Transition>
  sendBatch(events: readonly never[], options: SendOptions): Promise<Transition>
  cancel(options: CancelOptions): Promise<void>
  release(): Promise<void>
  resend(letter: number): Promise<Transition>
  discard(letter: number): Promise<void>
  delete(): Promise<void>
  fork(options: ForkOptions): Promise<Handle>
  snapshot(): SessionSnapshot | Promise<SessionSnapshot>
  entry(): SessionEntry | Promise<SessionEntry>
}

export interface Target {
  create(kind: string, input: unknown, options: CreateOptions): Promise<Handle>
  /** The one session whose id begins so. Rejects with INVALID_ID, SESSION_NOT_FOUND, or AMBIGUOUS_ID. */
  session(prefix: string): Promise<Handle>
}

/** Gives what `act` comes to. Rejects with what makes it impossible there, such as DIRECTORY_LOCKED. */
export async function at<T>(where: ChangeWhere, output: Output, act: (target: Target) => Promise<T>): Promise<T> {
  return where.url === undefined ? inDirectory(where, output, act) : atServer(where, output, act)
}

async function atServer<T>(where: Where, output: Output, act: (target: Target) => Promise<T>): Promise<T> {
  using client = await clientAt(where)
  return await act({
    create: (kind, input, options) => client.create({ kind }, input as never, options),
    session: async (prefix) => client.session((await findAt(client, prefix, output)).id),
  })
}

async function inDirectory<T>(
  { dir, kinds: modules }: ChangeWhere,
  output: Output,
  act: (target: Target) => Promise<T>,
): Promise<T> {
  if (!modules) throw usage('--kinds names the modules of the kinds in the directory', '--url asks a server instead')
  const kinds = await kindsOf(modules)
  const { openRuntime } = await import('../open.js')
  await using runtime = await openRuntime({ ...placeAt(dir), kinds, pool: idlePool(), logger: logTo(output) })
  return await act({
    create: async (name, input, options) => {
      const kind = runtime.kinds.get(name)
      if (!kind) throw unknownKind(name, runtime.kinds)
      return runtime.create(kind, input as never, options)
    },
    session: async (prefix) => runtime.session(findSession(runtime.sessions, prefix, output).id),
  })
}

/** A directory that is not there is not made by whoever asks for what is in it. Throws DIRECTORY_NOT_FOUND. */
export function requireThere({ dir, url }: Where, output: Output): void {
  if (url === undefined) readDirectory(dir, output).close()
}

/** Takes every step, and begins none: each waits for a program that runs it. */
function idlePool(): Pool {
  const waiting = new Set<() => void>()
  return {
    run: () => {
      let cancel = (): void => {}
      const outcome = new Promise<{ readonly kind: 'cancelled' }>((resolve) => {
        cancel = () => {
          waiting.delete(cancel)
          resolve({ kind: 'cancelled' })
        }
      })
      waiting.add(cancel)
      return { outcome, cancel }
    },
    stats: () => ({ running: 0, queued: waiting.size, workers: 0 }),
    close: async () => {
      for (const cancel of waiting) cancel()
    },
  }
}
