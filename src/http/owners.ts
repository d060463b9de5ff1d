// Whose sessions a caller makes and sees: its organization's, and within it those of its teams.

import { HoldfastError } from '../errors.js'
import type { SessionEntry, SessionFilter, SessionPage } from '../listing.js'
import type { Owner } from '../state.js'
import { isOfTeam, type Principal } from './principal.js'
import type { Call } from './route.js'

/** The team that was asked for, or the first of the caller's. Throws NOT_ALLOWED for a team that is not the caller's. */
export function ownerFor({ id, organization, teams }: Principal, asked: string | undefined): Owner {
  if (asked !== undefined && (organization === undefined || teams?.includes(asked) === false)) {
    throw new HoldfastError('NOT_ALLOWED', `${id} is not of the team ${JSON.stringify(asked.slice(0, 64))}`)
  }
  const team = asked ?? teams?.[0]
  return { principal: id, ...(organization !== undefined && { organization }), ...(team !== undefined && { team }) }
}

/** A key is the organization's own: the same of two organizations are two. */
export const keyOf = ({ organization }: Principal, key: string): string =>
  organization === undefined ? key : `${organization}:${key}`

/** Throws TOO_MANY_SESSIONS when the caller's organization may have no more. */
export function admitSession({ runtime, principal, services }: Pick<Call, 'runtime' | 'principal' | 'services'>): void {
  services.meter.admitSession(runtime.sessions, principal.organization)
}

/** True when the caller's key stands for a session of this kind already: it is given again, and is no more. */
export const isCreated = (
  { runtime, principal, idempotencyKey: key }: Pick<Call, 'runtime' | 'principal' | 'idempotencyKey'>,
  kind: string,
): boolean => key !== undefined && runtime.sessions.byKey(kind, keyOf(principal, key)) !== undefined

export interface PageRequest {
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

/** How many sessions are looked at for one page that leaves most of them out; the page may then be short. */
const LOOKED_AT = 1000

/** A page of the sessions that the caller may see and that pass a test; short pages have a cursor as well. */
export function visiblePage(
  { runtime, principal }: Pick<Call, 'runtime' | 'principal'>,
  asked: SessionFilter,
  page: PageRequest,
  test: (entry: SessionEntry) => boolean = () => true,
): SessionPage {
  const { limit = 100 } = page
  const { organization } = principal
  const filter = { ...asked, ...(organization !== undefined && { organization }) }
  const found: SessionEntry[] = []
  let cursor = page.cursor
  for (let looked = 0; looked < LOOKED_AT; ) {
    const from = cursor === undefined ? {} : { cursor }
    const part = runtime.sessions.list(filter, { limit: limit - found.length, ...from })
    found.push(...part.sessions.filter((entry) => isOfTeam(entry, principal) && test(entry)))
    looked += part.sessions.length
    cursor = part.cursor
    if (cursor === undefined || found.length === limit) break
  }
  return { sessions: found, ...(cursor !== undefined && { cursor }) }
}
