// `holdfast serve`: a runtime and its HTTP server in one process, until it is told to stop. It says where it listens, what
// it found, and where the token is; the token itself it never prints.

import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Disk, replaceFile } from '../disk.js'
import { HoldfastError, messageOf } from '../errors.js'
import { createFileDisk } from '../files/disk.js'
import type { KnownPrincipal } from '../http/index.js'
import type { Runtime } from '../runtime.js'
import { usage } from './failure.js'
import { listenForInterrupts } from './interrupt.js'
import { kindsOf } from './kind-modules.js'
import { logTo } from './log.js'
import type { Output } from './output.js'
import { homeOf, placeAt, SERVER_FILE } from './place.js'
import { type Environment, printable } from './style.js'

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
  /** Names of variables of the environment. */
  readonly secret?: readonly string[]
}

/** What `-o json` tells once it listens. */
export interface Ready {
  readonly url: string
  readonly dir: string
  /** `active`: those that go on. */
  readonly sessions: { readonly recovered: number; readonly active: number; readonly parked: number }
  /** Kinds of parked sessions that are not served. */
  readonly unserved: readonly string[]
  /** The file with the token. */
  readonly token: string
  readonly pid: number
}

export async function serve(command: ServeCommand, output: Output): Promise<number> {
  const { dir, host, port, strictPort = false, readOnly = false, backups, allowHost, allowOrigin } = command
  const principals = command.principals === undefined ? [] : principalsIn(command.principals)
  const kinds = await kindsOf(command.kinds)
  const secrets = secretsIn(command.secret ?? [], output.env)
  // Only here: they bring the engine and the server along.
  const [{ openRuntime }, http] = await Promise.all([import('../open.js'), import('../http/serve.js')])
  const logger = logTo(output)
  const home = homeOf(dir)
  const door = {
    ...{ principals, hostname: host, nextPort: !strictPort, ...(port !== undefined && { port }) },
    ...(allowHost && { hosts: allowHost }),
    ...(allowOrigin && { origins: allowOrigin }),
  }
  await http.requireServable(door)
  using interrupts = listenForInterrupts(() => output.note('stopping; what is under way is finished first'))
  await using runtime = await openRuntime({ ...placeAt(dir), kinds, secrets, logger })
  await using server = await http.serve(runtime, {
    ...{ ...door, readOnly, logger, tokenDir: home, place: placeAt(dir) },
    ...(backups !== undefined && { backups: resolve(backups) }),
  })
  const token = join(home, 'access', 'token')
  const place = { url: server.url, dir: resolve(dir), token: resolve(token) }
  const ready: Ready = { ...place, ...standing(runtime), pid: process.pid }
  using _ = await told(createFileDisk(home), ready)
  output.data(ready, () => readyText(ready))
  await new Promise<void>((stop) => {
    if (interrupts.signal.aborted) stop()
    interrupts.signal.addEventListener('abort', () => stop(), { once: true })
  })
  return 0
}

/** Keeps the server's address beside its token, until disposed: whoever is refused the directory is told to ask there. */
async function told(disk: Disk, { url, pid }: Ready): Promise<Disposable> {
  await replaceFile(disk, SERVER_FILE, new TextEncoder().encode(`${JSON.stringify({ url, pid })}\n`))
  return { [Symbol.dispose]: () => disk.remove(SERVER_FILE) }
}

/** One of a kind that is not served is parked when it is first asked for, if it has nothing to do by itself. */
function standing(runtime: Runtime): Pick<Ready, 'sessions' | 'unserved'> {
  const { total, active } = runtime.sessions.stats()
  const foreign = Object.entries(runtime.metrics().sessions).filter(
    ([kind, statuses]) => statuses.active > 0 && !runtime.kinds.has(kind),
  )
  const broken = runtime.health().parked.filter(({ kind }) => runtime.kinds.has(kind)).length
  const parked = foreign.reduce((sum, [, statuses]) => sum + statuses.active, broken)
  return {
    sessions: { recovered: total, active: active - parked, parked },
    unserved: foreign.map(([kind]) => kind).sort(),
  }
}

const readyText = ({ url, dir, sessions, unserved, token }: Ready): string =>
  [
    `url       ${url}`,
    `data      ${printable(dir)}`,
    `sessions  ${sessions.recovered} recovered, ${sessions.active} active${parkedText(sessions.parked, unserved)}`,
    `token     ${printable(token)}`,
    'ready',
  ].join('\n')

function parkedText(parked: number, unserved: readonly string[]): string {
  if (parked === 0) return ''
  const [first = '', ...more] = unserved
  if (more.length > 0) return `, ${parked} parked: kinds ${unserved.join(', ')} are not served`
  return `, ${parked} parked${first && `: kind ${first} is not served`}`
}

/** Whoever lists the processes of a machine sees their command lines, so a secret's value is taken from the environment. */
function secretsIn(names: readonly string[], env: Environment): Record<string, string> {
  const entries = names.map((name): [string, string] => {
    // One that is none may be a secret itself: it is not repeated.
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw usage('--secret takes the name of an environment variable, never a value', '--secret NAME, with NAME set')
    }
    const value = env[name]
    if (value !== undefined && value !== '') return [name, value]
    throw usage(`--secret ${name}: the environment has no ${name}`, `set it, or leave out --secret ${name}`)
  })
  return Object.fromEntries(entries)
}

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
