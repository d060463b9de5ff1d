// A service on the loopback interface, whatever it is: it listens on a port of its own until it is closed, and answers each
// request, cuts it off, or never answers. As `fetch` it answers in this process, without a socket, for simulations.

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Asked {
  /** Path and query, or the whole URL when it was asked by `fetch`. */
  readonly url: string
  readonly authorization: string | undefined
  readonly body: string
}

export interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: string
}

export abstract class Loopback {
  #server: Server | undefined

  /** What a request comes to. It may have been acted on even when the connection is then cut. */
  protected abstract answer(asked: Asked): Answer | 'cut off' | 'silence'

  /** Resolves with the URL of `path` there. */
  async listen(path = '/'): Promise<string> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const { url = '', headers } = request
        const body = Buffer.concat(chunks).toString()
        const answer = this.answer({ url, authorization: headers.authorization, body })
        if (answer === 'cut off') response.destroy()
        else if (answer !== 'silence') response.writeHead(answer.status, headersOf(answer)).end(answer.body)
      })
    })
    this.#server = server
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`
  }

  async close(): Promise<void> {
    const server = this.#server
    if (!server) return
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }

  /** For `globalThis.fetch`. */
  readonly fetch = async (url: unknown, init: RequestInit): Promise<Response> => {
    const authorization = new Headers(init.headers).get('authorization') ?? undefined
    const answer = this.answer({ url: String(url), authorization, body: String(init.body) })
    if (typeof answer === 'object')
      return new Response(answer.body, { status: answer.status, headers: headersOf(answer) })
    throw new TypeError('fetch failed', { cause: Object.assign(new Error('reset'), { code: 'ECONNRESET' }) })
  }
}

const headersOf = ({ headers }: Answer): Record<string, string> => ({
  'content-type': 'application/json; charset=utf-8',
  ...headers,
})
