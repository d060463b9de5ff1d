// `holdfast serve`: a runtime and its HTTP server in one process, until it is told to stop. It says where it listens, what
// it found, and where the token is; the token itself it never prints.

import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { openAudit } from '../audit.js'
import { type Disk, replaceFile } from '../disk.js'
import { HoldfastError, messageOf } from '../errors.js'
import { createFileDisk } from '../files/disk.js'
import type { KnownPrincipal } from '../http/index.js'
import { systemClock } from '../system/clock.js'
import { listenForInterrupts } from './interrupt.js'
import { kindsOf } from './kind-modules.js'
import { logTo } from './log.js'
import type { Output } from './output.js'
import { homeOf, placeAt, SERVER_FILE } from './place.js'
import { printable } from './style.js'

export interface ServeCommand {
  readonly dir: string
  readonly kinds: readonly string[]
  readonly port?: number
  readonly strictPort?: boolean
  readonly host: string
  readonly principals?: string
  readonly allowHost?: readonly string[]
  readonly allowOrigin?: readonly string[]
  readonly readOnly?: boolean
  readonly backups?: string
}

/** What `-o json` tells once it listens. */
export interface Ready {
  readonly url: string
  readonly dir: string
  readonly sessions: { readonly recovered: number; readonly active: number }
  /** The file with the token. */
  readonly token: string
  readonly pid: number
}

export async function serve(command: ServeCommand, output: Output): Promise<number> {
  const { dir, host, port, strictPort = false, readOnly = false, backups, allowHost, allowOrigin } = command
  const principals = command.principals === undefined ? [] : principalsIn(command.principals)
  const kinds = await kindsOf(command.kinds)
  // Only here: they bring the engine and the server along.
  const [{ openRuntime }, http] = await Promise.all([import('../open.js'), import('../http/index.js')])
  const logger = logTo(output)
  const home = homeOf(dir)
  using interrupts = listenForInterrupts(() => output.note('stopping; what is under way is finished first'))
  await using runtime = await openRuntime({ ...placeAt(dir), kinds, logger })
  const { total, active } = runtime.sessions.stats()
  const disk = createFileDisk(home)
  const audit = openAudit(disk, systemClock)
  try {
    await using server = await http.serve(runtime, {
      ...{ principals, readOnly, audit, logger, hostname: host, tokenDir: home, place: placeAt(dir) },
      ...{ nextPort: !strictPort, ...(port !== undefined && { port }) },
      ...(allowHost && { hosts: allowHost }),
      ...(allowOrigin && { origins: allowOrigin }),
      ...(backups !== undefined && { backups: resolve(backups) }),
    })
    const token = join(home, 'access', 'token')
    const sessions = { recovered: total, active }
    const ready: Ready = { url: server.url, dir: resolve(dir), sessions, token: resolve(token), pid: process.pid }
    using _ = await told(disk, ready)
    output.data(ready, () => readyText(ready))
    await new Promise<void>((stop) => {
      if (interrupts.signal.aborted) stop()
      interrupts.signal.addEventListener('abort', () => stop(), { once: true })
    })
  } finally {
    await audit.close()
  }
  return 0
}

/** Keeps the server's address beside its token, until disposed: whoever is refused the directory is told to ask there. */
async function told(disk: Disk, { url, pid }: Ready): Promise<Disposable> {
  await replaceFile(disk, SERVER_FILE, new TextEncoder().encode(`${JSON.stringify({ url, pid })}\n`))
  return { [Symbol.dispose]: () => disk.remove(SERVER_FILE) }
}

const readyText = ({ url, dir, sessions, token }: Ready): string =>
  [
    `url       ${url}`,
    `data      ${printable(dir)}`,
    `sessions  ${sessions.recovered} recovered, ${sessions.active} active`,
    `token     ${printable(token)}`,
    'ready',
  ].join('\n')

/** Throws INVALID_ARGUMENT, or the system's error when the file cannot be read. */
function principalsIn(file: string): readonly KnownPrincipal[] {
  const text = readFileSync(file, 'utf8')
  try {
    const list: unknown = JSON.parse(text)
    if (Array.isArray(list)) return list
  } catch (cause) {
    throw new HoldfastError('INVALID_ARGUMENT', `--principals ${file} is not JSON (${messageOf(cause)})`, { cause })
  }
  throw new HoldfastError('INVALID_ARGUMENT', `--principals ${file} is no list; docs/http.md says what is in it`)
}
