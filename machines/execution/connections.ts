// Keys of the services, as a façade was given them, by the name of a connection. They stay in this process: a session records
// the name, never a key. Steps that run in this process find them here; what is not here stands in the environment.

export interface Keys {
  readonly LINEAR_API_KEY?: string
  readonly LINEAR_API_URL?: string
  readonly SLACK_BOT_TOKEN?: string
  readonly SLACK_API_URL?: string
}

const connections: Map<string, Keys> = new Map()

/** Keeps the keys of a connection, in place of those before. */
export function keepKeys(connection: string, keys: Keys): void {
  connections.set(connection, keys)
}

/** The keys of a connection, completed from an environment. */
export const keysOf = (connection: string, env: Readonly<Record<string, string | undefined>>): Keys => ({
  ...present({ LINEAR_API_KEY: env.LINEAR_API_KEY, LINEAR_API_URL: env.LINEAR_API_URL }),
  ...present({ SLACK_BOT_TOKEN: env.SLACK_BOT_TOKEN, SLACK_API_URL: env.SLACK_API_URL }),
  ...connections.get(connection),
})

const present = (keys: Readonly<Record<string, string | undefined>>): Keys =>
  Object.fromEntries(Object.entries(keys).filter(([, key]) => key))
