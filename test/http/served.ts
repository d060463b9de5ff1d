// A runtime of small kinds behind the shipped handler, and those who call it: two teams of one organization, another
// organization, a reader, and the owner of it all.
import { createHash } from 'node:crypto'
import { type AnySessionKind, defineSession, openRuntime, type Runtime } from 'holdfast'
import { createHttp, type Http, type HttpOptions, type KnownPrincipal, type Role } from 'holdfast/http'
import { assign, setup } from 'xstate'
import { z } from 'zod'

const note = z.strictObject({ type: z.literal('note'), text: z.string().max(200) })
const events = z.union([note, z.strictObject({ type: z.enum(['open', 'approve', 'reject']) })])

const machine = setup({
  types: {
    context: {} as { title: string; notes: readonly string[] },
    input: {} as { title: string },
    events: {} as z.infer<typeof events>,
  },
}).createMachine({
  id: 'review',
  context: ({ input }) => ({ title: input.title, notes: [] }),
  initial: 'draft',
  on: { note: { actions: assign({ notes: ({ context, event }) => [...context.notes, event.text].slice(-5) }) } },
  states: {
    draft: { on: { open: 'open' } },
    open: { tags: ['waiting'], on: { approve: 'approved', reject: 'draft' } },
    approved: { type: 'final' },
  },
})

export const review = defineSession({
  kind: 'review',
  version: 1,
  machine,
  input: z.strictObject({ title: z.string().min(1).max(200) }),
  events,
  index: ({ context, value }) => ({ title: context.title, state: String(value) }),
})

export const sha256 = (token: string): string => createHash('sha256').update(token).digest('hex')

const principal = (id: string, role: Role, more: Partial<KnownPrincipal> = {}): KnownPrincipal => ({
  id,
  roles: [role],
  sha256: sha256(tokenOf(id)),
  ...more,
})

/** As a token is: one that nobody guesses from another. */
export const tokenOf = (id: string): string => `${id}-${sha256(id).slice(0, 40)}`

export const PRINCIPALS: readonly KnownPrincipal[] = [
  principal('root', 'admin'),
  principal('red', 'admin', { organization: 'acme', teams: ['red'] }),
  principal('blue', 'admin', { organization: 'acme', teams: ['blue'] }),
  principal('other', 'admin', { organization: 'umbrella' }),
  principal('reader', 'reader', { organization: 'acme', teams: ['red'] }),
]

export type Ask = (method: string, path: string, options?: AskOptions) => Promise<Told>

export interface AskOptions {
  readonly as?: string
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

export interface Told {
  readonly status: number
  readonly headers: Headers
  readonly body: any
}

export interface Served {
  readonly runtime: Runtime
  readonly http: Http
  /** Asks in process, through the handler. */
  readonly ask: Ask
}

export async function served(options: HttpOptions = {}, kinds: readonly AnySessionKind[] = [review]): Promise<Served> {
  const runtime = await openRuntime({ storage: 'memory', pool: 'inline', kinds })
  const http = createHttp(runtime, { principals: PRINCIPALS, ...options })
  return { runtime, http, ask: asking((request) => http.fetch(request), 'http://127.0.0.1') }
}

export const asking =
  (fetch: (request: Request) => Promise<Response>, url: string): Ask =>
  async (method, path, { as = 'root', body, headers = {} } = {}) => {
    const sent = new Headers(headers)
    if (body !== undefined && !sent.has('content-type')) sent.set('content-type', 'application/json')
    if (as !== '') sent.set('authorization', `Bearer ${tokenOf(as)}`)
    const response = await fetch(
      new Request(`${url}${path}`, {
        method,
        headers: sent,
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      }),
    )
    const type = response.headers.get('content-type') ?? ''
    // A stream does not end by itself: that it has begun is the answer.
    const isStream = type.startsWith('text/event-stream')
    if (isStream) await response.body?.cancel()
    const text = isStream ? '' : await response.text()
    return { status: response.status, headers: response.headers, body: type.includes('json') ? JSON.parse(text) : text }
  }
