// What a session is allowed: the original's `Session.Config`, its defaults and its checks. Pure; frozen.

import { isPlainObject } from './json.js'
import { type Result, refused } from './result.js'

export interface SessionConfig {
  /** How many conversations may be open at a time. */
  readonly max_conversations: number
  /** How long nothing may happen before the session terminates by itself. */
  readonly timeout_minutes: number
  /** Told to whoever asks; every session is durable while it lives, and afterwards until it is pruned. */
  readonly persistence_enabled: boolean
  readonly features: readonly string[]
}

const DEFAULTS: SessionConfig = Object.freeze({
  max_conversations: 100,
  timeout_minutes: 30,
  persistence_enabled: false,
  features: Object.freeze([]),
})

/** A hundred years: beyond that a timer is a mistake. */
const LONGEST_MINUTES = 52_560_000
const MOST_CONVERSATIONS = 10_000

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 1

const checks: { readonly [name in keyof SessionConfig]: readonly [test: (value: unknown) => boolean, must: string] } = {
  max_conversations: [
    (value) => isCount(value) && (value as number) <= MOST_CONVERSATIONS,
    `must be an integer from 1 to ${MOST_CONVERSATIONS}`,
  ],
  timeout_minutes: [
    (value) => typeof value === 'number' && value > 0 && value <= LONGEST_MINUTES,
    'must be a number of minutes above 0',
  ],
  persistence_enabled: [(value) => typeof value === 'boolean', 'must be true or false'],
  features: [
    (value) => Array.isArray(value) && value.every((feature) => typeof feature === 'string'),
    'must be a list of texts',
  ],
}

export type ConfigError = 'invalid_config'

/** A whole config from the fields that are given, the others as in `base`. */
function newConfig(
  fields: Partial<SessionConfig> = {},
  base: SessionConfig = DEFAULTS,
): Result<{ config: SessionConfig }, ConfigError> {
  if (!isPlainObject(fields as unknown)) return refused('invalid_config', 'config must be an object')
  for (const [name, value] of Object.entries(fields)) {
    const check = Object.hasOwn(checks, name) ? checks[name as keyof SessionConfig] : undefined
    if (!check) return refused('invalid_config', `config.${name} is not known: ${Object.keys(checks).join(', ')} are`)
    if (value !== undefined && !check[0](value)) return refused('invalid_config', `config.${name} ${check[1]}`)
  }
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
  const config = { ...base, ...given } as SessionConfig
  return { ok: true, config: Object.freeze({ ...config, features: Object.freeze([...config.features]) }) }
}

/** The original's name for it. `SessionConfig.new({ timeout_minutes: 5 })` */
export const SessionConfig: { readonly new: typeof newConfig } = Object.freeze({ new: newConfig })
