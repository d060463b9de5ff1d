// The port for chance: the only source of ids and random numbers.
// Adapters: the system's (`system/`), a seeded one (`testing/`).

export interface Chance {
  /** A new session id: unique, sortable by time of creation, matching the pattern of ids. */
  id(): string
  /** 256 bits that nobody can guess, as 43 characters of base64url. */
  secret(): string
  /** A number in [0, 1), for the jitter of back-off. */
  random(): number
}
