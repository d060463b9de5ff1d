// What a failed command says: a stable code, a message, the next command if there is one, and the exit code.
// Every error becomes one here, whatever threw it; the codes of Holdfast keep the exit codes of their own table.

import { type ErrorCode, exitCodeOf, HoldfastError, isRetryable, messageOf } from '../errors.js'
import type { NextCommand } from './next-command.js'

/** What the envelope of `-o json` holds when `ok` is false. */
export interface Failure {
  readonly code: string
  readonly message: string
  /** What to do next, if that is known. */
  readonly hint?: string
  /** True when the same command may succeed later without anybody changing its arguments. */
  readonly retryable: boolean
}

/** The exit codes, as `--help` tells them. */
export const EXIT_CODES: readonly (readonly [code: number, meaning: string])[] = [
  [0, 'ok'],
  [1, 'failed'],
  [2, 'wrong usage: a bad argument, an id that is not one or not unique'],
  [3, 'not found: no such session, file or directory'],
  [6, 'conflict: the directory or the port is in use, or there is a plan of the document'],
  [7, 'cancelled'],
  [130, 'interrupted'],
]

/** An error that only the command line knows. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly code: string
  readonly exitCode: number
  readonly hint: string | undefined

  constructor(code: string, exitCode: number, message: string, hint?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.exitCode = exitCode
    this.hint = hint
  }
}

/** For an argument that makes no sense. */
export const usage = (message: string, hint?: string): CommandError =>
  new CommandError('INVALID_ARGUMENT', exitCodeOf('INVALID_ARGUMENT'), message, hint)

/** The same failure, with another word on what to do next. */
export function withHint(error: unknown, hint: string): CommandError {
  const { failure, exitCode } = failureOf(error, () => '')
  return new CommandError(failure.code, exitCode, failure.message, hint, error)
}

const HINTS: { readonly [code in ErrorCode]?: (next: NextCommand) => string } = {
  SESSION_NOT_FOUND: (next) => `${next('ls --all')} shows every session`,
  TRANSITION_NOT_FOUND: (next) => `${next('history <id>')} shows the transitions of a session`,
  FORK_HAS_CHILDREN: () => '--restart-children begins them anew',
  AMBIGUOUS_ID: (next) => `${next('ls --all')} shows the whole ids`,
  INVALID_ID: (next) => `${next('ls --all')} shows the ids; the beginning of one is enough`,
  DIRECTORY_NOT_FOUND: (next) => `${next('plan <file>')} makes it; --dir names another one`,
  DIRECTORY_NOT_READABLE: () => '--dir names another directory',
  DIRECTORY_NOT_WRITABLE: () => '--dir names another directory',
  DIRECTORY_LOCKED: (next) =>
    `${next('ls')} and ${next('show <id>')} can read it meanwhile; --url asks a server that has it open`,
  TOKEN_REQUIRED: () => '--token or HOLDFAST_TOKEN gives one that the server knows',
  PORT_IN_USE: () => '--port names another; without --strict-port the next that is free is taken',
  FORMAT_NEWER: () => 'install the newest version of holdfast',
  JOURNAL_CORRUPT: () => 'keep a copy of the directory before anything else; the other sessions are not affected',
}

/** What the system says, in the terms of Holdfast; any other is DISK_FAILED. */
const SYSTEM_CODES: { readonly [code: string]: ErrorCode } = {
  EACCES: 'DIRECTORY_NOT_WRITABLE',
  EPERM: 'DIRECTORY_NOT_WRITABLE',
  EROFS: 'DIRECTORY_NOT_WRITABLE',
  ENOTDIR: 'DIRECTORY_NOT_WRITABLE',
  ENOENT: 'FILE_NOT_FOUND',
  ENOSPC: 'DISK_FULL',
  EDQUOT: 'DISK_FULL',
}

/** `next` words the commands that a hint names. */
export function failureOf(error: unknown, next: NextCommand): { readonly failure: Failure; readonly exitCode: number } {
  if (error instanceof HoldfastError) {
    const hint = HINTS[error.code]?.(next)
    return { failure: failure(error.code, error.message, hint), exitCode: exitCodeOf(error.code) }
  }
  if (error instanceof CommandError) {
    return { failure: failure(error.code, error.message, error.hint), exitCode: error.exitCode }
  }
  // Closing failed after something else had: that came first.
  const { suppressed, syscall, code } = (error ?? {}) as { suppressed?: unknown; syscall?: unknown; code?: string }
  if (suppressed instanceof Error) return failureOf(suppressed, next)
  const message = messageOf(error)
  if (syscall !== undefined) {
    return failureOf(new HoldfastError(SYSTEM_CODES[code ?? ''] ?? 'DISK_FAILED', message), next)
  }
  return {
    failure: failure('UNEXPECTED', message, 'HOLDFAST_DEBUG=1 shows where it comes from; please report it'),
    exitCode: 1,
  }
}

const failure = (code: string, message: string, hint: string | undefined): Failure => ({
  code,
  message,
  ...(hint !== undefined && { hint }),
  retryable: isRetryable(code) || code === 'INTERRUPTED',
})
