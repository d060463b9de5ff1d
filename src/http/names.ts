// Which names a request may come by: its Host, and the Origin of the page that made it.
// A page of anybody's can have a name of its own lead to 127.0.0.1 (DNS rebinding), and can send requests to any address; what
// it cannot do is change these two headers. So a request is answered only when both are names that were allowed.

import { HoldfastError } from '../errors.js'

/** This machine, by the names that lead nowhere else. */
export const LOOPBACK: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

export class Names {
  readonly #hosts: ReadonlySet<string>
  readonly #origins: ReadonlySet<string>

  /**
   * `hosts`: `name` for any port, or `name:port`; IPv6 in brackets. `origins`: those of other pages that may call, as
   * `https://app.example`. Throws INVALID_ARGUMENT.
   */
  constructor(hosts: readonly string[], origins: readonly string[]) {
    this.#hosts = new Set(hosts.map(admittedHost))
    this.#origins = new Set(origins.map(admittedOrigin))
  }

  /** Throws HOST_REFUSED or ORIGIN_REFUSED. `host` is the header; without one, what the address says. */
  check(request: Request): void {
    const { host: address } = new URL(request.url)
    const host = request.headers.get('host') ?? address
    if (!this.#isOurs(host) || !this.#isOurs(address))
      throw new HoldfastError(
        'HOST_REFUSED',
        `this server does not answer to ${quoted(host)}; \`hosts\` names those that it does`,
      )
    const origin = request.headers.get('origin')
    if (origin !== null && !this.isAllowed(origin)) {
      throw new HoldfastError(
        'ORIGIN_REFUSED',
        `pages of ${quoted(origin)} may not call this server; \`origins\` names those that may`,
      )
    }
  }

  /** True for a page of this server's own, or one of another that was named. */
  isAllowed(origin: string): boolean {
    if (this.#origins.has(origin)) return true
    const [, host] = /^https?:\/\/([^/]+)$/.exec(origin) ?? []
    return host !== undefined && this.#isOurs(host)
  }

  /** True for an origin that is another than this server's, and was named. */
  isForeign(origin: string): boolean {
    return this.#origins.has(origin)
  }

  #isOurs(host: string): boolean {
    const [, name, port] = HOST.exec(host.toLowerCase()) ?? []
    if (name === undefined) return false
    return this.#hosts.has(name) || this.#hosts.has(port === undefined ? `${name}:80` : `${name}:${port}`)
  }
}

/** A name or an IPv4 address, or an IPv6 address in brackets; and a port. No user, no path, no list. */
const HOST = /^([a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}))?$/

function admittedHost(host: string): string {
  const name = String(host).toLowerCase()
  if (HOST.test(name)) return name
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `${quoted(host)} is no name of a host: as holdfast.example, or holdfast.example:8080`,
  )
}

function admittedOrigin(origin: string): string {
  if (/^https?:\/\//.test(origin) && URL.canParse(origin) && new URL(origin).origin === origin) return origin
  throw new HoldfastError('INVALID_ARGUMENT', `${quoted(origin)} is no origin: as https://app.example, without a path`)
}

const quoted = (text: string): string => JSON.stringify(text.slice(0, 100))
