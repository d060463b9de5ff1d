// One session, followed at once by everything that can follow one, while its server is killed: `curl -N`, a browser's
// EventSource, its WebSocket and the client in that browser, the client in Node, and the command line. All of them saw what was recorded.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openReader, type Transition } from 'holdfast'
import { connect } from 'holdfast/client'
import { rolldown } from 'rolldown'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { start as startCommand } from '../cli/command.js'
import { counter } from '../fixtures/counter.js'
import { ownPort } from '../fixtures/own-port.js'
import { openPage } from './browser.js'

const SERVER = fileURLToPath(new URL('../fixtures/serve-me.js', import.meta.url))
const CLIENT = fileURLToPath(new URL('../../dist/src/client/index.js', import.meta.url))
const kills = Number(process.env.HOLDFAST_FOLLOW_KILLS ?? 1)
/** Set where they cannot be installed: what follows is then without them, and says so in its name. */
const { HOLDFAST_WITHOUT_BROWSER, HOLDFAST_WITHOUT_CURL } = process.env
const without = [...(HOLDFAST_WITHOUT_BROWSER ? ['a browser'] : []), ...(HOLDFAST_WITHOUT_CURL ? ['curl'] : [])]
const name = without.length > 0 ? ` (without ${without.join(' and ')}, which is not here)` : ''

let home: string
const leave: (() => unknown)[] = []
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'holdfast-follow-'))
})
afterEach(async () => {
  for (const go of leave.splice(0).reverse()) await go()
  rmSync(home, { recursive: true, force: true })
})

test(`everything that can follow a session agrees to the last transition, over ${kills} kills of its server${name}`, async () => {
  if (!HOLDFAST_WITHOUT_CURL && spawnSync('curl', ['--version']).status !== 0) {
    throw new Error('this test needs curl: apt-get install curl')
  }
  const inBrowser = told()
  const page = HOLDFAST_WITHOUT_BROWSER ? undefined : await openPage((message) => inBrowser.tell(message))
  leave.push(() => page?.[Symbol.asyncDispose]())
  const port = await ownPort()
  let server = await startServer(port, page?.origin)
  leave.push(() => server.child.kill('SIGKILL'))
  const { url, token } = server

  const client = connect({ url, token })
  leave.push(() => client.close())
  const session = await client.create(counter)
  const authorization = `authorization: Bearer ${token}`

  const byNode: Transition[] = []
  const nodeDone = new Promise<void>((resolve, reject) =>
    session
      .transitions$({ from: 1 })
      .subscribe({ next: (one) => void byNode.push(one), complete: resolve, error: reject }),
  )
  const byCurl = HOLDFAST_WITHOUT_CURL
    ? undefined
    : curl(`${url}/v1/sessions/${session.id}/stream?after=0&events=transition`, authorization)
  const command = startCommand(['watch', session.id, '--from', '1', '--url', url, '-o', 'jsonl'], {
    env: { HOLDFAST_TOKEN: token },
  })
  const { ticket } = await client.post<{ ticket: string }>(`/v1/sessions/${session.id}/ticket`)
  page?.show(PAGE, { '/page.js': await pageScript({ url, token, ticket, id: session.id }) })
  if (page) await inBrowser.hears('ready', 3)

  for (let kill = 0; kill <= kills; kill++) {
    const sends = Array.from({ length: 40 }, (_, n) =>
      session.send({ type: 'add', by: 1, id: `${kill}.${n}` } as never),
    )
    if (kill < kills) {
      await Promise.race(sends)
      server.child.kill('SIGKILL')
      await once(server.child, 'exit')
      server = await startServer(port, page?.origin)
    }
    await Promise.all(sends)
  }
  await session.send({ type: 'finish' } as never)
  await nodeDone
  const [ended] = await Promise.all([command.ended, byCurl?.done, page && inBrowser.hears('end', 3)])
  server.child.kill('SIGKILL')
  await once(server.child, 'exit')

  const recorded = JSON.parse(
    JSON.stringify([...(await openReader({ dir: home })).history(session.id)]),
  ) as Transition[]
  expect(recorded.length).toBe(2 + 40 * (kills + 1))
  expect(byNode).toEqual(recorded)
  if (byCurl) expect(byCurl.transitions).toEqual(recorded)
  if (page) {
    expect(inBrowser.transitions('EventSource')).toEqual(recorded)
    expect(inBrowser.transitions('WebSocket')).toEqual(recorded)
    expect(inBrowser.transitions('client')).toEqual(recorded)
  }
  const byCommand = ended.stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line).data)
  expect([ended.code, byCommand]).toEqual([0, recorded])
})

interface Serving {
  readonly child: ChildProcess
  readonly url: string
  readonly token: string
}

async function startServer(port: number, origin = ''): Promise<Serving> {
  const child = spawn(process.execPath, [SERVER, home, String(port), origin], { stdio: ['ignore', 'pipe', 'inherit'] })
  const died = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the server ended with ${code}`)))
  const [line] = (await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), died])) as [Buffer]
  died.catch(() => {})
  return { child, ...JSON.parse(line.toString()) }
}

/** As a person would: again from the last id, whenever it has ended. */
function curl(
  address: string,
  authorization: string,
): { readonly transitions: Transition[]; readonly done: Promise<void> } {
  const transitions: Transition[] = []
  const done = (async () => {
    for (let last = 0, over = false; !over; ) {
      const resume = last > 0 ? ['-H', `Last-Event-ID: ${last}`] : []
      const child = spawn('curl', ['-sN', '-H', authorization, ...resume, address], {
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      let text = ''
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
        const blocks = text.split('\n\n')
        text = blocks.pop() as string
        for (const block of blocks) {
          const [, id] = /^id: (\d+)$/m.exec(block) ?? []
          const [, event] = /^event: (.*)$/m.exec(block) ?? []
          const [, data] = /^data: (.*)$/m.exec(block) ?? []
          if (id !== undefined) last = Number(id)
          if (event === 'transition') transitions.push(JSON.parse(data as string))
          if (event === 'end') over = true
        }
      })
      await once(child, 'close')
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  })()
  return { transitions, done }
}

interface Told {
  tell(message: { who: string; what: string; data?: Transition[] }): void
  hears(what: string, times: number): Promise<void>
  transitions(who: string): Transition[]
}

/** What the page has said. */
function told(): Told {
  const messages: { who: string; what: string; data?: Transition[] }[] = []
  let look = (): void => {}
  return {
    tell: (message) => {
      if (message.what === 'failed') throw new Error(`in the browser: ${JSON.stringify(message)}`)
      messages.push(message)
      look()
    },
    hears: (what, times) =>
      new Promise((resolve) => {
        look = () => {
          if (messages.filter((message) => message.what === what).length >= times) resolve()
        }
        look()
      }),
    transitions: (of) => messages.find(({ who, what }) => who === of && what === 'end')?.data ?? [],
  }
}

const PAGE = '<!doctype html><meta charset="utf-8"><title>follows</title><script type="module" src="/page.js"></script>'

/** The page's script, with the client as a bundler makes it for a browser: what it needs of Node would fail here. */
async function pageScript(facts: object): Promise<string> {
  const entry = '\0page'
  const bundle = await rolldown({
    input: entry,
    platform: 'browser',
    plugins: [
      {
        name: 'page',
        resolveId: (id) => (id === entry ? id : undefined),
        load: (id) => (id === entry ? `const facts = ${JSON.stringify(facts)}\n${SCRIPT}` : undefined),
      },
    ],
  })
  const { output } = await bundle.generate({ format: 'esm' })
  const [{ code, imports }] = output
  expect(imports).toEqual([])
  await bundle.close()
  return code
}

const SCRIPT = `
import { connect, kindOf } from ${JSON.stringify(CLIENT)}
const say = (who, what, data) => fetch('/said', { method: 'POST', body: JSON.stringify({ who, what, data }) })
addEventListener('error', (event) => say('page', 'failed', String(event.message)))
addEventListener('unhandledrejection', (event) => say('page', 'failed', String(event.reason)))
const seen = []
const source = new EventSource(facts.url + '/v1/sessions/' + facts.id + '/stream?after=0&ticket=' + facts.ticket)
source.addEventListener('open', () => say('EventSource', 'ready'), { once: true })
source.addEventListener('transition', (event) => seen.push(JSON.parse(event.data)))
source.addEventListener('end', () => { source.close(); say('EventSource', 'end', seen) })
const heard = []
const listen = (after) => {
  const socket = new WebSocket(facts.url.replace('http', 'ws') + '/v1/sessions/' + facts.id + '/stream?events=transition&after=' + after + '&ticket=' + facts.ticket)
  let known = after
  socket.onmessage = ({ data }) => {
    const { id, event, data: one } = JSON.parse(data)
    known = id ?? known
    if (event === 'transition' && heard.push(one) === 1) say('WebSocket', 'ready')
  }
  socket.onclose = ({ code }) => code === 1000 ? say('WebSocket', 'end', heard) : setTimeout(() => listen(known), 100)
}
listen(0)
const client = connect({ url: facts.url, token: facts.token })
const session = await client.session(facts.id, kindOf('counter'))
const own = []
session.transitions$({ from: 1 }).subscribe({
  next: (one) => { if (own.push(one) === 1) say('client', 'ready') },
  complete: () => say('client', 'end', own),
  error: (error) => say('client', 'failed', String(error)),
})
`
