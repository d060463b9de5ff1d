// The port for logs: the part of a logger that Holdfast calls. `pino` and `console`-like loggers fit it.
// A log is written where something has gone wrong already, often between two senders of one batch: a logger that throws
// must not make it worse, so whoever takes one from a user guards it first.

export interface Logger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** Warnings and errors to the console, nothing else. */
export const consoleLogger: Logger = {
  info: () => {},
  warn: (fields, message) => console.warn(`holdfast: ${message}`, fields),
  error: (fields, message) => console.error(`holdfast: ${message}`, fields),
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
