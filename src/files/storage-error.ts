// A file-system error in the terms of Holdfast.

import { HoldfastError } from '../errors.js'

/** DISK_FULL or DISK_FAILED, naming what could not be written or read. Our own errors pass through. */
export function storageError(cause: unknown, path: string = 'the data directory'): HoldfastError {
  if (cause instanceof HoldfastError) return cause
  const { code, message = String(cause) } = cause as { code?: string; message?: string }
  const options = { cause, details: { file: path } }
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? new HoldfastError('DISK_FULL', `${path}: the disk is full (${message}); free some space and open again`, options)
    : new HoldfastError('DISK_FAILED', `${path}: the disk failed (${message}); mend it and open again`, options)
}
