// The commands of whoever looks after a data directory: what is removed, kept elsewhere, put back, examined.

import { InvalidArgumentError, Option } from 'commander'
import type { AuditHead } from '../audit-chain.js'
import { type CommandRow, duration } from './command.js'
import { STATUSES } from './commands-looking.js'

const VERIFY_EPILOGUE = `
Run it before a deploy, on the directory or a copy of it: it reads beside the owner and changes nothing. The modules are
loaded, and their machines decide the stored events once more; no step, action or timer runs. Exits with 0 when nothing
differs and every session would be restored, with 1 otherwise. With --url it has the server make a backup, fetches that
into a folder for the while, and looks at it there: the modules are those of this machine, not the server's.`

const BACKUP_EPILOGUE = `
With --url the server makes the backup in its own folder (serve --backups), where it stays, and it is fetched from there.`

export const keepingCommands: readonly CommandRow[] = [
  {
    name: 'prune',
    server: true,
    describe: (command) =>
      command
        .description('remove sessions that ended long ago, for good')
        .addOption(
          new Option('--older-than <age>', 'how long ago they ended: 90s, 45m, 12h, 30d, 8w')
            .argParser(duration)
            .makeOptionMandatory(),
        )
        .option('--kind <kind>', 'only sessions of this kind')
        .addOption(new Option('--status <status>', 'only sessions of this status').choices(STATUSES))
        .option('--state <state>', 'only sessions that ended in this state, as approved or review.rejected')
        .option('--dry-run', 'only tell which, and how many bytes they take'),
    run: async (output, options) => (await import('./prune.js')).prune(options, output),
  },
  {
    name: 'backup',
    server: true,
    describe: (command) =>
      command
        .argument('<file>', 'where to write it; a backup that is there is replaced, another file is not')
        .description('write everything in the directory to one file, also while another process owns it')
        .addHelpText('after', BACKUP_EPILOGUE),
    run: async (output, options, file) => (await import('./backup.js')).backup(file, options, output),
  },
  {
    name: 'restore',
    server: 'It makes a directory where there is none, so no server can have it open yet.',
    describe: (command) =>
      command
        .argument('<file>', 'a backup')
        .description('put a backup back, into a directory that is empty or not there yet'),
    run: async (output, options, file) => (await import('./backup.js')).restore(file, options.dir, output),
  },
  {
    name: 'doctor',
    server: true,
    describe: (command) =>
      command
        .description(
          'say what is wrong in the directory and what would be done about it; exits with 1 when something is',
        )
        .option('--repair', 'do it; what is taken away or replaced is kept in quarantine/; not with --url')
        .addOption(
          new Option(
            '--audit-head <n:hash>',
            'an entry that the audit log must still have, as an earlier run told it',
          ).argParser(auditHead),
        ),
    run: async (output, options) => (await import('./doctor.js')).doctor(options, output),
  },
  {
    name: 'verify',
    server: true,
    describe: (command) =>
      command
        .description('say which stored sessions the kinds of a module would treat differently, or not restore')
        .requiredOption('--kinds <module...>', 'modules that export session kinds: paths, or names of packages')
        .option('--active', 'only sessions that are active')
        .addHelpText('after', VERIFY_EPILOGUE),
    run: async (output, options) => (await import('./verify.js')).verify(options, output),
  },
]

function auditHead(text: string): AuditHead {
  const [, n, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? []
  if (n !== undefined && hash !== undefined) return { n: Number(n), hash }
  throw new InvalidArgumentError('It is the number and the hash of an entry, as 12:9f86….')
}
