// The way from arguments to an exit code: which command is meant, what `--help` tells, and what a wrong usage is told.
// It loads a command's own code only when that command runs. A flag beats its HOLDFAST_ variable, which beats the default.

import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { addCommand, type Chosen, DEFAULT_DIR, formatOf } from './command.js'
import { COMMANDS } from './commands.js'
import { EXIT_CODES, usage } from './failure.js'
import { type Channel, Output, watchChannels } from './output.js'
import { withServer } from './place.js'
import type { Environment } from './style.js'

export interface World {
  readonly out: Channel
  readonly err: Channel
  readonly env: Environment
}

/** Runs a command line; resolves with its exit code. Never rejects. */
export async function run(args: readonly string[], world: World): Promise<number> {
  const { out, err, env } = world
  watchChannels(out, err)
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
  const { output: format, dir, url } = chosen
  const output = new Output({ format, dir, url }, out, err, env)
  try {
    return await chosen.run(output)
  } catch (error) {
    return output.fail(withServer(error, dir))
  }
}

function programOf({ out, err }: World, choose: (chosen: Chosen) => void): Command {
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
  for (const row of COMMANDS) addCommand(program, row, choose)
  return program
}

/** Help and version are no errors; everything else that Commander throws is a wrong usage. */
function misused(error: CommanderError, args: readonly string[], { out, err, env }: World): number {
  if (error.exitCode === 0) return 0
  if (error.code === 'commander.help') return 2 // no command was given, and the help has been printed
  const message = error.message.replace(/^error: /, '').replace(/\.$/, '')
  const name = args.find((arg) => !arg.startsWith('-'))
  const known = name !== undefined && COMMANDS.some((row) => row.name === name)
  const output = new Output({ format: formatOf(args, env), dir: DEFAULT_DIR }, out, err, env)
  return output.fail(usage(message, `holdfast ${known ? `${name} ` : ''}--help shows what it takes`))
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
