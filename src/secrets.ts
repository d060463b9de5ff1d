// Secrets: what must never stand in a record. The host tells the runtime its secrets by name (`secrets` of `openRuntime`), and
// a kind the places where one may come in (`secrets` of `defineSession`). What comes to a session is redacted before its
// machine sees it, so that the machine and the record agree and a replay decides the same; what a machine itself brings up
// (from a closure, the environment) is refused, since there is no honest record of it. A step asks for a secret by name.
// It finds a secret as it is, and as base64 and in a URL; one that is cut up or otherwise encoded it cannot find.

import { decodeError, encodeError } from './envelope.js'
import { HoldfastError, isHoldfastError } from './errors.js'
import { freezeJson } from './json.js'
import type { Logger } from './logger.js'
import type { StepEnd } from './pool.js'
import type { RecordedEvent } from './record.js'

/** Name -> value. */
export type SecretValues = { readonly [name: string]: string }

/** A kind, as far as it matters here. */
interface WithSecrets {
  readonly secrets: KindSecrets | undefined
}

/** Where a kind's secrets may come in: paths such as `credentials.apiKey`; `*` is any key or index. */
export interface KindSecrets {
  readonly input?: readonly string[]
  /** By event type. */
  readonly events?: { readonly [type: string]: readonly string[] }
  /** By the name of the step among the machine's actors. */
  readonly outputs?: { readonly [step: string]: readonly string[] }
  /** What must not be in the context: nothing but `null` or what was redacted may stand there. */
  readonly context?: readonly string[]
}

export interface Secrets {
  /** The values, for steps; undefined when there are none. */
  readonly values: SecretValues | undefined
  /** A JSON value without secrets: the same one when there is none in it. */
  json<T>(value: T): T
  /** An error without secrets in its message, details and causes: the same one when there is none in it. */
  error<T>(error: T): T
  /** Throws SECRET_EXPOSED when a value of JSON holds one. */
  refuse(value: unknown, what: string): void
  logger(logger: Logger): Logger
}

/** What stands in the place of a secret that is known by its place only. */
const REDACTED = '[redacted]'

/** Shorter values would be found in what is no secret. */
const SHORTEST = 8
const MOST_SECRETS = 1000

/** Nothing is secret, and nothing is looked at. */
const NO_SECRETS: Secrets = {
  values: undefined,
  json: (value) => value,
  error: (error) => error,
  refuse: () => {},
  logger: (logger) => logger,
}

/** Throws INVALID_ARGUMENT, naming no value. */
export function secretsOf(values: SecretValues | undefined): Secrets {
  const named = Object.entries(values ?? {})
  if (named.length === 0) return NO_SECRETS
  if (named.length > MOST_SECRETS) throw invalid(`there are more than ${MOST_SECRETS} secrets`)
  for (const [name, value] of named) {
    if (typeof value === 'string' && value.length >= SHORTEST) continue
    throw invalid(`secret "${name}" must be a text of at least ${SHORTEST} characters`)
  }
  return new KnownSecrets(Object.freeze(Object.fromEntries(named)))
}

class KnownSecrets implements Secrets {
  readonly values: SecretValues
  readonly #names: ReadonlyMap<string, string>
  readonly #any: RegExp

  constructor(values: SecretValues) {
    this.values = values
    this.#names = new Map(Object.entries(values).flatMap(([name, value]) => formsOf(value).map((form) => [form, name])))
    // The longest first: one may be a part of another.
    const forms = [...this.#names.keys()].sort((a, b) => b.length - a.length)
    this.#any = new RegExp(forms.map(escaped).join('|'), 'g')
  }

  json<T>(value: T): T {
    const redacted = mapTexts(value, (text) => this.#text(text))
    return redacted === value ? value : freezeJson(redacted as never)
  }

  error<T>(error: T): T {
    if (!(error instanceof Error)) return this.json(error)
    const envelope = encodeError(error)
    const redacted = this.json(envelope)
    if (redacted === envelope) return error
    if (!isHoldfastError(error)) return decodeError(redacted) as T
    const { message, cause } = redacted
    const options = { details: this.json(error.details), ...(cause && { cause: decodeError(cause) }) }
    return new HoldfastError(error.code, message, options) as T
  }

  refuse(value: unknown, what: string): void {
    if (this.json(value) === value) return
    const name = this.#nameIn(value)
    throw exposed(`the secret "${name}" would stand in ${what}; have a step take it by ctx.secret("${name}") instead`, {
      secret: name,
    })
  }

  logger(logger: Logger): Logger {
    const fields = (all: object): object =>
      mapTexts(
        all,
        (text) => this.#text(text),
        (error) => this.error(error),
      ) as object
    return {
      info: (all, message) => logger.info(fields(all), this.#text(message)),
      warn: (all, message) => logger.warn(fields(all), this.#text(message)),
      error: (all, message) => logger.error(fields(all), this.#text(message)),
    }
  }

  #text(text: string): string {
    return text.length < SHORTEST ? text : text.replace(this.#any, (found) => `[redacted:${this.#names.get(found)}]`)
  }

  #nameIn(value: unknown): string {
    let name = ''
    mapTexts(value, (text) => {
      name ||= this.#names.get(text.match(this.#any)?.[0] ?? '') ?? ''
      return text
    })
    return name
  }
}

/** A value as it may stand in texts. */
function formsOf(value: string): string[] {
  const bytes = Buffer.from(value)
  const base64 = [bytes.toString('base64').replace(/=+$/, ''), bytes.toString('base64url')]
  return [...new Set([value, encodeURIComponent(value), ...base64])]
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')

/** A value whose texts, keys included, have been mapped; what has not changed is the same one. Errors only where asked for. */
function mapTexts(value: unknown, map: (text: string) => string, ofError?: (error: Error) => Error): unknown {
  const seen = new Set<object>()
  const walk = (part: unknown): unknown => {
    if (typeof part === 'string') return map(part)
    if (typeof part !== 'object' || part === null) return part
    if (part instanceof Error) return ofError ? ofError(part) : part
    const prototype = Object.getPrototypeOf(part)
    const isPlain = Array.isArray(part) || prototype === Object.prototype || prototype === null
    // Only a log may hold what is no JSON; a cycle ends where it closes.
    if (!isPlain || seen.has(part)) return part
    seen.add(part)
    const mapped = Array.isArray(part) ? listOf(part, walk) : objectOf(part as Record<string, unknown>, walk, map)
    seen.delete(part)
    return mapped
  }
  return walk(value)
}

function listOf(items: unknown[], walk: (part: unknown) => unknown): unknown {
  const mapped = items.map(walk)
  return mapped.some((item, index) => item !== items[index]) ? mapped : items
}

function objectOf(
  object: Record<string, unknown>,
  walk: (part: unknown) => unknown,
  map: (text: string) => string,
): unknown {
  let changed = false
  const entries = Object.entries(object).map(([key, part]) => {
    const [name, mapped] = [map(key), walk(part)]
    changed ||= name !== key || mapped !== part
    return [name, mapped]
  })
  return changed ? Object.fromEntries(entries) : object
}

/** The value with REDACTED at these paths: the same one when there is nothing. */
function withoutPaths<T>(value: T, paths: readonly string[] | undefined): T {
  if (!paths) return value
  const redacted = paths.reduce((all: unknown, path) => without(all, path.split('.')), value)
  return redacted === value ? value : (freezeJson(redacted as never) as T)
}

/** It has been redacted already. */
const isMark = (value: unknown): boolean => typeof value === 'string' && /^\[redacted(:[^\]]*)?\]$/.test(value)

function without(value: unknown, [key, ...rest]: readonly string[]): unknown {
  if (key === undefined) return value === null || value === undefined || isMark(value) ? value : REDACTED
  if (typeof value !== 'object' || value === null) return value
  let changed = false
  const part = (name: string, old: unknown): unknown => {
    const next = key === '*' || key === name ? without(old, rest) : old
    changed ||= next !== old
    return next
  }
  const copy = Array.isArray(value)
    ? value.map((old, index) => part(String(index), old))
    : Object.fromEntries(Object.entries(value).map(([name, old]) => [name, part(name, old)]))
  return changed ? copy : value
}

/** What comes to a kind's session, as its machine and its records have it. */
export const secretInput = (kind: WithSecrets, input: unknown): unknown => withoutPaths(input, kind.secrets?.input)

export const secretEvent = (kind: WithSecrets | undefined, event: RecordedEvent): RecordedEvent =>
  withoutPaths(event, own(kind?.secrets?.events, event.type))

export function secretOutcome(kind: WithSecrets, step: string, outcome: StepEnd): StepEnd {
  if (!kind.secrets?.outputs || outcome.kind !== 'done') return outcome
  return { kind: 'done', output: withoutPaths(outcome.output, own(kind.secrets.outputs, step)) }
}

/** Throws SECRET_EXPOSED when something stands in the context where the kind says that nothing may. */
export function refuseInContext(paths: readonly string[], context: unknown): void {
  for (const path of paths) {
    if (without(context, path.split('.')) === context) continue
    throw exposed(`context.${path} must not be in a record; have a step take the secret by ctx.secret(…) instead`, {
      path: `context.${path}`,
    })
  }
}

const own = (
  all: { readonly [name: string]: readonly string[] } | undefined,
  name: string,
): readonly string[] | undefined => (all && Object.hasOwn(all, name) ? all[name] : undefined)

const exposed = (message: string, details: Record<string, unknown>): HoldfastError =>
  new HoldfastError('SECRET_EXPOSED', message, { details })

const invalid = (why: string): HoldfastError => new HoldfastError('INVALID_ARGUMENT', `secrets of openRuntime: ${why}`)
