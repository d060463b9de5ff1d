// A file-system error in the terms of Holdfast.

import { HoldfastError } from '../errors.js'

/** A file-system error as one of ours: DISK_FULL or DISK_FAILED. */
export function storageError(cause: unknown): HoldfastError {
  if (cause instanceof HoldfastError) return cause
  const code = (cause as { code?: string }).code
  const message = cause instanceof Error ? cause.message : String(cause)
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? new HoldfastError('DISK_FULL', `the disk is full (${message}); free some space and open the runtime again`, {
        cause,
      })
    : new HoldfastError('DISK_FAILED', `the disk failed (${message}); mend it and open the runtime again`, { cause })
}
