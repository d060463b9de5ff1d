// The commands that look and change nothing: beside the owner of a directory, or at a server's.

import { Option } from 'commander'
import type { SessionStatus } from '../state.js'
import { type CommandRow, duration, transitionNumber, wholeNumber } from './command.js'

export const STATUSES: readonly SessionStatus[] = ['active', 'done', 'error', 'stopped']
export const ID = 'the id of a session, or the beginning of it'
const PARKED_BY = 'modules that export session kinds: tell what a runtime opened with them would park'
const TAGS_OF = 'modules that export session kinds: their states have the tags; a server knows its own'

const limit = (): Option => new Option('--limit <n>', 'how many at most').default(100).argParser(wholeNumber(1, 1000))
const CURSOR = 'where the last listing said that more begin'

export const lookingCommands: readonly CommandRow[] = [
  {
    name: 'ls',
    server: true,
    describe: (command) =>
      command
        .description('list the sessions in flight, in the order of their creation')
        .option('--kind <kind>', 'only sessions of this kind')
        .addOption(
          new Option('--status <status>', 'only sessions of this status, also those that are over').choices(STATUSES),
        )
        .option('--state <state>', 'only sessions in this state of their machine, also those that are over')
        .option('--tag <tag>', 'only sessions in a state with this tag, also those that are over')
        .addOption(
          new Option('--since <age>', 'only sessions that have changed within this time: 90s, 45m, 12h').argParser(
            duration,
          ),
        )
        .option('--parent <id>', 'only children of this session: its id, or the beginning of it')
        .option('--quarantined', 'only sessions that crashed too often and wait to be released')
        .option('--dead-letters', 'only sessions that have set aside events that crashed them')
        .option('--all', 'also sessions that are over')
        .option('--kinds <module...>', PARKED_BY)
        .addOption(limit())
        .option('--cursor <cursor>', CURSOR),
    run: async (output, options) => (await import('./ls.js')).ls(options, output),
  },
  {
    name: 'show',
    server: true,
    describe: (command) =>
      command
        .argument('<id>', ID)
        .description('show one session: its state, steps, timers and last transitions')
        .option('--history', 'all of its transitions')
        .option('--kinds <module...>', PARKED_BY)
        .addOption(new Option('--at <seq>', 'as it was after this transition').argParser(transitionNumber)),
    run: async (output, options, id) => (await import('./show.js')).show(id, options, output),
  },
  {
    name: 'history',
    server: true,
    describe: (command) =>
      command
        .argument('<id>', ID)
        .description('list the transitions of one session, oldest first')
        .addOption(new Option('--from <seq>', 'the first transition').default(1).argParser(transitionNumber))
        .addOption(new Option('--to <seq>', 'the last transition').argParser(transitionNumber)),
    run: async (output, options, id) => (await import('./history.js')).history(id, options, output),
  },
  {
    name: 'watch',
    server: true,
    describe: (command) =>
      command
        .argument('<id>', ID)
        .description('show the transitions of one session as they come, until it ends')
        .addOption(
          new Option('--from <seq>', 'the first transition; default: what comes from now on').argParser(
            transitionNumber,
          ),
        ),
    run: async (output, options, id) => (await import('./watch.js')).watch(id, options, output),
  },
  {
    name: 'diff',
    server: true,
    describe: (command) =>
      command
        .argument('<id>', ID)
        .argument('<from>', 'the number of a transition', transitionNumber)
        .argument('<to>', 'the number of another; it may be an earlier one', transitionNumber)
        .description('show what changed in one session between two of its transitions'),
    run: async (output, options, id, from, to) =>
      (await import('./diff.js')).diff(id, { ...options, from, to }, output),
  },
  {
    name: 'approvals',
    server: true,
    describe: (command) =>
      command
        .description('list the sessions that wait for a person, children included: those tagged waits-for-person')
        .option('--kind <kind>', 'only sessions of this kind')
        .option('--kinds <module...>', TAGS_OF)
        .addOption(limit())
        .option('--cursor <cursor>', CURSOR),
    run: async (output, options) => (await import('./ls.js')).approvals(options, output),
  },
  {
    name: 'dead-letters',
    server: true,
    describe: (command) =>
      command
        .argument('[id]', `${ID}; default: all`)
        .description('list the events that were set aside because their sessions crashed on them')
        .addOption(limit())
        .option('--cursor <cursor>', CURSOR),
    run: async (output, options, id) => (await import('./dead-letters.js')).deadLetters(id, options, output),
  },
]
