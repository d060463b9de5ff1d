// What a command of the command line is: one row of the table from which the program, its help and its tests come. Every
// row says whether a server can be asked instead of a directory, and if not, why.

import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Format, Output } from './output.js'
import type { Environment } from './style.js'
import { durationOf } from './values.js'

/** A command with its flags, ready to run. */
export interface Chosen {
  readonly output: Format
  readonly dir: string
  readonly url?: string
  readonly run: (output: Output) => Promise<number>
}

export interface CommandRow {
  readonly name: string
  /** True when `--url` asks a server instead; else why that cannot be. */
  readonly server: true | string
  /** Adds what it takes, beside what every command takes, and what its help says. */
  readonly describe: (command: Command) => Command
  /** Loads its own code, and gives its exit code. `options` and `words` are what `describe` has declared. */
  // biome-ignore lint/suspicious/noExplicitAny: Commander knows the types of what it parses at run time only
  readonly run: (output: Output, options: any, ...words: any[]) => Promise<number>
}

export const DEFAULT_DIR = '.holdfast'
const FORMATS: readonly Format[] = ['text', 'json', 'jsonl']

/** Adds a command to the program; when it is chosen, `choose` is told. */
export function addCommand(program: Command, row: CommandRow, choose: (chosen: Chosen) => void): void {
  row.describe(base(program, row)).action((...given: unknown[]) => {
    // Commander gives the words, then the flags, then itself.
    const { output, ...options } = given.at(-2) as { output: Format; dir: string; url?: string }
    const { dir, url } = options
    const run = (out: Output): Promise<number> => row.run(out, options, ...given.slice(0, -2))
    choose({ output, dir, ...(url !== undefined && { url }), run })
  })
}

/** What every command takes. */
function base(program: Command, { name, server }: CommandRow): Command {
  const dir = new Option('--dir <dir>', 'the data directory, or the file of a database')
    .default(DEFAULT_DIR)
    .env('HOLDFAST_DIR')
  const format = new Option('-o, --output <format>', 'how to print the result').default('text').env('HOLDFAST_OUTPUT')
  const command = program
    .command(name)
    .addOption(dir.argParser((text) => text || DEFAULT_DIR))
    .addOption(format.choices(FORMATS))
  if (server !== true) return command.addOption(refusedUrl(server))
  return command
    .addOption(new Option('--url <url>', 'a server to ask, as http://127.0.0.1:4653').env('HOLDFAST_URL'))
    .addOption(
      new Option('--token <token>', "what it knows you by; by default the directory's, in access/token").env(
        'HOLDFAST_TOKEN',
      ),
    )
}

/** Not in the help; whoever tries it is told why not. */
const refusedUrl = (why: string): Option =>
  new Option('--url <url>').hideHelp().argParser(() => {
    throw new InvalidArgumentError(why)
  })

/** The format that was asked for, as far as a command line that cannot be understood tells. */
export function formatOf(args: readonly string[], env: Environment): Format {
  const asked = args.flatMap((arg, index) => {
    if (arg === '-o' || arg === '--output') return [args[index + 1]]
    const joined = /^(?:-o=?|--output=)(.+)$/.exec(arg)
    return joined ? [joined[1]] : []
  })
  const format = asked.at(-1) ?? env.HOLDFAST_OUTPUT
  return format === 'json' || format === 'jsonl' ? format : 'text'
}

/** For a number from the command line. */
export const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const number = Number(text)
    if (/^\d{1,9}$/.test(text) && number >= least && number <= most) return number
    throw new InvalidArgumentError(`It is a whole number from ${least} to ${most}.`)
  }

export const transitionNumber: (text: string) => number = wholeNumber(1, 999_999_999)

/** Milliseconds. */
export function duration(text: string): number {
  const ms = durationOf(text)
  if (ms !== undefined) return ms
  throw new InvalidArgumentError('It is a whole number with a unit: 90s, 45m, 12h, 30d, 8w.')
}
