// Checks of plain objects from outside, for the schemas of the kind: each field is read once and comes out typed, or as
// an issue that names it. A field that is not asked for is left out. Nothing here throws, and nothing is converted.

import type { StandardSchemaV1 } from '@standard-schema/spec'

type Result<T> = StandardSchemaV1.Result<T>

/** One object under inspection. `undefined` stands for an absent field. */
export class Fields {
  readonly issues: StandardSchemaV1.Issue[]
  readonly #values: Readonly<Record<string, unknown>>
  readonly #path: readonly string[]

  constructor(value: unknown, path: readonly string[] = [], issues: StandardSchemaV1.Issue[] = []) {
    this.issues = issues
    this.#path = path
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    this.#values = isObject ? (value as Record<string, unknown>) : {}
    if (!isObject) this.issues.push({ message: 'must be an object', path })
  }

  has(name: string): boolean {
    return this.#values[name] !== undefined
  }

  /** Any JSON value. */
  any(name: string): unknown {
    return this.#values[name]
  }

  /** A text with at least one visible character, or an issue and `''`. */
  text(name: string, longest: number): string {
    const text = this.optionalText(name, longest)
    if (text !== undefined && text.trim() !== '') return text
    if (this.has(name) && text === undefined) return ''
    this.#refuse(name, 'must be a text that is not empty')
    return ''
  }

  optionalText(name: string, longest: number): string | undefined {
    const value = this.#values[name]
    if (value === undefined) return undefined
    if (typeof value === 'string' && value.length <= longest) return value
    this.#refuse(name, `must be a text of at most ${longest} characters`)
    return undefined
  }

  number(name: string, least: number, most: number): number | undefined {
    const value = this.#values[name]
    if (value === undefined) return undefined
    if (typeof value === 'number' && value >= least && value <= most) return value
    this.#refuse(name, `must be a number from ${least} to ${most}`)
    return undefined
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T | undefined {
    const value = this.#values[name]
    if (value === undefined) return undefined
    if (values.includes(value as T)) return value as T
    this.#refuse(name, `must be one of ${values.join(', ')}`)
    return undefined
  }

  /** An ISO 8601 time, brought into the one form that `Date` writes. */
  time(name: string): string | undefined {
    const value = this.#values[name]
    if (value === undefined) return undefined
    const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
    if (!Number.isNaN(ms)) return new Date(ms).toISOString()
    this.#refuse(name, 'must be an ISO 8601 time')
    return undefined
  }

  /** An object below this one, under the same inspection. */
  object(name: string): Fields | undefined {
    return this.has(name) ? new Fields(this.#values[name], [...this.#path, name], this.issues) : undefined
  }

  list<T>(name: string, read: (item: Fields) => T): T[] | undefined {
    const value = this.#values[name]
    if (value === undefined) return undefined
    if (Array.isArray(value)) {
      return value.map((item, index) => read(new Fields(item, [...this.#path, name, String(index)], this.issues)))
    }
    this.#refuse(name, 'must be a list')
    return undefined
  }

  /** An object whose values are all texts. */
  texts(name: string): Record<string, string> {
    const value = this.#values[name]
    const entries =
      typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : undefined
    if (entries?.every(isTextEntry)) return Object.fromEntries(entries)
    this.#refuse(name, 'must be an object whose values are texts')
    return {}
  }

  textList(name: string, most: number, longest: number): string[] | undefined {
    const value = this.#values[name]
    if (value === undefined) return undefined
    const fits = (text: unknown): boolean => typeof text === 'string' && text !== '' && text.length <= longest
    if (Array.isArray(value) && value.length <= most && value.every(fits)) return [...value] as string[]
    return this.refuse(name, `must be a list of at most ${most} texts`, undefined)
  }

  require(name: string): void {
    if (!this.has(name)) this.#refuse(name, 'is missing')
  }

  /** Notes an issue of the caller's own, and gives what stands in for the value. */
  refuse<T>(name: string, message: string, standIn: T): T {
    this.#refuse(name, message)
    return standIn
  }

  #refuse(name: string, message: string): void {
    this.issues.push({ message, path: [...this.#path, name] })
  }
}

const isTextEntry = (entry: [string, unknown]): entry is [string, string] => typeof entry[1] === 'string'

/** A Standard Schema from a function that reads an object's fields. What it leaves undefined is absent in the record. */
export function schemaOf<T>(read: (fields: Fields, value: unknown) => T): StandardSchemaV1<unknown, T> {
  const validate = (value: unknown): Result<T> => {
    const fields = new Fields(value)
    const valid = read(fields, value)
    return fields.issues.length > 0 ? { issues: fields.issues } : { value: valid }
  }
  return { '~standard': { version: 1, vendor: 'holdfast', validate } }
}
