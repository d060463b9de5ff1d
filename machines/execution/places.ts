// What holds when nobody says: where the data is, and which services the environment names. Values are made once, when a
// session is created or a façade is made, and recorded: a session that goes on elsewhere finds the same.

import { join, resolve } from 'node:path'
import type { ChannelConfig } from './channel.js'
import type { TrackerConfig } from './tracker.js'

// biome-ignore lint/style/noProcessEnv: these are chosen as the command line chooses them
const env = (name: string): string => process.env[name] ?? ''

/** `HOLDFAST_DIR`, or `.holdfast`. */
const defaultDirectory = (): string => env('HOLDFAST_DIR') || '.holdfast'

const ticketsIn = (directory: string): string => join(resolve(directory), 'tickets.jsonl')

/** Linear with a key, else a file. */
export const defaultTracker = (teamId: string, directory: string = defaultDirectory()): TrackerConfig =>
  env('LINEAR_API_KEY')
    ? { kind: 'linear', teamId: env('LINEAR_TEAM_ID') || teamId, connection: '' }
    : { kind: 'local', file: ticketsIn(directory) }

/** Slack with a token, else the log. */
export const defaultChannel = (): ChannelConfig =>
  env('SLACK_BOT_TOKEN')
    ? { kind: 'slack', channel: env('SLACK_CHANNEL') || 'general', connection: '' }
    : { kind: 'log' }
