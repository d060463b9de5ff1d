// A machine whose whole state follows from how many events it has taken, so that anything lost or invented shows.
import { defineSession, type SessionKind, type StoredState } from 'holdfast'
import { assign, setup } from 'xstate'

export interface Ledger {
  /** The version of the kind that has last had it: each migration writes its own. */
  readonly version: number
  readonly count: number
  /** The last entries, oldest first. */
  readonly last: readonly string[]
}

export const KEPT = 10

/** The entry that is the `n`th of a session. Of several lengths, some of them larger than a page of a disk. */
export const entryOf = (index: number, n: number): string => `${index}-${n}-${'x'.repeat((n * 37 + index * 11) % 4700)}`

/** What a session has come to after `count` entries. */
export const ledgerAfter = (index: number, count: number, version: number): Ledger => {
  const first = Math.max(1, count - KEPT + 1)
  return { version, count, last: Array.from({ length: count - first + 1 }, (_, at) => entryOf(index, first + at)) }
}

const machineAt = (version: number) =>
  setup({
    types: { context: {} as Ledger, events: {} as { type: 'enter'; entry: string } },
  }).createMachine({
    id: 'ledger',
    context: { version, count: 0, last: [] },
    initial: 'open',
    states: {
      open: {
        on: {
          enter: {
            actions: assign(({ context, event }) => ({
              count: context.count + 1,
              last: [...context.last, event.entry].slice(-KEPT),
            })),
          },
        },
      },
    },
  })

type LedgerMachine = ReturnType<typeof machineAt>

/** The kind at a version, with a migration from each before. */
export const ledgerAt = (version: number): SessionKind<LedgerMachine> => {
  const step = (to: number) => (old: StoredState<Ledger>) => ({ context: { ...old.context, version: to } })
  const migrate = Object.fromEntries(Array.from({ length: version - 1 }, (_, before) => [before + 1, step(before + 2)]))
  return defineSession({ kind: 'ledger', version, machine: machineAt(version), migrate })
}
