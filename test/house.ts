// A runtime on a disk in memory, to be closed and opened again: the shipped code on other ports.
import type { AnySessionKind, Runtime, RuntimeOptions } from 'holdfast'
import type { Chance } from '../src/chance.js'
import type { Clock } from '../src/clock.js'
import type { Disk } from '../src/disk.js'
import { createInlinePool } from '../src/inline/pool.js'
import type { Logger } from '../src/logger.js'
import { createMemoryDisk } from '../src/memory/disk.js'
import { openFiles, startOn } from '../src/open.js'
import type { StepFunction } from '../src/pool.js'
import { systemChance } from '../src/system/chance.js'
import { systemClock } from '../src/system/clock.js'

export interface House {
  readonly disk: Disk
  /** What was logged as an error or a warning, when no logger was given. */
  readonly log: string[]
  open(): Promise<Runtime>
}

/** Time and chance of one's own, and options of the runtime. */
export interface Surroundings extends Omit<RuntimeOptions, 'kinds' | 'logger'> {
  readonly clock?: Clock
  readonly chance?: Chance
}

/** `steps` are the exports of the kinds' step module; a `logger` of one's own hears what `log` would hold. */
export function house(
  kinds: readonly AnySessionKind[],
  steps: Record<string, StepFunction> = {},
  disk: Disk = createMemoryDisk(),
  own?: Logger,
  { clock = systemClock, chance = systemChance, ...options }: Surroundings = {},
): House {
  const log: string[] = []
  const note = (_: object, message: string): void => void log.push(message)
  const logger: Logger = own ?? { info: () => {}, warn: note, error: note }
  const open = async (): Promise<Runtime> => {
    const pool = (): ReturnType<typeof createInlinePool> =>
      createInlinePool({ clock, load: async () => steps as Record<string, unknown> })
    return startOn(await openFiles(disk, kinds, clock, chance, logger, pool), { kinds, logger, ...options })
  }
  return { disk, log, open }
}
