// The fields that come from outside, and how large each may be.

import { z } from 'zod'

/** Names, ids, titles of people, teams and tickets. */
export const name: z.ZodType<string, string> = z.string().min(1).max(255)

/** What a modification sets: a state, a person, or the text of a comment. */
export const value: z.ZodType<string, string> = z.string().min(1).max(10_000)

export const note: z.ZodType<string, string> = z.string().max(10_000)

export const count: z.ZodType<number, number> = z.int().min(0).max(1_000_000)

export const ACTIONS = ['status_change', 'reassign', 'comment'] as const
export type ModificationAction = (typeof ACTIONS)[number]

/** ISO 8601; the time of arrival if it is left out. */
export const time: z.ZodType<string, string | undefined> = z.iso
  .datetime({ offset: true })
  // biome-ignore lint/plugin/clock: the door is outside of the machine, and what it writes is recorded
  .default(() => new Date().toISOString())
