// What a call answers: its value, or why not, as a stable code and a sentence. Nothing here throws.

export type Ok<T = object> = { readonly ok: true } & Readonly<T>

export interface Refused<C extends string = string> {
  readonly ok: false
  /** Stable, such as `not_found`. */
  readonly error: C
  readonly message: string
}

export type Result<T = object, C extends string = string> = Ok<T> | Refused<C>

export const refused = <C extends string>(error: C, message: string): Refused<C> => ({ ok: false, error, message })
