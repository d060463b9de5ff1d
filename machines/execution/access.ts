// Who may do what: admins create sessions for their teams, and confirm, complete, cancel and clean up those that are theirs;
// members modify and see the sessions of their teams; nobody sees those of another organization. Pure but for asking who
// somebody is. Without `people` nobody is known: then only ownership is checked, where a call says who makes it.

import { HoldfastError } from 'holdfast'

export interface Person {
  readonly role: 'admin' | 'member'
  readonly teams: readonly string[]
  /** Default: that of the service. */
  readonly organizationId?: string
}

/** Who somebody is; undefined: nobody. */
export type People = (userId: string) => Person | undefined | Promise<Person | undefined>

/** What of a session its access depends on. */
export interface Owned {
  readonly id: string
  readonly adminUserId: string
  readonly teamId: string
  readonly organizationId: string
}

/** Every method gives who acts, for the record, and rejects with NOT_ALLOWED naming who may not do what. */
export class Access {
  readonly #people: People | undefined
  readonly #organizationId: string
  readonly #as: string | undefined

  constructor(people: People | undefined, organizationId: string, as: string | undefined) {
    this.#people = people
    this.#organizationId = organizationId
    this.#as = as
  }

  /** A session is created by its admin. */
  async create(adminUserId: string, teamId: string): Promise<string> {
    const actor = this.#same(adminUserId, 'create a session for')
    await this.#require(actor, 'create sessions', teamId, 'admin')
    return actor
  }

  /** A modification is made by whom it names. */
  async modify(userId: string, session: Owned): Promise<string> {
    const actor = this.#same(userId, 'modify as')
    await this.#require(actor, `modify session ${session.id}`, session.teamId, 'member')
    return actor
  }

  /** Confirming and the like: by the session's own admin. */
  async decide(what: string, session: Owned): Promise<string> {
    const actor = this.#actor(what, session.adminUserId)
    await this.#require(actor, `${what} session ${session.id}`, session.teamId, 'admin')
    if (actor !== session.adminUserId) throw refused(actor, `${what} session ${session.id}, which is another admin's`)
    return actor
  }

  /** Cleaning up: by an admin; gives whose sessions: all, or those that a test tells. */
  async cleanUp(): Promise<{ readonly actor: string | undefined; readonly mine: (session: Owned) => boolean }> {
    if (!this.#people) return { actor: this.#as, mine: (session) => !this.#as || session.adminUserId === this.#as }
    const actor = this.#actor('clean up', undefined)
    const person = await this.#person(actor, 'clean up')
    if (person.role !== 'admin') throw refused(actor, 'clean up: that takes an admin')
    return { actor, mine: ({ teamId }) => person.teams.includes(teamId) }
  }

  /** What may be seen: a test of sessions. */
  async see(): Promise<(session: Owned) => boolean> {
    const isOurs = ({ organizationId }: Owned): boolean => organizationId === this.#organizationId
    if (!this.#people) return isOurs
    const person = await this.#person(this.#actor('see sessions', undefined), 'see sessions')
    return (session) => isOurs(session) && person.teams.includes(session.teamId)
  }

  #same(userId: string, what: string): string {
    if (this.#as !== undefined && this.#as !== userId) throw refused(this.#as, `${what} ${userId}`)
    return userId
  }

  #actor(what: string, owner: string | undefined): string {
    if (this.#as !== undefined) return this.#as
    if (!this.#people && owner !== undefined) return owner
    throw new HoldfastError(
      'NOT_ALLOWED',
      `nobody is named who is to ${what}: call it on service.as(userId), or over HTTP with their userId`,
    )
  }

  async #require(actor: string, what: string, teamId: string, role: Person['role']): Promise<void> {
    if (!this.#people) return
    const person = await this.#person(actor, what)
    if (role === 'admin' && person.role !== 'admin') throw refused(actor, `${what}: that takes an admin`)
    if (!person.teams.includes(teamId)) throw refused(actor, `${what}: team ${teamId} is not theirs`)
  }

  async #person(actor: string, what: string): Promise<Person> {
    const person = await this.#people?.(actor)
    if (!person) throw refused(actor, `${what}: nobody knows them`)
    if ((person.organizationId ?? this.#organizationId) !== this.#organizationId) {
      throw refused(actor, `${what}: they are of another organization`)
    }
    return person
  }
}

const refused = (actor: string, what: string): HoldfastError =>
  new HoldfastError('NOT_ALLOWED', `${actor} may not ${what}`, { details: { user: actor } })
