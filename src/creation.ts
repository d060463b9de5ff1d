// How a session comes to be: what is asked for is checked, its idempotency key is looked up, its id is chosen, and it begins.
// A key or an id gives one session only, also of calls at the same time and after a restart. What it creates belongs to
// the supervisor from its first record on.

import { createHash } from 'node:crypto'
import { abortable } from './abort.js'
import type { Chance } from './chance.js'
import type { Sender } from './commit.js'
import type { AnySessionKind } from './define.js'
import { admitId, admitInput, admitKey, admitOwner } from './door.js'
import { HoldfastError } from './errors.js'
import { forkRecord } from './fork.js'
import type { CallOptions, ForkOptions } from './handle.js'
import { stateAt } from './history.js'
import type { SessionHost } from './host.js'
import { withinRoom } from './json.js'
import type { Known } from './listing.js'
import { migrationRecord } from './migration.js'
import { admitKind, type KeysOf } from './options.js'
import { decisionFailed, sessionExists, unknownKind } from './refusals.js'
import type { Registry } from './registry.js'
import { type Folding, fold, sealed } from './rehydrate.js'
import { LiveSession } from './session.js'
import type { Snapshots } from './snapshots.js'
import type { CreationKey, Owner, SessionState } from './state.js'
import type { Supervisor } from './supervisor.js'
import { type TraceHeaders, traceContextOf } from './trace-context.js'
import { isoTime } from './write.js'

export interface CreateOptions extends CallOptions, TraceHeaders {
  /** The session's id; a new one by default. Throws SESSION_EXISTS when it is taken. */
  readonly id?: string
  /** With the same key and the same input, `create` gives the same session, also after a restart. */
  readonly idempotencyKey?: string
  /** Whose the session is; kept with it, and its children and forks have the same. */
  readonly owner?: Owner
}

export const CREATE_OPTIONS: KeysOf<CreateOptions> = {
  id: true,
  idempotencyKey: true,
  owner: true,
  traceparent: true,
  tracestate: true,
  signal: true,
}

export interface CreationHost {
  readonly kinds: ReadonlyMap<string, AnySessionKind>
  readonly chance: Chance
  readonly registry: Registry
  readonly supervisor: Supervisor
  readonly snapshots: Snapshots
  readonly session: SessionHost
  /** Throws when nothing can be recorded. */
  assertWritable(): void
}

export class Creation {
  readonly #host: CreationHost
  /** Sessions whose first record is on its way, by id and by idempotency key. */
  readonly #underWay: Map<string, Promise<void>> = new Map()

  constructor(host: CreationHost) {
    this.#host = host
  }

  /** The id of a new session, or of the one that the key created before; resolves when that is durable. */
  async create(kind: AnySessionKind, input: unknown, options: CreateOptions): Promise<string> {
    const { kinds } = this.#host
    admitKind(kind)
    if (kinds.get(kind.kind) !== kind) throw unknownKind(kind.kind, kinds)
    const { changeLimit, secrets } = this.#host.session
    const admitted = withinRoom(changeLimit, () => secrets.json(admitInput(kind, input)))
    const created = options.idempotencyKey === undefined ? undefined : creationKey(options.idempotencyKey, admitted)
    const owner = options.owner && admitOwner(options.owner)
    const { tracing } = this.#host.session
    const told = traceContextOf(options) ?? tracing?.active()
    const begin: Begin = (id, sender) => {
      const trace = told ?? tracing?.begin(kind.kind)
      return LiveSession.create(this.#host.session, kind, id, admitted, { created, owner, trace }, sender)
    }
    return this.#once({ kind, input: admitted, created, begin }, options)
  }

  /** The id of a fork of a session, or of the one that the key created before; resolves when that is durable. */
  async fork(source: Known, options: ForkOptions): Promise<string> {
    const { kinds, chance, snapshots, session: host } = this.#host
    const { at, idempotencyKey: key, children } = options
    const kind = kinds.get(source.kind)
    if (!kind) throw unknownKind(source.kind, kinds)
    const input = { fork: source.id, ...(at !== undefined && { at }) }
    const created = key === undefined ? undefined : creationKey(key, input)
    const stored = stateAt(at ?? source.seq, host.journal, snapshots, source)
    const state = stored.status === 'active' ? this.#ofToday(kind, stored) : stored
    const begin: Begin = (id, sender) => {
      const plan = { id, at: isoTime(host.clock.now()), created, restartChildren: children === 'restart' }
      return LiveSession.fork(host, kind, forkRecord(state, { ...plan, newId: () => chance.id() }), sender)
    }
    return this.#once({ kind, input, created, begin }, options)
  }

  /** A state of an older version is migrated; its number stays what it was. */
  #ofToday(kind: AnySessionKind, state: SessionState): SessionState {
    if (state.version === kind.version) return state
    const { chance, session: host } = this.#host
    const plan = { now: host.clock.now(), newId: () => chance.id() }
    const record = withinRoom(host.changeLimit, () => migrationRecord(kind, state, plan))
    const { seq, position } = state
    return { ...sealed(fold(structuredClone(state) as Folding, record, position)), seq, position }
  }

  /** Begins a session, unless the key stands for one already. */
  async #once(asked: Asked, options: Pick<CreateOptions, 'id' | 'signal'>): Promise<string> {
    const { kind, input, created } = asked
    if (created) {
      const name = keyName(kind, created.key)
      // Then it is there, or it failed and is up to whoever comes first: from here to the beginning nothing is awaited.
      while (this.#underWay.has(name)) await this.#underWay.get(name)?.catch(() => {})
      const existing = this.#createdBefore(kind, created, input)
      if (existing !== undefined) return existing
    }
    this.#host.assertWritable() // again: waiting for another call may have taken a while
    const id = options.id === undefined ? this.#host.chance.id() : admitId(options.id)
    if (this.#host.registry.get(id) || this.#underWay.has(id)) throw sessionExists(id)
    await abortable(this.#begin(id, asked), options.signal)
    return id
  }

  /** The session that the key stands for already, if any. Throws IDEMPOTENCY_CONFLICT when its input was another. */
  #createdBefore(kind: AnySessionKind, { key, digest }: CreationKey, input: unknown): string | undefined {
    const entry = this.#host.registry.byKey(kind.kind, key)
    const before = entry?.created?.digest
    if (entry && before !== digest && before !== oldDigest(input)) throw conflict(key, entry.id)
    return entry?.id
  }

  #begin(id: string, { kind, input, created, begin }: Asked): Promise<void> {
    const names = created ? [id, keyName(kind, created.key)] : [id]
    const beginning = new Promise<void>((resolve, reject) => {
      try {
        this.#host.supervisor.adopt(begin(id, { resolve: () => resolve(), reject }))
      } catch (cause) {
        const advice = input === undefined ? '; no input was given, which its context may need' : ''
        const outcome = `no session of kind "${kind.kind}" was created${advice}`
        const { secrets } = this.#host.session
        reject(secrets.error(cause instanceof HoldfastError ? cause : decisionFailed(cause, outcome)))
      }
    }).finally(() => {
      for (const name of names) this.#underWay.delete(name)
    })
    for (const name of names) this.#underWay.set(name, beginning)
    return beginning
  }
}

/** Makes the live session of an id, its first record under way. */
type Begin = (id: string, sender: Sender) => LiveSession

/** What is to begin, and from what: with the same key it must be the same. */
interface Asked {
  readonly kind: AnySessionKind
  readonly input: unknown
  readonly created: CreationKey | undefined
  readonly begin: Begin
}

/** The digest tells whether an input is the same, in whatever order its keys are: SHA-256 of its JSON, keys sorted. */
const creationKey = (key: string, input: unknown): CreationKey => ({
  key: admitKey(key),
  digest: createHash('sha256')
    .update(JSON.stringify(input, sortKeys) ?? '')
    .digest('hex'),
})

const sortKeys = (_: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value

/** What sessions were created with at first: FNV-1a, 32 bit (http://www.isthe.com/chongo/tech/comp/fnv/). */
function oldDigest(input: unknown): string {
  let hash = 0x811c9dc5
  for (const unit of JSON.stringify(input) ?? '') hash = Math.imul(hash ^ (unit.codePointAt(0) as number), 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, '0')
}

/** A colon cannot be in an id, so keys and ids do not meet. */
const keyName = (kind: AnySessionKind, key: string): string => `${kind.kind}:${key}`

const conflict = (key: string, id: string): HoldfastError =>
  new HoldfastError('IDEMPOTENCY_CONFLICT', `key "${key}" created session ${id} with another input`, {
    details: { session: id },
  })
