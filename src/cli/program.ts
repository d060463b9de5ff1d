// The commands and their flags, as `--help` tells them, and the way from arguments to an exit code.
// It loads a command's own code only when that command runs. A flag beats its HOLDFAST_ variable, which beats the default.

import { readFileSync } from 'node:fs'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import type { AuditHead } from '../audit-chain.js'
import type { SessionStatus } from '../state.js'
import { EXIT_CODES, usage } from './failure.js'
import { type Channel, type Format, Output, watchChannels } from './output.js'
import type { Environment } from './style.js'
import { durationOf } from './values.js'

export interface World {
  readonly out: Channel
  readonly err: Channel
  readonly env: Environment
}

type Run = (output: Output) => Promise<number>

/** Runs a command line; resolves with its exit code. Never rejects. */
export async function run(args: readonly string[], world: World): Promise<number> {
  watchChannels(world.out, world.err)
  let chosen: Chosen | undefined
  const program = programOf(world, (choice) => {
    chosen = choice
  })
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return misused(error, args, world)
  }
  if (!chosen) return 2
  const output = new Output(chosen.output, chosen.dir, world.out, world.err, world.env)
  try {
    return await chosen.run(output)
  } catch (error) {
    return output.fail(error)
  }
}

/** A command with its flags, ready to run. */
interface Chosen {
  readonly output: Format
  readonly dir: string
  readonly run: Run
}

type Choose = (chosen: Chosen) => void

function programOf({ out, err }: World, choose: Choose): Command {
  const program = new Command('holdfast')
    .description('Durable sessions in a folder: run them, list them, look at them.')
    .version(versionOf(), '-V, --version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => out.write(text),
      writeErr: (text) => err.write(text),
      outputError: () => {}, // told by `misused`, in the format that was asked for
    })
    .showHelpAfterError(false)
    .addHelpText('after', EPILOGUE)
  addPlan(program, choose)
  addServe(program, choose)
  addLs(program, choose)
  addShow(program, choose)
  addHistory(program, choose)
  addWatch(program, choose)
  addDiff(program, choose)
  addFork(program, choose)
  addPrune(program, choose)
  addBackup(program, choose)
  addRestore(program, choose)
  addDoctor(program, choose)
  addVerify(program, choose)
  return program
}

function addPlan(program: Command, choose: Choose): void {
  command(program, 'plan')
    .argument('[source]', 'the document, a Markdown file; not needed with --resume')
    .description('turn a document into epics, features, stories and enablers, each an issue in a tracker')
    .option('--title <title>', "title of the plan; by default the document's own, or its file's name")
    .option('--resume [id]', 'go on with a session; without an id, with the latest that is not finished')
    .option('--new', 'begin anew, and make every issue once more, though one of the same document is not finished')
    .addOption(new Option('--tracker <where>', 'where issues are made').choices(['local', 'linear']))
    .addOption(new Option('--pace <ms>', 'wait this long before each issue').argParser(wholeNumber(0, 60_000)))
    .addHelpText('after', PLAN_EPILOGUE)
    .action((source: string | undefined, { output, ...options }) =>
      choose({ output, dir: options.dir, run: async (out) => (await import('./plan.js')).plan(source, options, out) }),
    )
}

function addServe(program: Command, choose: Choose): void {
  command(program, 'serve')
    .description('run sessions and serve them by HTTP, until it is stopped')
    .requiredOption('--kinds <module...>', 'modules that export session kinds: paths, or names of packages')
    .addOption(
      new Option('--port <port>', 'where to listen; default 4653, or the next that is free; 0: any').argParser(
        wholeNumber(0, 65_535),
      ),
    )
    .option('--strict-port', 'fail when the port is taken')
    .option('--host <address>', 'the address to listen on', '127.0.0.1')
    .option('--principals <file>', 'who may call, beside the owner of the token in the data directory')
    .option('--allow-host <name...>', 'names that it answers to, as name or name:port; default: those of this machine')
    .option('--allow-origin <origin...>', 'origins of other pages that may call, as https://app.example')
    .option('--read-only', 'refuse whatever would change something')
    .option('--backups <folder>', 'where backups may be written to')
    .action(({ output, ...options }) =>
      choose({ output, dir: options.dir, run: async (out) => (await import('./serve.js')).serve(options, out) }),
    )
}

function addLs(program: Command, choose: Choose): void {
  anywhere(program, 'ls')
    .description('list the sessions in flight, in the order of their creation')
    .option('--kind <kind>', 'only sessions of this kind')
    .addOption(
      new Option('--status <status>', 'only sessions of this status, also those that are over').choices(STATUSES),
    )
    .option('--state <state>', 'only sessions in this state of their machine, also those that are over')
    .option('--parent <id>', 'only children of this session: its id, or the beginning of it')
    .option('--quarantined', 'only sessions that crashed too often and wait to be released')
    .option('--dead-letters', 'only sessions that have set aside events that crashed them')
    .option('--all', 'also sessions that are over')
    .option('--kinds <module...>', KINDS_OPTION)
    .addOption(new Option('--limit <n>', 'how many at most').default(100).argParser(wholeNumber(1, 1000)))
    .option('--cursor <cursor>', 'where the last listing said that more begin')
    .action(({ output, ...options }) =>
      choose({ output, dir: options.dir, run: async (out) => (await import('./ls.js')).ls(options, out) }),
    )
}

function addShow(program: Command, choose: Choose): void {
  anywhere(program, 'show')
    .argument('<id>', 'the id of a session, or the beginning of it')
    .description('show one session: its state, steps, timers and last transitions')
    .option('--history', 'all of its transitions')
    .option('--kinds <module...>', KINDS_OPTION)
    .addOption(new Option('--at <seq>', 'as it was after this transition').argParser(transitionNumber))
    .action((id: string, { output, ...options }) =>
      choose({ output, dir: options.dir, run: async (out) => (await import('./show.js')).show(id, options, out) }),
    )
}

function addHistory(program: Command, choose: Choose): void {
  anywhere(program, 'history')
    .argument('<id>', 'the id of a session, or the beginning of it')
    .description('list the transitions of one session, oldest first')
    .addOption(new Option('--from <seq>', 'the first transition').default(1).argParser(transitionNumber))
    .addOption(new Option('--to <seq>', 'the last transition').argParser(transitionNumber))
    .action((id: string, { output, ...options }) =>
      choose({
        output,
        dir: options.dir,
        run: async (out) => (await import('./history.js')).history(id, options, out),
      }),
    )
}

function addWatch(program: Command, choose: Choose): void {
  anywhere(program, 'watch')
    .argument('<id>', 'the id of a session, or the beginning of it')
    .description('show the transitions of one session as they come, until it ends')
    .addOption(
      new Option('--from <seq>', 'the first transition; default: what comes from now on').argParser(transitionNumber),
    )
    .action((id: string, { output, ...options }) =>
      choose({ output, dir: options.dir, run: async (out) => (await import('./watch.js')).watch(id, options, out) }),
    )
}

function addDiff(program: Command, choose: Choose): void {
  anywhere(program, 'diff')
    .argument('<id>', 'the id of a session, or the beginning of it')
    .argument('<from>', 'the number of a transition', transitionNumber)
    .argument('<to>', 'the number of another; it may be an earlier one', transitionNumber)
    .description('show what changed in one session between two of its transitions')
    .action((id: string, from: number, to: number, { output, ...options }) =>
      choose({
        ...{ output, dir: options.dir },
        run: async (out) => (await import('./diff.js')).diff(id, { ...options, from, to }, out),
      }),
    )
}

function addFork(program: Command, choose: Choose): void {
  command(program, 'fork')
    .argument('<id>', 'the id of a session, or the beginning of it')
    .description('make a new session that goes on from an earlier point of another')
    .addOption(
      new Option('--at <seq>', 'the transition after which it goes on; default: the last').argParser(transitionNumber),
    )
    .option('--id <id>', 'the id of the new session; a new one by default')
    .option('--restart-children', 'child sessions that were active begin anew; without it such a fork is refused')
    .addHelpText('after', FORK_EPILOGUE)
    .action((id: string, { output, ...options }) =>
      choose({ output, dir: options.dir, run: async (out) => (await import('./fork.js')).fork(id, options, out) }),
    )
}

function addPrune(program: Command, choose: Choose): void {
  command(program, 'prune')
    .description('remove sessions that ended long ago, for good')
    .addOption(
      new Option('--older-than <age>', 'how long ago they ended: 90s, 45m, 12h, 30d, 8w')
        .argParser(duration)
        .makeOptionMandatory(),
    )
    .option('--kind <kind>', 'only sessions of this kind')
    .addOption(new Option('--status <status>', 'only sessions of this status').choices(STATUSES))
    .option('--state <state>', 'only sessions that ended in this state, as approved or review.rejected')
    .option('--dry-run', 'only tell which, and how many bytes they take')
    .action(({ output, ...options }) =>
      choose({ output, dir: options.dir, run: async (out) => (await import('./prune.js')).prune(options, out) }),
    )
}

function addDoctor(program: Command, choose: Choose): void {
  command(program, 'doctor')
    .description('say what is wrong in the directory and what would be done about it; exits with 1 when something is')
    .option('--repair', 'do it; what is taken away or replaced is kept in quarantine/')
    .addOption(
      new Option(
        '--audit-head <n:hash>',
        'an entry that the audit log must still have, as an earlier run told it',
      ).argParser(auditHead),
    )
    .action(({ output, ...options }) =>
      choose({ output, dir: options.dir, run: async (out) => (await import('./doctor.js')).doctor(options, out) }),
    )
}

function addVerify(program: Command, choose: Choose): void {
  command(program, 'verify')
    .description('say which stored sessions the kinds of a module would treat differently, or not restore')
    .requiredOption('--kinds <module...>', 'modules that export session kinds: paths, or names of packages')
    .option('--active', 'only sessions that are active')
    .addHelpText('after', VERIFY_EPILOGUE)
    .action(({ output, ...options }) =>
      choose({ output, dir: options.dir, run: async (out) => (await import('./verify.js')).verify(options, out) }),
    )
}

function addBackup(program: Command, choose: Choose): void {
  command(program, 'backup')
    .argument('<file>', 'where to write it; a file that is there is replaced')
    .description('write everything in the directory to one file, also while another process owns it')
    .action((file: string, { output, dir }) =>
      choose({ output, dir, run: async (out) => (await import('./backup.js')).backup(file, dir, out) }),
    )
}

function addRestore(program: Command, choose: Choose): void {
  command(program, 'restore')
    .argument('<file>', 'a backup')
    .description('put a backup back, into a directory that is empty or not there yet')
    .action((file: string, { output, dir }) =>
      choose({ output, dir, run: async (out) => (await import('./backup.js')).restore(file, dir, out) }),
    )
}

const STATUSES: readonly SessionStatus[] = ['active', 'done', 'error', 'stopped']
const DEFAULT_DIR = '.holdfast'
const COMMANDS: readonly string[] = [
  ...['plan', 'serve', 'ls', 'show', 'history', 'watch', 'diff', 'fork'],
  ...['prune', 'backup', 'restore', 'doctor', 'verify'],
]
const KINDS_OPTION = 'modules that export session kinds: tell what a runtime opened with them would park'
const FORMATS: readonly Format[] = ['text', 'json', 'jsonl']

/** What every command takes. */
function command(program: Command, name: string): Command {
  const dir = new Option('--dir <dir>', 'the data directory, or the file of a database')
    .default(DEFAULT_DIR)
    .env('HOLDFAST_DIR')
  const format = new Option('-o, --output <format>', 'how to print the result').default('text').env('HOLDFAST_OUTPUT')
  return program
    .command(name)
    .addOption(dir.argParser((text) => text || DEFAULT_DIR))
    .addOption(format.choices(FORMATS))
}

/** A command that asks a directory or a server. */
const anywhere = (program: Command, name: string): Command =>
  command(program, name)
    .addOption(new Option('--url <url>', 'a server to ask, as http://127.0.0.1:4653').env('HOLDFAST_URL'))
    .addOption(
      new Option('--token <token>', "what it knows you by; by default the directory's, in access/token").env(
        'HOLDFAST_TOKEN',
      ),
    )

const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const number = Number(text)
    if (/^\d{1,9}$/.test(text) && number >= least && number <= most) return number
    throw new InvalidArgumentError(`It is a whole number from ${least} to ${most}.`)
  }

function duration(text: string): number {
  const ms = durationOf(text)
  if (ms !== undefined) return ms
  throw new InvalidArgumentError('It is a whole number with a unit: 90s, 45m, 12h, 30d, 8w.')
}

function auditHead(text: string): AuditHead {
  const [, n, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? []
  if (n !== undefined && hash !== undefined) return { n: Number(n), hash }
  throw new InvalidArgumentError('It is the number and the hash of an entry, as 12:9f86….')
}

const transitionNumber = wholeNumber(1, 999_999_999)

/** Help and version are no errors; everything else that Commander throws is a wrong usage. */
function misused(error: CommanderError, args: readonly string[], { out, err, env }: World): number {
  if (error.exitCode === 0) return 0
  if (error.code === 'commander.help') return 2 // no command was given, and the help has been printed
  const message = error.message.replace(/^error: /, '').replace(/\.$/, '')
  const name = args.find((arg) => !arg.startsWith('-'))
  const known = name !== undefined && COMMANDS.includes(name)
  const output = new Output(formatOf(args, env), DEFAULT_DIR, out, err, env)
  return output.fail(usage(message, `holdfast ${known ? `${name} ` : ''}--help shows what it takes`))
}

/** The format that was asked for, as far as a command line that cannot be understood tells. */
function formatOf(args: readonly string[], env: Environment): Format {
  const asked = args.flatMap((arg, index) => {
    if (arg === '-o' || arg === '--output') return [args[index + 1]]
    const joined = /^(?:-o=?|--output=)(.+)$/.exec(arg)
    return joined ? [joined[1]] : []
  })
  const format = asked.at(-1) ?? env.HOLDFAST_OUTPUT
  return format === 'json' || format === 'jsonl' ? format : 'text'
}

function versionOf(): string {
  const file = new URL('../../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

const EPILOGUE = `
Exit codes:
${EXIT_CODES.map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`).join('\n')}

Environment:
  HOLDFAST_DIR, HOLDFAST_OUTPUT    defaults of --dir and --output
  HOLDFAST_URL, HOLDFAST_TOKEN     defaults of --url and --token; a token is better here than where others see it
  NO_COLOR, FORCE_COLOR, CI        colours and progress bar, as everywhere; TERM=dumb means neither
  HOLDFAST_DEBUG                   where an error comes from

Data goes to stdout, everything else to stderr. With -o json the result, or the error, is one object;
with -o jsonl a list is one object for each of its items:
  {"schemaVersion":1,"ok":true,"data":…}
  {"schemaVersion":1,"ok":false,"error":{"code","message","hint"?,"retryable"}}`

const VERIFY_EPILOGUE = `
Run it before a deploy, on the directory or a copy of it: it reads beside the owner and changes nothing. The modules are
loaded, and their machines decide the stored events once more; no step, action or timer runs. Exits with 0 when nothing
differs and every session would be restored, with 1 otherwise.`

const FORK_EPILOGUE = `
No other process may have the directory open. The new session begins with the whole state of the other one: its timers
keep their deadlines, and steps that were active start anew, once the program that has its kind opens the directory.`

const PLAN_EPILOGUE = `
Everything it does is on disk before anybody sees it. Killed at any moment, or failed, it goes on with --resume: no
issue is made twice. So a document of which a session is not finished is refused (exit code 6) without --resume or --new.
Ctrl-C stops it in order and says how to go on.`
