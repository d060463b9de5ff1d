// What holds when nobody says: where the data is, and which services the environment names. Values are made once, when a
// session is created or a façade is made, and recorded: a session that goes on elsewhere finds the same.

import { join, resolve } from 'node:path'
import type { ChannelConfig } from './channel.js'
import { admitSlackTokens } from './slack-tokens.js'
import type { TrackerConfig } from './tracker.js'

// biome-ignore lint/style/noProcessEnv: these are chosen as the command line chooses them
export const env = (name: string): string => process.env[name] ?? ''

/** `HOLDFAST_DIR`, or `.holdfast`. */
export const defaultDirectory = (): string => env('HOLDFAST_DIR') || '.holdfast'

/** `SESSION_DB_PATH`, if it is set. */
export const defaultDatabase = (): string | undefined => env('SESSION_DB_PATH') || undefined

/** `SESSION_CLEANUP_DAYS`, or 30. */
export const defaultCleanupDays = (): number => Number(env('SESSION_CLEANUP_DAYS') || 30)

/** The directory of the sessions whose tables are in `database`: beside it. */
export const directoryBeside = (database: string): string =>
  `${resolve(database).replace(/\.(db|sqlite3?)$/, '')}.holdfast`

const ticketsIn = (directory: string): string => join(resolve(directory), 'tickets.jsonl')

/** Linear with a key, else a file. */
export const defaultTracker = (teamId: string, directory: string = defaultDirectory()): TrackerConfig =>
  env('LINEAR_API_KEY')
    ? { kind: 'linear', teamId: env('LINEAR_TEAM_ID') || teamId, connection: '' }
    : { kind: 'local', file: ticketsIn(directory) }

/** The token of Slack's bot: what is given, else `SLACK_BOT_TOKEN`. Throws INVALID_ARGUMENT where it and the app's are in each other's place. */
export function slackBotToken(given: { readonly botToken?: string; readonly appToken?: string } = {}): string {
  const { botToken = env('SLACK_BOT_TOKEN'), appToken = env('SLACK_APP_TOKEN') } = given
  admitSlackTokens({ botToken, appToken })
  return botToken
}

/** Slack with a token, else the log. Throws as `slackBotToken`. */
export const defaultChannel = (): ChannelConfig =>
  slackBotToken() ? { kind: 'slack', channel: env('SLACK_CHANNEL') || 'general', connection: '' } : { kind: 'log' }
