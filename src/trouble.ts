// What has gone wrong with a session and is remembered with it: crashes that count, events under suspicion, dead letters,
// quarantine. All of it is in its records, so that it is the same after a reopening. Pure; no file of the runtime is needed
// to fold it.

import type { ErrorEnvelope } from './envelope.js'
import type { RecordedEvent, TransitionRecord } from './record.js'

/** An event that nobody waits for, set aside because the session crashed on it again and again. */
export interface DeadLetter {
  /** The `seq` of the record that set it aside. */
  readonly id: number
  /** Where it came from: the session itself, its timer, a linked session, a child's end, or what a local actor said. */
  readonly from: 'message' | 'timer' | 'linked' | 'child' | 'local'
  /** Only its type, if it was too large for a record. */
  readonly event: RecordedEvent
  readonly cut?: true
  /** The child whose end it is, and which of that id. */
  readonly child?: string
  readonly incarnation?: number
  /** What the session crashed with, the last time. */
  readonly error: ErrorEnvelope
  /** How many times in a row. */
  readonly attempts: number
  readonly at: string
}

/** Why a session runs no more until somebody releases it. */
export interface Quarantine {
  readonly reason: string
  readonly at: string
}

/** What a record says of trouble. */
export type TroubleChange =
  | {
      readonly kind: 'crash'
      readonly crashes: readonly number[]
      /** The event that crashed it, and how many times in a row that is. */
      readonly suspect?: Suspect
    }
  | { readonly kind: 'letter'; readonly crashes: readonly number[]; readonly letter: DeadLetter }
  | { readonly kind: 'quarantine'; readonly crashes: readonly number[]; readonly reason: string }
  | { readonly kind: 'release' }
  /** A dead letter was decided after all, or discarded. */
  | { readonly kind: 'settled'; readonly letter: number }

export interface Suspect {
  readonly key: string
  readonly count: number
}

export interface Trouble {
  /** When it crashed, ms since the epoch: those that counted at the last crash. */
  readonly crashes: readonly number[]
  /** Key of an event that still waits to be taken -> how many times in a row it has crashed the session. */
  readonly suspects: { readonly [key: string]: number }
  readonly letters: readonly DeadLetter[]
  readonly quarantine?: Quarantine
}

export const NO_TROUBLE: Trouble = Object.freeze({ crashes: [], suspects: {}, letters: [] })

/** More dead letters than this quarantine the session. */
export const LETTERS_LIMIT = 100

/** The keys that events are under suspicion by. A message to itself is always the oldest of those that wait. */
export const suspectKey = {
  message: 'message',
  timer: (key: string): string => `timer:${key}`,
  linked: (from: string): string => `linked:${from}`,
  child: (id: string): string => `child:${id}`,
  local: (type: string): string => `local:${type}`,
}

/** The trouble after a record: shared by the fold and the live session. */
export function troubleAfter(trouble: Trouble, record: TransitionRecord): Trouble {
  const change = record.trouble
  if (!change && (trouble === NO_TROUBLE || (!record.status && isEmpty(trouble.suspects)))) return trouble
  const next = change ? changed(trouble, change, record) : trouble
  if (record.status) return next.letters.length > 0 ? { ...NO_TROUBLE, letters: next.letters } : NO_TROUBLE
  if (change?.kind === 'crash') return next
  const gone = new Set(takenBy(record))
  const suspects = Object.fromEntries(Object.entries(next.suspects).filter(([key]) => !gone.has(key)))
  return { ...next, suspects }
}

function changed(trouble: Trouble, change: TroubleChange, { at }: TransitionRecord): Trouble {
  switch (change.kind) {
    case 'crash': {
      const { crashes, suspect } = change
      return {
        ...trouble,
        crashes,
        suspects: { ...trouble.suspects, ...(suspect && { [suspect.key]: suspect.count }) },
      }
    }
    case 'letter':
      return { ...trouble, crashes: change.crashes, letters: [...trouble.letters, change.letter] }
    case 'quarantine':
      return { ...trouble, crashes: change.crashes, quarantine: { reason: change.reason, at } }
    case 'release':
      return { ...NO_TROUBLE, letters: trouble.letters }
    case 'settled':
      return { ...trouble, letters: trouble.letters.filter(({ id }) => id !== change.letter) }
  }
}

/** The keys of the events that a record takes, or makes moot. */
function takenBy(record: TransitionRecord): string[] {
  const { taken, cleared = [], stopped = [], finished, received, event } = record
  return [
    ...(taken ? [suspectKey.message] : []),
    ...cleared.map(suspectKey.timer),
    ...stopped.map(suspectKey.child),
    ...(finished === undefined ? [] : [suspectKey.child(finished)]),
    ...(received ? [suspectKey.linked(received.from)] : []),
    suspectKey.local(record.trouble?.kind === 'letter' ? record.trouble.letter.event.type : event.type),
  ]
}

const isEmpty = (suspects: Trouble['suspects']): boolean => Object.keys(suspects).length === 0
