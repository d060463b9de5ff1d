// Where a command's words go: data to stdout, everything else to stderr, in the format that was asked for.
// It promises one envelope a command with `json`, one a line with `jsonl`, and that a reader who leaves early (`| head`)
// is no error. It never asks anything.

import { type Failure, failureOf } from './failure.js'
import { type NextCommand, nextCommandIn } from './next-command.js'
import { type Environment, printable, type Style, styleOf, wantsColour } from './style.js'

export type Format = 'text' | 'json' | 'jsonl'

/** The version of the envelope; it changes when a field changes its meaning. */
const SCHEMA_VERSION = 1

export interface Channel {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** How a command is to tell, and where it was told to look. */
export interface Wish {
  readonly format: Format
  readonly dir: string
  readonly url?: string | undefined
}

export class Output {
  readonly format: Format
  readonly env: Environment
  /** A command line that goes on in the same directory, or with the same server. */
  readonly next: NextCommand
  readonly err: Channel
  /** For what goes to stdout. */
  readonly style: Style
  /** For what goes to stderr. */
  readonly noteStyle: Style
  /** What is being drawn on stderr, if anything: it makes room for a line. */
  drawing: { clear(): void } | undefined
  readonly #out: Channel

  constructor({ format, ...where }: Wish, out: Channel, err: Channel, env: Environment) {
    this.format = format
    this.#out = out
    this.err = err
    this.env = env
    this.next = nextCommandIn(where, env)
    this.style = styleOf(wantsColour(out.isTTY === true, env))
    this.noteStyle = styleOf(wantsColour(err.isTTY === true, env))
  }

  /** The result of the command: in an envelope, or as text. */
  data(data: unknown, text: () => string): void {
    if (this.format === 'text') this.#line(text())
    else this.#line(JSON.stringify({ schemaVersion: SCHEMA_VERSION, ok: true, data }))
  }

  /** A list: one envelope for all, one for each, or text. */
  list(data: unknown, items: readonly unknown[], text: () => string): void {
    if (this.format === 'jsonl') for (const item of items) this.data(item, () => '')
    else this.data(data, text)
  }

  /** For people only. */
  note(line: string): void {
    this.drawing?.clear()
    this.err.write(`${line}\n`)
  }

  warn(message: string): void {
    this.note(`${this.noteStyle.yellow('warning:')} ${message}`)
  }

  /** Reports an error; returns the exit code. */
  fail(error: unknown): number {
    const { failure, exitCode } = failureOf(error, this.next)
    if (this.format !== 'text') {
      this.#line(JSON.stringify({ schemaVersion: SCHEMA_VERSION, ok: false, error: failure }))
    } else this.#explain(failure)
    if (this.env.HOLDFAST_DEBUG && error instanceof Error) this.note(error.stack ?? '')
    return exitCode
  }

  #explain({ code, message, hint }: Failure): void {
    const { red, dim } = this.noteStyle
    this.note(`${red('holdfast:')} ${printable(message)} ${dim(`(${code})`)}`)
    if (hint !== undefined) this.note(`  ${hint}`)
  }

  #line(text: string): void {
    if (text !== '') this.#out.write(`${text}\n`)
  }
}

/**
 * A reader that has left is nobody's error. Data that could not be written for another reason is: then the process ends
 * at once, since nobody has it.
 */
export function watchChannels(out: Channel, err: Channel): void {
  err.on('error', () => {}) // there is nowhere left to tell it
  out.on('error', (error) => {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return
    err.write(`holdfast: the result could not be written (${error.message})\n`)
    process.exit(1)
  })
}
