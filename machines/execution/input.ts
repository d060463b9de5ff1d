// The input of an execution session, and its check at the door: what is left out is filled in there, and recorded, so that
// the session never depends on the process that happens to run it.

// biome-ignore lint/style/noRestrictedImports: the door is outside of the machine, and what it writes is recorded
import { randomUUID } from 'node:crypto'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import type { ChannelConfig } from './channel.js'
import { count, name, time } from './fields.js'
import { defaultChannel, defaultTracker } from './places.js'
import type { TrackerConfig } from './tracker.js'

export interface ExecutionInput {
  /** What its modifications, plans and announcements are named by. Default: a new one. */
  readonly id?: string | undefined
  /** Who it belongs to. */
  readonly adminUserId: string
  readonly teamId: string
  /** Default: nobody, the empty text. */
  readonly organizationId?: string | undefined
  readonly planCount?: number | undefined
  /** ISO 8601; the time of its arrival by default. */
  readonly generatedAt?: string | undefined
  /** Makes a plan for each person with open tickets, stores them and announces them. Default: false. */
  readonly plan?: boolean | undefined
  /** Where the tickets are. Default: Linear when `LINEAR_API_KEY` is set, else a file beside the data. */
  readonly tracker?: TrackerConfig | undefined
  /** Where it is announced. Default: Slack when `SLACK_BOT_TOKEN` is set, else a log. */
  readonly channel?: ChannelConfig | undefined
}

const connection = z.string().max(255)
const trackers = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('local'), file: z.string().min(1).max(4096) }),
  z.strictObject({ kind: z.literal('linear'), teamId: name, connection }),
])
const channels = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('log') }),
  z.strictObject({ kind: z.literal('slack'), channel: name, connection }),
])

/** Every input of `create` passes here. */
export const inputSchema: StandardSchemaV1<unknown, ExecutionInput> = z
  .strictObject({
    id: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/)
      .default(() => `session_${randomUUID().replaceAll('-', '')}`),
    adminUserId: name,
    teamId: name,
    organizationId: z.string().max(255).default(''),
    planCount: count.default(0),
    generatedAt: time,
    plan: z.boolean().default(false),
    tracker: trackers.optional(),
    channel: channels.optional(),
  })
  .transform(({ tracker, channel, ...input }) => ({
    ...input,
    tracker: tracker ?? defaultTracker(input.teamId),
    channel: channel ?? defaultChannel(),
  }))
