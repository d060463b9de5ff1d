// Who calls: a principal, found by its token, and what it may do.
// Tokens are known by their SHA-256 digests only, and compared in constant time over all of them, so that neither the
// memory nor the time of an answer tells anything of one.

import { createHash, timingSafeEqual } from 'node:crypto'
import { HoldfastError } from '../errors.js'
import { isOwnerName } from '../id.js'
import type { SessionEntry } from '../listing.js'
import { admitOptions, type KeysOf } from '../options.js'
import type { Access } from './route.js'

export type Role = 'reader' | 'writer' | 'operator' | 'admin'

export interface Principal {
  readonly id: string
  readonly roles: readonly Role[]
  /** Whose sessions it sees; without one, those of all. */
  readonly organization?: string
  /** Within the organization; without them, the sessions of all its teams. */
  readonly teams?: readonly string[]
}

/** A principal with the SHA-256 of its token, as 64 hexadecimal digits. */
export interface KnownPrincipal extends Principal {
  readonly sha256: string
}

const FIELDS: KeysOf<KnownPrincipal> = { id: true, roles: true, organization: true, teams: true, sha256: true }

const LEVELS: readonly Access[] = ['public', 'read', 'write', 'operate', 'admin']
const LEVEL_OF: { readonly [R in Role]: Access } = {
  reader: 'read',
  writer: 'write',
  operator: 'operate',
  admin: 'admin',
}

/** True when one of its roles includes what is needed. */
export const mayDo = ({ roles }: Principal, access: Access): boolean =>
  roles.some((role) => LEVELS.indexOf(LEVEL_OF[role]) >= LEVELS.indexOf(access))

/** The token that a request comes with. Never a cookie: a browser sends one with any page's request, to every port of its host. */
export function tokenOf(request: Request): string | undefined {
  const [, token] = /^Bearer +([\x21-\x7e]{1,512})$/i.exec(request.headers.get('authorization') ?? '') ?? []
  return token
}

/** Who calls a public route without a token. */
export const NOBODY: Principal = Object.freeze({ id: 'nobody', roles: [] })

export class Principals {
  readonly #known: readonly { readonly digest: Buffer; readonly principal: Principal }[]

  /** Throws INVALID_ARGUMENT for one that makes no sense, or two with one token. */
  constructor(known: readonly KnownPrincipal[]) {
    this.#known = known.map((one) => {
      // A field that nobody reads would not narrow what it sees: without an organization that is everything.
      admitOptions('fields of a principal', one, FIELDS)
      const { sha256, ...principal } = one
      return { digest: digestIn(sha256, principal), principal: admitted(principal) }
    })
    const digests = new Set(this.#known.map(({ digest }) => digest.toString('hex')))
    if (digests.size < this.#known.length) throw refused('two principals have the same token')
  }

  byId(id: string): Principal | undefined {
    return this.#known.find(({ principal }) => principal.id === id)?.principal
  }

  /** Looks at every one, whoever it is. */
  byToken(token: string): Principal | undefined {
    const digest = createHash('sha256').update(token).digest()
    let found: Principal | undefined
    for (const known of this.#known) if (timingSafeEqual(known.digest, digest)) found = known.principal
    return found
  }
}

/** True for a session of its organization; of none, for every one. */
export const isOfOrganization = (entry: SessionEntry, { organization }: Principal): boolean =>
  organization === undefined || entry.owner?.organization === organization

/** True for a session of one of its teams, or of no team. */
export const isOfTeam = (entry: SessionEntry, { teams }: Principal): boolean =>
  teams === undefined || entry.owner?.team === undefined || teams.includes(entry.owner.team)

function admitted(principal: Principal): Principal {
  const { id, roles, organization, teams } = principal
  for (const name of [
    id,
    ...(organization === undefined ? [] : [organization]),
    ...(Array.isArray(teams) ? teams : []),
  ]) {
    if (!isOwnerName(name)) {
      throw refused(`${JSON.stringify(name)} is no name of a principal, an organization or a team`)
    }
  }
  if (!Array.isArray(roles) || roles.length === 0) throw refused(`principal ${id} has no list of roles`)
  if (teams !== undefined && !Array.isArray(teams)) throw refused(`principal ${id}: its teams are a list`)
  const unknown = roles.find((role) => !Object.hasOwn(LEVEL_OF, role))
  if (unknown !== undefined)
    throw refused(`principal ${id} has the role "${unknown}"; roles are ${Object.keys(LEVEL_OF).join(', ')}`)
  if (teams !== undefined && organization === undefined)
    throw refused(`principal ${id} has teams, and no organization that they are of`)
  return Object.freeze({ id, roles, ...(organization !== undefined && { organization }), ...(teams && { teams }) })
}

function digestIn(sha256: string, { id }: Principal): Buffer {
  if (typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256)) return Buffer.from(sha256, 'hex')
  throw refused(`principal ${id}: sha256 is the SHA-256 of its token, as 64 hexadecimal digits`)
}

const refused = (message: string): HoldfastError => new HoldfastError('INVALID_ARGUMENT', message)
