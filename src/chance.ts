// The port for chance: the only source of ids and random numbers.
// Adapters: the system's (`system/`), a seeded one (`testing/`).

export interface Chance {
  /** A new session id: unique, sortable by time of creation, matching the pattern of ids. */
  id(): string
  /** A number in [0, 1), for the jitter of back-off. */
  random(): number
}
