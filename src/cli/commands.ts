// The one table of commands, in the order in which `--help` lists them. What is not in it does not exist.

import type { CommandRow } from './command.js'
import { changingCommands } from './commands-changing.js'
import { keepingCommands } from './commands-keeping.js'
import { lookingCommands } from './commands-looking.js'
import { runningCommands } from './commands-running.js'

export const COMMANDS: readonly CommandRow[] = [
  ...runningCommands,
  ...lookingCommands,
  ...changingCommands,
  ...keepingCommands,
]
