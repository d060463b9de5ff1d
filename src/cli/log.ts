// What the runtime logs, as single lines on stderr. What the command itself reports in its own way stays out.

import { isHoldfastError } from '../errors.js'
import type { Logger } from '../logger.js'
import type { Output } from './output.js'
import { oneLine } from './style.js'

/** Warnings and errors, a line each. A session of a kind that this program does not have is somebody else's: no word. */
export function logTo(output: Output): Logger {
  const warn = (fields: object, message: string): void => {
    const { err } = fields as { err?: unknown }
    if (isForeign(err)) return
    output.warn(oneLine(message))
    if (output.env.HOLDFAST_DEBUG && err instanceof Error) output.note(err.stack ?? String(err))
  }
  return { info: () => {}, warn, error: warn }
}

const isForeign = (error: unknown): boolean =>
  isHoldfastError(error, 'SESSION_PARKED') && error.details.reason === 'UNKNOWN_KIND'
