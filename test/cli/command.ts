// Runs the built command: `start` as a shell would, in a process of its own; `holdfast` in one process for all command
// lines of a process of tests (see host.js), since what they say and their exit codes are the same there.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))
const PROGRAM = new URL('../../dist/src/cli/program.js', import.meta.url).href
const HOST = fileURLToPath(new URL('host.js', import.meta.url))
export const DOCUMENTS = fileURLToPath(new URL('../fixtures/documents/', import.meta.url))

if (!existsSync(MAIN)) throw new Error('dist/src/cli/main.js is absent: run npm run build first')

export interface Ended {
  /** null when a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** Resolves once stderr has said this. */
  said(text: string): Promise<void>
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** What a process of a test needs to be counted, while coverage is counted. */
const { NODE_V8_COVERAGE } = process.env
const COUNTED: Record<string, string> = NODE_V8_COVERAGE ? { NODE_V8_COVERAGE } : {}

/** An environment that says nothing about colours, CI or Holdfast unless the test does. */
function environment(env: Readonly<Record<string, string>> = {}): Record<string, string> {
  const { PATH = '', HOME = '' } = process.env
  return { PATH, HOME, ...COUNTED, ...env }
}

/** Starts the command in a process of its own. */
export function start(args: readonly string[], { cwd, env }: RunOptions = {}): Running {
  const child = spawn(process.execPath, [MAIN, ...args], { ...(cwd && { cwd }), env: environment(env) })
  let [stdout, stderr] = ['', '']
  const listeners = new Set<() => void>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    for (const look of listeners) look()
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
  const said = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (stderr.includes(text)) resolve()
      }
      listeners.add(look)
      look()
      void ended.then(() => reject(new Error(`it ended without saying "${text}": ${stderr}`)))
    })
  return { child, ended, said }
}

/** What a host answers: one for each command line, in their order. */
type Answer = { readonly number: number } & ({ readonly ended: Ended } | { readonly error: string })

/** The process of the command lines. It ends by itself when the process of the tests does. */
class Host {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (answer: Ended | Error) => void>()
  #lines = 0

  constructor() {
    this.#child = fork(HOST, [PROGRAM], { env: environment(), execArgv: [] })
    this.#child.on('message', (answer: Answer) => this.#hear(answer))
    this.#child.unref()
    this.#child.channel?.unref()
    this.#child.on('exit', (code) => {
      if (host === this) host = undefined
      for (const tell of this.#waiting.values()) tell(new Error(`the command ended its process with ${code}`))
    })
  }

  run(args: readonly string[], { cwd, env }: RunOptions): Promise<Ended> {
    const number = ++this.#lines
    this.#child.send({ number, args, ...(cwd !== undefined && { cwd }), env: environment(env) })
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, (answer) => (answer instanceof Error ? reject(answer) : resolve(answer)))
    })
  }

  #hear(answer: Answer): void {
    const tell = this.#waiting.get(answer.number)
    this.#waiting.delete(answer.number)
    tell?.('ended' in answer ? answer.ended : new Error(answer.error))
  }
}

let host: Host | undefined

/** Runs a command line to its end, one at a time. */
export function holdfast(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  host ??= new Host()
  return host.run(args, options)
}

/** What `-o json` printed: one envelope in one line, of the promised shape. */
export function envelopeIn({ stdout }: Ended): any {
  const lines = stdout.split('\n')
  if (lines.length !== 2 || lines[1] !== '') throw new Error(`not one line: ${stdout}`)
  return checked(JSON.parse(lines[0] as string))
}

/** Each line of `-o jsonl`. */
export const envelopesIn = ({ stdout }: Ended): any[] =>
  stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => checked(JSON.parse(line)))

function checked(envelope: any): any {
  const keys = Object.keys(envelope).join()
  if (envelope.schemaVersion !== 1) throw new Error(`schemaVersion is ${envelope.schemaVersion}`)
  if (envelope.ok === true && keys === 'schemaVersion,ok,data') return envelope
  const { code, message, hint, retryable, ...more } = envelope.error ?? {}
  const fits =
    envelope.ok === false &&
    keys === 'schemaVersion,ok,error' &&
    /^[A-Z][A-Z_]+$/.test(code) &&
    typeof message === 'string' &&
    message.length > 0 &&
    ['string', 'undefined'].includes(typeof hint) &&
    typeof retryable === 'boolean' &&
    Object.keys(more).length === 0
  if (fits) return envelope
  throw new Error(`not an envelope: ${JSON.stringify(envelope)}`)
}

const made: string[] = []
process.once('exit', () => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true })
})

/** A new folder that goes away when the tests are over. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
  made.push(folder)
  return folder
}
