// The same handler behind a socket of Node's, as HTTP and as WebSockets. It refuses before anything else what a fetch
// handler cannot see.

import { createHash } from 'node:crypto'
import { createServer, type Server as NodeServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { HoldfastError, messageOf } from '../errors.js'
import { consoleLogger, guarded } from '../logger.js'
import { openToken } from '../open.js'
import { admitOptions } from '../options.js'
import type { Runtime } from '../runtime.js'
import { whyForged } from './forged.js'
import { createHttp, HTTP_OPTIONS, type Http, type HttpOptions } from './http.js'
import { LOOPBACK, Names } from './names.js'
import { type KnownPrincipal, Principals } from './principal.js'
import { problemOf } from './problem.js'
import { acceptWebSockets, type WebSockets } from './sockets.js'

export interface ServeOptions extends HttpOptions {
  /** Default 4653; 0 is any that is free. */
  readonly port?: number
  /** The next port that is free, when it is taken; default false. */
  readonly nextPort?: boolean
  /** The address to listen on; default 127.0.0.1, which only this machine reaches. */
  readonly hostname?: string
  /**
   * Where the token is kept, in `access/token`, of a principal `local` that may do everything; default: there is none, and
   * `principals` says who may call.
   */
  readonly tokenDir?: string
}

export interface Server extends AsyncDisposable {
  /** As `http://127.0.0.1:4653`. */
  readonly url: string
  readonly port: number
  /** That of `local`, if `tokenDir` was given. */
  readonly token: string | undefined
  /** Takes no more requests, lets those that are being answered end, and cuts streams off. The runtime stays open. */
  close(): Promise<void>
}

const DEFAULT_PORT = 4653

/**
 * Serves a runtime's sessions by HTTP until closed; resolves when it listens.
 * Rejects with PORT_IN_USE, or INVALID_ARGUMENT, also for a place where it may not listen.
 *
 * ```ts
 * await using server = await serve(runtime, { tokenDir: '.holdfast' })
 * console.log(server.url)
 * ```
 */
export async function serve(runtime: Runtime, options: ServeOptions): Promise<Server> {
  admitOptions('options of serve', options, {
    ...HTTP_OPTIONS,
    port: true,
    nextPort: true,
    hostname: true,
    tokenDir: true,
  })
  const { port = DEFAULT_PORT, nextPort = false, hostname = '127.0.0.1', tokenDir, ...http } = options
  if (tokenDir === undefined && http.principals === undefined) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      'nobody could call: name `principals`, or a `tokenDir` where a token is made',
    )
  }
  const token = tokenDir === undefined ? undefined : await openToken(tokenDir)
  const principals = [...(token === undefined ? [] : [localPrincipal(token)]), ...(http.principals ?? [])]
  if (!http.audit && !runtime.audit) {
    const { warn } = guarded(http.logger ?? consoleLogger)
    warn({}, 'there is no audit log: this runtime keeps everything in memory, and no other `audit` was given')
  }
  const node = createServer(SERVER_OPTIONS)
  const bound = await listen(node, hostname, port, nextPort)
  const names = http.hosts ?? LOOPBACK.map((name) => `${name}:${bound}`)
  let handler: Http
  try {
    handler = createHttp(runtime, { ticketSecret: token, ...http, principals, hosts: names })
  } catch (error) {
    node.close()
    throw error
  }
  const listener = getRequestListener(handler.fetch, { overrideGlobalObjects: false })
  const sockets = acceptWebSockets(node, handler)
  node.on('request', (incoming, outgoing) => {
    const forged = whyForged(incoming)
    if (forged) refuse(outgoing, forged)
    else void listener(incoming, outgoing)
  })
  const url = `http://${hostname.includes(':') ? `[${hostname}]` : hostname}:${bound}`
  return new Listening({ node, sockets }, url, bound, token)
}

/**
 * Refuses what `serve` would refuse, before a runtime is opened for it: somebody who has no server wants no directory, either.
 * Rejects with PORT_IN_USE or INVALID_ARGUMENT.
 */
export async function requireServable(options: ServeOptions): Promise<void> {
  const {
    port = DEFAULT_PORT,
    nextPort = false,
    hostname = '127.0.0.1',
    principals = [],
    hosts = [],
    origins = [],
  } = options
  new Principals(principals)
  new Names(hosts, origins)
  const node = createServer()
  await listen(node, hostname, port, nextPort)
  await new Promise<void>((resolve) => void node.close(() => resolve()))
}

/** A header or a body that comes too slowly is cut off; headers of more than 16 KiB are refused with 431. */
const SERVER_OPTIONS = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 5000, maxHeaderSize: 16_384 }

interface Parts {
  readonly node: NodeServer
  readonly sockets: WebSockets
}

class Listening implements Server {
  readonly url: string
  readonly port: number
  readonly token: string | undefined
  readonly #node: NodeServer
  readonly #sockets: WebSockets

  constructor({ node, sockets }: Parts, url: string, port: number, token: string | undefined) {
    this.#node = node
    this.#sockets = sockets
    this.url = url
    this.port = port
    this.token = token
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => void this.#node.close(() => resolve()))
    this.#node.closeAllConnections()
    await this.#sockets.close()
    await closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

const localPrincipal = (token: string): KnownPrincipal => ({
  id: 'local',
  roles: ['admin'],
  sha256: createHash('sha256').update(token).digest('hex'),
})

const LAST_PORT = 65_535
/** How many ports are tried. */
const PORTS = 50

async function listen(node: NodeServer, hostname: string, port: number, nextPort: boolean): Promise<number> {
  const last = nextPort && port !== 0 ? Math.min(port + PORTS - 1, LAST_PORT) : port
  for (let candidate = port; ; candidate++) {
    try {
      return await listenOn(node, hostname, candidate)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') {
        const what = `cannot listen on port ${candidate} of ${hostname} (${messageOf(cause)}); choose another`
        throw new HoldfastError('INVALID_ARGUMENT', what, { cause })
      }
      if (candidate >= last) throw portInUse(hostname, port, last, cause)
    }
  }
}

function portInUse(hostname: string, port: number, last: number, cause: unknown): HoldfastError {
  const what = last === port ? `port ${port} of ${hostname} is` : `the ports ${port} to ${last} of ${hostname} are`
  return new HoldfastError('PORT_IN_USE', `${what} in use by another program; choose another, or 0 for any`, { cause })
}

const listenOn = (node: NodeServer, hostname: string, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    node.once('error', reject)
    node.listen(port, hostname, () => {
      node.off('error', reject)
      resolve((node.address() as AddressInfo).port)
    })
  })

function refuse(outgoing: ServerResponse, error: HoldfastError): void {
  const problem = problemOf(error)
  outgoing.writeHead(problem.status, { 'content-type': 'application/problem+json', connection: 'close' })
  outgoing.end(JSON.stringify(problem))
}
