// How a session comes to be: what is asked for is checked, its idempotency key is looked up, its id is chosen, and it begins.
// A key or an id gives one session only, also of calls at the same time and after a restart. What it creates belongs to
// the supervisor from its first record on.

import { createHash } from 'node:crypto'
import { abortable } from './abort.js'
import type { Chance } from './chance.js'
import type { AnySessionKind } from './define.js'
import { admitId, admitInput, admitKey } from './door.js'
import { HoldfastError } from './errors.js'
import type { CallOptions } from './handle.js'
import type { SessionHost } from './host.js'
import { withinRoom } from './json.js'
import { decisionFailed, unknownKind } from './refusals.js'
import type { Registry } from './registry.js'
import { LiveSession } from './session.js'
import type { CreationKey } from './state.js'
import type { Supervisor } from './supervisor.js'

export interface CreateOptions extends CallOptions {
  /** The session's id; a new one by default. Throws SESSION_EXISTS when it is taken. */
  readonly id?: string
  /** With the same key and the same input, `create` gives the same session, also after a restart. */
  readonly idempotencyKey?: string
}

export const CREATE_OPTIONS: { readonly [K in keyof Required<CreateOptions>]: true } = {
  id: true,
  idempotencyKey: true,
  signal: true,
}

export interface CreationHost {
  readonly kinds: ReadonlyMap<string, AnySessionKind>
  readonly chance: Chance
  readonly registry: Registry
  readonly supervisor: Supervisor
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
    const { kinds, chance } = this.#host
    if (kinds.get(kind.kind) !== kind) throw unknownKind(kind.kind, kinds)
    const admitted = withinRoom(this.#host.session.changeLimit, () => admitInput(kind, input))
    const created = options.idempotencyKey === undefined ? undefined : creationKey(options.idempotencyKey, admitted)
    if (created) {
      const name = keyName(kind, created.key)
      // Then it is there, or it failed and is up to whoever comes first: from here to the beginning nothing is awaited.
      while (this.#underWay.has(name)) await this.#underWay.get(name)?.catch(() => {})
      const existing = this.#createdBefore(kind, created, admitted)
      if (existing !== undefined) return existing
    }
    this.#host.assertWritable() // again: waiting for another call may have taken a while
    const id = options.id === undefined ? chance.id() : admitId(options.id)
    if (this.#host.registry.get(id) || this.#underWay.has(id)) throw taken(id)
    await abortable(this.#begin(kind, id, admitted, created), options.signal)
    return id
  }

  /** The session that the key stands for already, if any. Throws IDEMPOTENCY_CONFLICT when its input was another. */
  #createdBefore(kind: AnySessionKind, { key, digest }: CreationKey, input: unknown): string | undefined {
    const entry = this.#host.registry.byKey(kind.kind, key)
    const before = entry?.created?.digest
    if (entry && before !== digest && before !== oldDigest(input)) throw conflict(key, entry.id)
    return entry?.id
  }

  #begin(kind: AnySessionKind, id: string, input: unknown, created: CreationKey | undefined): Promise<void> {
    const { session: host, supervisor } = this.#host
    const names = created ? [id, keyName(kind, created.key)] : [id]
    const beginning = new Promise<void>((resolve, reject) => {
      try {
        supervisor.adopt(LiveSession.create(host, kind, id, input, { created }, { resolve: () => resolve(), reject }))
      } catch (cause) {
        const advice = input === undefined ? '; no input was given, which its context may need' : ''
        const outcome = `no session of kind "${kind.kind}" was created${advice}`
        reject(cause instanceof HoldfastError ? cause : decisionFailed(cause, outcome))
      }
    }).finally(() => {
      for (const name of names) this.#underWay.delete(name)
    })
    for (const name of names) this.#underWay.set(name, beginning)
    return beginning
  }
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

const taken = (id: string): HoldfastError =>
  new HoldfastError('SESSION_EXISTS', `there is a session ${id} already; choose another id or leave it out`)

const conflict = (key: string, id: string): HoldfastError =>
  new HoldfastError('IDEMPOTENCY_CONFLICT', `key "${key}" created session ${id} with another input`, {
    details: { session: id },
  })
