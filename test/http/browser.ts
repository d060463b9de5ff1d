// A real browser without a window: it shows a page of the test's, and the page says what it sees by requests to the test.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** Where Chromium is. Throws when there is none, and says how to install it. */
export function chromium(): string {
  const named = process.env.HOLDFAST_CHROMIUM
  const found = named ?? NAMES.find((name) => spawnSync(name, ['--version']).status === 0)
  if (found !== undefined) return found
  throw new Error(
    `this test needs Chromium, and none of ${NAMES.join(', ')} is here: apt-get install chromium, or HOLDFAST_CHROMIUM=<path>`,
  )
}

export interface Page extends AsyncDisposable {
  /** Where its page comes from. */
  readonly origin: string
  /** Shows the page; may be called once. */
  show(html: string, scripts?: Readonly<Record<string, string>>): void
}

/** `said` hears what the page posts to `/said`, as JSON. */
export async function openPage(said: (message: any) => void): Promise<Page> {
  const program = chromium()
  const files = new Map<string, { type: string; text: string }>()
  const server = createServer((request, response) => {
    if (request.url === '/said') {
      let text = ''
      request.setEncoding('utf8').on('data', (chunk) => {
        text += chunk
      })
      request.on('end', () => {
        response.writeHead(204).end()
        said(JSON.parse(text))
      })
      return
    }
    const file = files.get(request.url ?? '')
    response.writeHead(file ? 200 : 404, { 'content-type': file?.type ?? 'text/plain' }).end(file?.text)
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const profile = mkdtempSync(join(tmpdir(), 'holdfast-chromium-'))
  let browser: ChildProcess | undefined
  return {
    origin,
    show(html, scripts = {}) {
      files.set('/', { type: 'text/html', text: html })
      for (const [path, text] of Object.entries(scripts)) files.set(path, { type: 'text/javascript', text })
      browser = spawn(
        program,
        [
          ...['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
          ...[
            '--disable-background-networking',
            '--disable-component-update',
            '--disable-sync',
            '--disable-extensions',
          ],
          ...['--remote-debugging-port=0', `--user-data-dir=${profile}`, `${origin}/`],
        ],
        { stdio: 'ignore', detached: true },
      )
    },
    async [Symbol.asyncDispose]() {
      const gone = browser && new Promise((resolve) => browser?.once('exit', resolve))
      // Its own group: it has children of its own.
      if (browser?.pid !== undefined) process.kill(-browser.pid, 'SIGKILL')
      await gone
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
    },
  }
}
