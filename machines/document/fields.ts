// The fields that come from outside, and how large each may be.

import { z } from 'zod'

/** Characters of a document. A change of it, and a whole page of it, must each fit into one record. */
export const LONGEST_TEXT: number = 4 * 1024 * 1024

/** Titles, paths, names, reasons. */
export const shortText: z.ZodType<string, string> = z.string().max(10_000)

export const name: z.ZodType<string, string> = z.string().min(1).max(10_000)

/** Whatever JSON a caller keeps with a document. */
export type Metadata = { readonly [key: string]: unknown }

export const metadata: z.ZodType<Metadata, Metadata> = z.record(z.string(), z.json())

export const workItems: z.ZodType<readonly string[], readonly string[]> = z.array(name).max(10_000).readonly()

/** ISO 8601; the time of arrival if it is left out. */
export const time: z.ZodType<string, string | undefined> = z.iso
  .datetime({ offset: true })
  // biome-ignore lint/plugin/clock: the door is outside of the machine, and what it writes is recorded
  .default(() => new Date().toISOString())
