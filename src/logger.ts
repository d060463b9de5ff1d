// The port for logs: the part of a logger that Holdfast calls. `pino` and `console`-like loggers fit it.

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
