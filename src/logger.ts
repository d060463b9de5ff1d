// The port for logs: the part of a logger that Holdfast calls. `pino` and `console`-like loggers fit it.
// A log is written where something has gone wrong already, often between two senders of one batch: a logger that throws
// must not make it worse, so whoever takes one from a user guards it first.

import { isHoldfastError } from './errors.js'

export interface Logger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** Warnings and errors to the console, nothing else. */
export const consoleLogger: Logger = {
  info: () => {},
  warn: (fields, message) => console.warn(`holdfast: ${message}`, ...shown(fields)),
  error: (fields, message) => console.error(`holdfast: ${message}`, ...shown(fields)),
}

/** Why sessions are parked of which the message says everything: a trace would lead into Holdfast alone. */
const SAID: ReadonlySet<unknown> = new Set([
  'UNKNOWN_KIND',
  'STEP_MODULE_FAILED',
  'STEP_NOT_FOUND',
  'MIGRATION_MISSING',
])

const shown = (fields: object): object[] => {
  const { err } = fields as { readonly err?: unknown }
  return isHoldfastError(err, 'SESSION_PARKED') && SAID.has(err.details.reason) ? [] : [fields]
}

/** The same logger, but it never throws nor rejects: what it fails to say is lost, since nobody else is there to say it. */
export function guarded(logger: Logger): Logger {
  const say = (level: keyof Logger) => (fields: object, message: string) => {
    try {
      const said: unknown = logger[level](fields, message)
      if (said instanceof Promise) said.catch(() => {})
    } catch {}
  }
  return { info: say('info'), warn: say('warn'), error: say('error') }
}
