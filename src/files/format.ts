// What every file of ours that is replaced as a whole says about itself: its format and its checksum.
// It promises that a file of a newer format is told from a damaged one: the format is part of the checksum, so a file
// whose checksum holds for this format is of this format, whatever number it shows.

import { HoldfastError } from '../errors.js'

export const FORMAT = 1

/** Throws FORMAT_NEWER when a file shows a later format than this one. */
export function requireFormat(shown: unknown, path: string): void {
  if (typeof shown !== 'number' || !(shown > FORMAT)) return
  throw new HoldfastError(
    'FORMAT_NEWER',
    `${path} has format ${shown}, which this version of holdfast cannot read; install the newer one (it is untouched)`,
    { details: { file: path, format: shown } },
  )
}

/** The error of a file whose bytes are not what was written. */
export const corrupt = (path: string, why: string): HoldfastError =>
  new HoldfastError('SNAPSHOT_CORRUPT', `${path} is damaged: ${why}`, { details: { file: path } })

/** A checksum as files show it: 8 hex digits. */
export const hex = (checksum: number): string => checksum.toString(16).padStart(8, '0')
