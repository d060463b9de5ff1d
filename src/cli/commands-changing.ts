// The commands that change one session: in a directory that nobody else has open, or at a server's.

import { type Command, InvalidArgumentError, Option } from 'commander'
import { type CommandRow, transitionNumber, wholeNumber } from './command.js'
import { ID } from './commands-looking.js'

const FORK_EPILOGUE = `
No other process may have the directory open. The new session begins with the whole state of the other one: its timers
keep their deadlines, and steps that were active start anew, once the program that has its kind opens the directory.`

const CHANGE_EPILOGUE = `
In a directory, --kinds names the modules of its kinds, and no other process may have it open. It is opened as by any
program: overdue timers fire, and sessions of an older version are migrated. But no step runs: those that are active
begin once a program that has their kinds opens the directory. With --url the server does it all, and no kinds are needed.`

const LETTER = 'the number of a dead letter'
const letterNumber = wholeNumber(1, 999_999_999)

/** What those take that need the kinds. */
const changing = (command: Command): Command =>
  command
    .option(
      '--kinds <module...>',
      'modules that export the session kinds of the directory: paths, or names of packages',
    )
    .addHelpText('after', CHANGE_EPILOGUE)

function key(text: string): string {
  if (text.length > 0 && text.length <= 256) return text
  throw new InvalidArgumentError('It has from 1 to 256 characters.')
}

/** The same event with the same id, also one that was given already. */
const eventIdOption = (): Option =>
  new Option('--event-id <id>', 'the same event with the same id does nothing again').argParser(key)

/** A command whose name is the type of the event that it sends: a session whose machine has none refuses it, and says what it takes. */
const saying = (name: string, what: string): CommandRow => ({
  name,
  server: true,
  describe: (command) =>
    changing(
      command
        .argument('<id>', ID)
        .description(`${what}: send it the event "${name}"`)
        .option('--with <json>', 'what the event holds besides: JSON, @file, or - for stdin')
        .addOption(eventIdOption()),
    ),
  run: async (output, options, id) => (await import('./send.js')).say(name, id, options, output),
})

export const changingCommands: readonly CommandRow[] = [
  {
    name: 'create',
    server: true,
    describe: (command) =>
      changing(
        command
          .argument('<kind>', 'the name of a session kind')
          .description('create a session')
          .option('--input <json>', 'what it begins with: JSON, @file, or - for stdin')
          .option('--id <id>', 'its id; a new one by default')
          .addOption(new Option('--key <key>', 'the same key and input give the same session again').argParser(key)),
      ),
    run: async (output, options, kind) => (await import('./create.js')).create(kind, options, output),
  },
  {
    name: 'send',
    server: true,
    describe: (command) =>
      changing(
        command
          .argument('<id>', ID)
          .argument('<event>', 'its type; or JSON, @file, or - for stdin, of one event or of a list, taken all or none')
          .description('send an event to a session; ends once the transition is durable')
          .addOption(eventIdOption()),
      ),
    run: async (output, options, id, event) => (await import('./send.js')).send(id, event, options, output),
  },
  saying('approve', 'say yes to a session that waits for a person (agent-conversation takes it, with a call)'),
  saying('reject', 'say no to a session that waits for a person (a word of kinds of your own)'),
  saying('deny', 'say no to a session that waits for a person (agent-conversation takes it, with a call)'),
  saying('pause', 'have a session wait (workflow and document take it)'),
  saying('resume', 'have a session that waits go on (workflow and document take it)'),
  saying('retry', 'have a session try once more what failed (agent-conversation takes it)'),
  {
    name: 'cancel',
    server: true,
    describe: (command) =>
      changing(
        command
          .argument('<id>', ID)
          .description('end a session as stopped, with its steps and its child sessions')
          .option('--reason <text>', 'why, for the record'),
      ),
    run: async (output, options, id) => (await import('./change.js')).cancel(id, options, output),
  },
  {
    name: 'fork',
    server: true,
    describe: (command) =>
      command
        .argument('<id>', ID)
        .description('make a new session that goes on from an earlier point of another')
        .addOption(
          new Option('--at <seq>', 'the transition after which it goes on; default: the last').argParser(
            transitionNumber,
          ),
        )
        .option('--id <id>', 'the id of the new session; a new one by default')
        .option('--restart-children', 'child sessions that were active begin anew; without it such a fork is refused')
        .addHelpText('after', FORK_EPILOGUE),
    run: async (output, options, id) => (await import('./fork.js')).fork(id, options, output),
  },
  {
    name: 'release',
    server: true,
    describe: (command) =>
      changing(command.argument('<id>', ID).description('let a session run again that was quarantined')),
    run: async (output, options, id) => (await import('./change.js')).release(id, options, output),
  },
  {
    name: 'resend',
    server: true,
    describe: (command) =>
      changing(
        command
          .argument('<id>', ID)
          .argument('<letter>', LETTER, letterNumber)
          .description('have a session decide a dead letter after all'),
      ),
    run: async (output, options, id, letter) => (await import('./change.js')).resend(id, letter, options, output),
  },
  {
    name: 'discard',
    server: true,
    describe: (command) =>
      changing(
        command
          .argument('<id>', ID)
          .argument('<letter>', LETTER, letterNumber)
          .description('remove a dead letter for good'),
      ),
    run: async (output, options, id, letter) => (await import('./change.js')).discard(id, letter, options, output),
  },
  {
    name: 'delete',
    server: true,
    describe: (command) => changing(command.argument('<id>', ID).description('stop a session and remove it for good')),
    run: async (output, options, id) => (await import('./change.js')).remove(id, options, output),
  },
]
