// Tickets: what lets a browser's EventSource follow a stream, since it can send no header of ours. A ticket is for one path,
// reads only, ends after an hour, and is worth nothing elsewhere, so that it may stand in an address; the token may not.
// It is signed and not kept, so it holds across a restart of the server as long as the secret is the same.

import { createHmac, timingSafeEqual } from 'node:crypto'

import { HoldfastError } from '../errors.js'

export const TICKET_MS = 3_600_000

/** What a ticket says; its signature says that this server has said it, of one path. */
interface Claim {
  readonly principal: string
  /** ms since the epoch. */
  readonly expires: number
}

export class Tickets {
  readonly #secret: string

  /** Throws INVALID_ARGUMENT for a secret that could be guessed. */
  constructor(secret: string) {
    if (secret.length < 32) throw new HoldfastError('INVALID_ARGUMENT', 'a ticketSecret has at least 32 characters')
    this.#secret = secret
  }

  /** A ticket for a principal and a path, good until then. */
  give({ principal, expires }: Claim, path: string): string {
    const claim = Buffer.from(JSON.stringify([principal, expires])).toString('base64url')
    return `${claim}.${this.#sign(claim, path).toString('base64url')}`
  }

  /** The id of the principal that a ticket for this path was given to; undefined for any other text, and when it has ended. */
  take(ticket: string, path: string, now: number): string | undefined {
    const [claim = '', signature = ''] = ticket.split('.')
    const [given, right] = [Buffer.from(signature, 'base64url'), this.#sign(claim, path)]
    if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined
    const [principal, expires] = JSON.parse(Buffer.from(claim, 'base64url').toString()) as [string, number]
    return now < expires ? principal : undefined
  }

  #sign(claim: string, path: string): Buffer {
    return createHmac('sha256', this.#secret).update(`holdfast ticket\n${claim}\n${path}`).digest()
  }
}
