// The commands that run sessions until they are over, or until they are stopped.

import { Option } from 'commander'
import { type CommandRow, wholeNumber } from './command.js'

const PLAN_EPILOGUE = `
Everything it does is on disk before anybody sees it. Killed at any moment, or failed, it goes on with --resume: no
issue is made twice. So a document of which there is a plan, finished or not, is refused (exit code 6) without --resume or --new.
Ctrl-C stops it in order and says how to go on.`

export const runningCommands: readonly CommandRow[] = [
  {
    name: 'plan',
    server: 'It reads the document and runs the steps in this process; on a server: create planning, send <id> start.',
    describe: (command) =>
      command
        .argument('[source]', 'the document, a Markdown file; not needed with --resume')
        .description('turn a document into epics, features, stories and enablers, each an issue in a tracker')
        .option('--title <title>', "title of the plan; by default the document's own, or its file's name")
        .option('--resume [id]', 'go on with a session; without an id, with the latest that is not finished')
        .option('--new', 'begin anew, and make every issue once more, though there is a plan of the same document')
        .addOption(new Option('--tracker <where>', 'where issues are made').choices(['local', 'linear']))
        .addOption(new Option('--pace <ms>', 'wait this long before each issue').argParser(wholeNumber(0, 60_000)))
        .addHelpText('after', PLAN_EPILOGUE),
    run: async (output, options, source) => (await import('./plan.js')).plan(source, options, output),
  },
  {
    name: 'serve',
    server: 'It is the server.',
    describe: (command) =>
      command
        .description('run sessions and serve them by HTTP, until it is stopped')
        .requiredOption('--kinds <module...>', 'modules that export session kinds: paths, or names of packages')
        .addOption(
          new Option('--port <port>', 'where to listen; default 4653, or the next that is free; 0: any').argParser(
            wholeNumber(0, 65_535),
          ),
        )
        .option('--strict-port', 'fail when the port is taken')
        .option(
          '--secret <name...>',
          'secrets that steps ask for by name, each from the environment variable of that name',
        )
        .option('--host <address>', 'the address to listen on', '127.0.0.1')
        .option('--principals <file>', 'who may call, beside the owner of the token in the data directory')
        .option(
          '--allow-host <name...>',
          'names that it answers to, as name or name:port; default: those of this machine',
        )
        .option('--allow-origin <origin...>', 'origins of other pages that may call, as https://app.example')
        .option('--read-only', 'refuse whatever would change something')
        .option('--backups <folder>', 'where backups may be written to'),
    run: async (output, options) => (await import('./serve.js')).serve(options, output),
  },
]
