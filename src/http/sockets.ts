// Streams as WebSockets, on a server of Node's. A request to upgrade goes through the fetch handler as every other one, so the
// same stages name, admit, count and refuse it; what the handler answers is the stream of Server-Sent Events, and each event
// becomes one message. Nothing is taken from a client but its leaving.

import { type IncomingMessage, type Server as NodeServer, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { HoldfastError } from '../errors.js'
import { whyForged } from './forged.js'
import { messagesOf } from './frame.js'
import type { Http } from './http.js'
import { type Problem, problemOf } from './problem.js'

export interface WebSockets {
  /** Tells all who follow that the server goes away; resolves when they are gone, within a second. */
  close(): Promise<void>
}

/** How a connection is closed: these, or 4000 and the status of the problem that was told before. */
const ENDED = 1000
const GOING_AWAY = 1001
const NOT_TAKEN = 1008
const PROBLEM = 4000

/** Signs of life that may stay without an answer: with one every 4.5 to 9 s, a client that is not there is let go within half a minute. */
const UNANSWERED = 2

const OPTIONS = { noServer: true, maxPayload: 1024, closeTimeout: 1000 } as const

/**
 * Takes all requests to upgrade that come to a server of Node's: those to streams become WebSockets, which are refused as the
 * handler refuses; to something else than a WebSocket nothing is upgraded, and the server answers as if it had not been asked.
 *
 * ```ts
 * const http = createHttp(runtime, { principals })
 * const node = createServer(getRequestListener(http.fetch)).listen(4653)
 * const sockets = acceptWebSockets(node, http)
 * ```
 */
export function acceptWebSockets(node: NodeServer, http: Pick<Http, 'fetch'>): WebSockets {
  const sockets = new Sockets(node, http)
  node.on('upgrade', (incoming, socket, head) => void sockets.take(incoming, socket, head))
  return sockets
}

class Sockets implements WebSockets {
  readonly #node: NodeServer
  readonly #http: Pick<Http, 'fetch'>
  readonly #server: WebSocketServer = new WebSocketServer(OPTIONS)
  /** What the last piece came to: all who follow one session are given the same pieces. */
  #last: { readonly piece: Uint8Array; readonly messages: readonly (Buffer | undefined)[] } | undefined
  #closing = false

  constructor(node: NodeServer, http: Pick<Http, 'fetch'>) {
    this.#node = node
    this.#http = http
  }

  async take(incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    if (!asksForWebSocket(incoming)) return handBack(this.#node, incoming, socket, head)
    /** Ends the stream, too, once the connection is gone. */
    const left = new AbortController()
    socket.on('error', () => {})
    socket.once('close', () => left.abort())
    const response = await this.#ask(incoming, socket, left.signal)
    const { status, body } = response
    const isStream = response.headers.get('content-type') === 'text/event-stream'
    // That what came before is not kept is for the page, which sees nothing of a handshake that failed.
    const isTold = isStream || status === 204 || status === 410
    if (this.#closing || !isTold) {
      if (isStream) await body?.cancel()
      return this.#closing ? void socket.destroy() : await answer(response, incoming, socket)
    }
    const problem = status === 410 ? ((await response.json()) as Problem) : undefined
    this.#server.handleUpgrade(incoming, socket, head, (client) => {
      client.on('error', () => {})
      client.on('message', () => client.close(NOT_TAKEN, 'a stream takes no messages'))
      if (problem) {
        client.send(JSON.stringify({ event: 'problem', data: problem }))
        client.close(PROBLEM + problem.status, problem.code)
      } else if (!isStream) client.close(ENDED)
      else void this.#carry((body as ReadableStream<Uint8Array>).getReader(), client, socket)
    })
  }

  async close(): Promise<void> {
    this.#closing = true
    const clients = [...this.#server.clients]
    const closed = clients.map((client) => new Promise((resolve) => client.once('close', resolve)))
    for (const client of clients) client.close(GOING_AWAY, 'the server closes; come again')
    await Promise.all(closed)
  }

  /** What the handler answers to the same request without the upgrade. */
  async #ask(incoming: IncomingMessage, socket: Duplex, signal: AbortSignal): Promise<Response> {
    const forged = whyForged(incoming)
    if (forged) return refusal(forged)
    const request = requestOf(incoming, signal)
    if (!request) return refusal(new HoldfastError('HOST_REFUSED', 'the host that is named is none'))
    return await this.#http.fetch(request, { incoming, outgoing: { destroy: () => socket.destroy() } })
  }

  /** A piece is asked for when the one before it has gone to the system, so what waits, waits in the stream. */
  async #carry(reader: ReadableStreamDefaultReader<Uint8Array>, client: WebSocket, socket: Duplex): Promise<void> {
    let unanswered = 0
    client.on('pong', () => {
      unanswered = 0
    })
    let last: Buffer | undefined
    for (;;) {
      const { value: piece } = await reader.read()
      if (!piece) return farewell(client, last)
      const sent: Promise<void>[] = []
      socket.cork()
      for (const message of this.#messages(piece)) {
        last = message ?? last
        if (message) sent.push(send(client, message))
        else if (unanswered++ < UNANSWERED) client.ping()
        else client.terminate()
      }
      socket.uncork()
      await sent.at(-1)
    }
  }

  #messages(piece: Uint8Array): readonly (Buffer | undefined)[] {
    if (this.#last && isSame(this.#last.piece, piece)) return this.#last.messages
    const texts = messagesOf(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString())
    const messages = texts.map((text) => (text === undefined ? undefined : Buffer.from(text)))
    this.#last = { piece, messages }
    return messages
  }
}

/** The same bytes in the same place, which are written once. */
const isSame = (one: Uint8Array, other: Uint8Array): boolean =>
  one.buffer === other.buffer && one.byteOffset === other.byteOffset && one.byteLength === other.byteLength

const asksForWebSocket = ({ method, headers }: IncomingMessage): boolean =>
  method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket'

/** Resolves when it has gone to the system, or the connection is lost. */
const send = (client: WebSocket, message: Buffer): Promise<void> =>
  new Promise((resolve) => client.send(message, { binary: false }, () => resolve()))

/** Closes by what was told last: the end of the session, a problem, or nothing, as when the runtime closes. */
function farewell(client: WebSocket, last: Buffer | undefined): void {
  const { event, data } = JSON.parse(String(last ?? '{}')) as { event?: string; data?: Problem }
  if (event === 'end') client.close(ENDED)
  else if (event === 'problem' && data) client.close(PROBLEM + data.status, data.code)
  else client.close(GOING_AWAY, 'the server closes; come again')
}

/** Undefined when its host makes no address. */
function requestOf(incoming: IncomingMessage, signal: AbortSignal): Request | undefined {
  try {
    return new Request(`http://${incoming.headers.host}${incoming.url}`, { headers: headersOf(incoming), signal })
  } catch {
    return undefined
  }
}

/** All but those of the handshake. */
function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers()
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name, value] = [rawHeaders[at] as string, rawHeaders[at + 1] as string]
    if (!/^(connection|upgrade|sec-websocket-.*)$/i.test(name)) headers.append(name, value)
  }
  return headers
}

function refusal(error: HoldfastError): Response {
  const problem = problemOf(error)
  const headers = { 'content-type': 'application/problem+json' }
  return new Response(JSON.stringify(problem), { status: problem.status, headers })
}

/** An answer of HTTP on a socket that was to be upgraded, and its end. */
async function answer(response: Response, incoming: IncomingMessage, socket: Duplex): Promise<void> {
  const body = Buffer.from(await response.arrayBuffer())
  const outgoing = new ServerResponse(incoming)
  outgoing.assignSocket(socket as Socket)
  outgoing.once('finish', () => socket.end())
  outgoing.writeHead(response.status, {
    ...Object.fromEntries(response.headers),
    ...{ connection: 'close', 'content-length': body.length },
  })
  outgoing.end(body)
}

/** Some clients ask for HTTP/2 with every request; they get what they asked for besides. */
function handBack(node: NodeServer, incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = incoming
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (!/^(connection|upgrade|http2-settings)$/i.test(rawHeaders[at] as string))
      lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`)
  }
  socket.unshift(head)
  socket.unshift(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'))
  node.emit('connection', socket)
}
