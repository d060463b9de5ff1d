// The port for the tickets: where a team's tickets are read, plans are stored and modifications are applied.
// A change is made in two calls: `look` before anything is done, whose mark is recorded, and `apply` with that mark, which
// finds out whether an earlier attempt has made the change already. So nothing is ever applied twice, whoever dies when.
// Adapters: a file (`steps/local-tracker.ts`), Linear (`steps/linear-tracker.ts`).

import type { ModificationAction } from './fields.js'

export interface Ticket {
  readonly id: string
  /** What people call it, such as `ENG-12`. */
  readonly identifier: string
  readonly title: string
  readonly state: string
  /** 1 is the most urgent, 4 the least; 0: nobody has said. */
  readonly priority: number
  readonly assignee?: Assignee
}

export interface Assignee {
  readonly id: string
  readonly name: string
}

/** A plan of a day: the open tickets of one person, the most urgent first. */
export interface DailyPlan {
  readonly assignee: Assignee
  readonly tickets: readonly Omit<Ticket, 'assignee'>[]
}

/** A plan as it is to be stored. */
export interface NewPlan extends DailyPlan {
  /** A UUID, the same each time that it is tried. */
  readonly clientId: string
  readonly title: string
  /** Markdown. */
  readonly text: string
}

/** A modification as it is to be applied. */
export interface Change {
  /** A UUID, the same each time that it is tried. */
  readonly clientId: string
  readonly ticketId: string
  readonly userId: string
  readonly action: ModificationAction
  readonly value: string
}

/** What a ticket was like before a change: JSON that only the adapter understands. */
export type Mark = string

/** `changed`: it was applied now; `found`: by an earlier attempt; `same`: the ticket was as wanted already. */
export type Outcome = 'changed' | 'found' | 'same'

/** Every method rejects with a ServiceError; one whose `retry` is true may be gone the next time. */
export interface Tracker {
  /** How many calls are worth having under way at a time. */
  readonly parallel: number
  /** The tickets of a team, as the session names it, that are neither done nor cancelled, and are no plans of ours. */
  openTickets(teamId: string): Promise<readonly Ticket[]>
  /** Stores a plan, or finds the one with its `clientId`; resolves with the id it has there. */
  storePlan(teamId: string, plan: NewPlan): Promise<{ readonly id: string }>
  /** Reads what tells later whether the change was made. Nothing is changed. */
  look(change: Change): Promise<Mark>
  /** Makes the change; with `again`, an earlier attempt may have made it since `mark`: then it finds that out first. */
  apply(change: Change, mark: Mark, again: boolean): Promise<Outcome>
}

/** Which tracker, as a session records it. Keys are never recorded: see `connections.ts`. */
export type TrackerConfig =
  | { readonly kind: 'local'; readonly file: string }
  | { readonly kind: 'linear'; readonly teamId: string; readonly connection: string }
