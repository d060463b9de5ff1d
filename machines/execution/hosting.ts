// The runtime behind a façade: one's own, or one opened when first needed and shared by all façades of this process on one
// directory. With it come the tables, if there are to be any, and the cleanup. It holds these, never anything of a session.

import { HoldfastError, isHoldfastError, type Logger, openRuntime, type Runtime, type Session } from 'holdfast'
import { type CleanupMachine, executionCleanup } from './cleanup.js'
import { execution } from './kind.js'
import { directoryBeside } from './places.js'
import { Tables } from './tables.js'

export interface Hosting {
  readonly runtime: Runtime
  readonly tables: Tables | undefined
  readonly cleanup: Session<CleanupMachine>
}

export interface HostOptions {
  /** Where the tables are; the sessions are in a directory beside it. */
  readonly databasePath: string | undefined
  /** Where the sessions are without tables. */
  readonly directory: string
  /** One's own: opened with the kinds `execution` and `executionCleanup`; whoever opened it closes it. */
  readonly runtime: Runtime | undefined
  readonly cleanupDays: number
  readonly logger: Logger
}

const DRAIN_MS = 2_000

/** The id of the one session of its kind. */
const CLEANUP = 'execution_cleanup'

interface Shared {
  readonly opening: Promise<Hosting>
  users: number
}

const shared: Map<string, Shared> = new Map()

/** A hosting, opened when it is first asked for. */
export class Host {
  readonly #options: HostOptions
  #opening: Promise<Hosting> | undefined
  #key: string | undefined

  constructor(options: HostOptions) {
    this.#options = options
  }

  /** Rejects with what `openRuntime` and `Tables.open` throw; the next call tries again. */
  open(): Promise<Hosting> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  /** Lets go; the last of those that share a runtime closes it. */
  async close(): Promise<void> {
    const hosting = await this.#opening?.catch(() => undefined)
    this.#opening = undefined
    const key = this.#key
    this.#key = undefined
    if (!hosting) return
    if (key === undefined) return hosting.tables?.close()
    const mine = shared.get(key)
    if (!mine || --mine.users > 0) return
    shared.delete(key)
    // What a step is about to hear from a service is worth a moment: else it asks again with the next opening.
    await hosting.runtime.close({ drainMs: DRAIN_MS }).finally(() => hosting.tables?.close())
  }

  async #open(): Promise<Hosting> {
    const { runtime, databasePath, directory } = this.#options
    if (runtime) return hostingOn(runtime, this.#options)
    const dir = databasePath === undefined ? directory : directoryBeside(databasePath)
    const key = `${dir}\n${databasePath ?? ''}`
    const known = shared.get(key)
    const mine = known ?? { opening: openedIn(dir, this.#options), users: 0 }
    mine.users++
    shared.set(key, mine)
    try {
      const hosting = await mine.opening
      this.#key = key
      return hosting
    } catch (error) {
      if (shared.get(key) === mine) shared.delete(key)
      throw error
    }
  }
}

/** Its steps wait for services and compute nothing, so they need no threads, and find the keys that a façade was given. */
async function openedIn(dir: string, options: HostOptions): Promise<Hosting> {
  const kinds = [execution, executionCleanup]
  const runtime = await openRuntime({ dir, kinds, pool: 'inline', logger: options.logger })
  try {
    return await hostingOn(runtime, options)
  } catch (error) {
    await runtime.close()
    throw error
  }
}

async function hostingOn(runtime: Runtime, { databasePath, cleanupDays, logger }: HostOptions): Promise<Hosting> {
  const cleanup = await cleanupIn(runtime, cleanupDays)
  const tables = databasePath === undefined ? undefined : await Tables.open(databasePath, runtime, logger)
  return { runtime, tables, cleanup }
}

/** Of several that begin on one runtime at the same moment, one after the other. */
const beginning: WeakMap<Runtime, Promise<unknown>> = new WeakMap()

function cleanupIn(runtime: Runtime, days: number): Promise<Session<CleanupMachine>> {
  const before = beginning.get(runtime)
  const mine = before ? before.then(() => cleanupOf(runtime, days)) : cleanupOf(runtime, days)
  beginning.set(
    runtime,
    mine.catch(() => {}),
  )
  return mine
}

async function cleanupOf(runtime: Runtime, days: number): Promise<Session<CleanupMachine>> {
  try {
    return await runtime.create(executionCleanup, { days }, { id: CLEANUP })
  } catch (error) {
    if (isHoldfastError(error, 'UNKNOWN_KIND')) {
      const why = 'the runtime must be opened with the kinds execution and executionCleanup'
      throw new HoldfastError('UNKNOWN_KIND', why, { cause: error })
    }
    if (!isHoldfastError(error, 'SESSION_EXISTS')) throw error
    const session = runtime.session(CLEANUP, executionCleanup)
    if (session.snapshot().context.days !== days) await session.send({ type: 'setDays', days })
    return session
  }
}
