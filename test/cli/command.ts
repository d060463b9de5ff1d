// Runs the built command as a shell would: a process of its own, whose words and exit code are all that a test sees.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'

export const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))
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

/** Starts the command with an environment that says nothing about colours, CI or Holdfast unless the test does. */
export function start(args: readonly string[], { cwd, env = {} }: RunOptions = {}): Running {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [MAIN, ...args], {
    ...(cwd && { cwd }),
    env: { PATH, HOME, ...COUNTED, ...env },
  })
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

export const holdfast = (args: readonly string[], options: RunOptions = {}): Promise<Ended> =>
  start(args, options).ended

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
afterAll(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/** A new folder that goes away when the tests of the file are over. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
  made.push(folder)
  return folder
}
