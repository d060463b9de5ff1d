// The events of a planning session, and their check at the door: `start` starts the steps, the setters drive a session
// from outside. An event that is let in is complete and has a time; unknown types pass, for the machine refuses them
// better (it names what it would accept).
//
// Times: the machine never reads a clock. An event gets its time `at` here, once, before it is recorded, so that a replay
// sees the same one; what a step finds or throws carries the time of the step. Only what comes from neither (a worker
// that died, say) has no time of its own, and is shown with the time of the session's record.

import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type Fields, schemaOf } from './checks.js'
import type { PlanningNote } from './machine.js'
import { type PlanningSessionResult, PlanningSessionStatus } from './state.js'

interface Timed {
  /** When it happened, ISO 8601; the time of its arrival if left out. */
  readonly at?: string
}

/** A note as an event brings it. */
export interface NoteFields {
  readonly message: string
  readonly code?: string
  /** JSON. */
  readonly details?: unknown
}

export type PlanningEvent =
  | ({ readonly type: 'start' } & Timed)
  /** `progress` is 0 to 100; a message belongs to the progress it came with. */
  | ({ readonly type: 'setProgress'; readonly progress: number; readonly message?: string } & Timed)
  | ({ readonly type: 'setStatus'; readonly status: PlanningSessionStatus } & Timed)
  | ({ readonly type: 'addError' } & NoteFields & Timed)
  | ({ readonly type: 'addWarning' } & NoteFields & Timed)
  | ({ readonly type: 'setResult'; readonly result: PlanningSessionResult } & Timed)
  | ({ readonly type: 'updateState' } & UpdateFields & Timed)

/** What an update sets: exactly the fields that it has. */
export interface UpdateFields {
  readonly status?: PlanningSessionStatus
  readonly progress?: number
  readonly progressMessage?: string
  readonly errors?: readonly PlanningNote[]
  readonly warnings?: readonly PlanningNote[]
  readonly result?: PlanningSessionResult
}

const LONGEST_MESSAGE = 10_000
const LONGEST_CODE = 200
const STATUSES = Object.values(PlanningSessionStatus)

type Reader = (fields: Fields) => Omit<PlanningEvent, 'at' | 'type'>

const readers: Readonly<Record<PlanningEvent['type'], Reader>> = {
  start: () => ({}),
  setProgress: (fields) => {
    fields.require('progress')
    return { progress: fields.number('progress', 0, 100), message: fields.optionalText('message', LONGEST_MESSAGE) }
  },
  setStatus: (fields) => {
    fields.require('status')
    return { status: fields.oneOf('status', STATUSES) }
  },
  addError: noteIn,
  addWarning: noteIn,
  setResult: (fields) => {
    fields.require('result')
    return { result: resultIn(fields) }
  },
  updateState: (fields) => ({
    status: fields.oneOf('status', STATUSES),
    progress: fields.number('progress', 0, 100),
    progressMessage: fields.optionalText('progressMessage', LONGEST_MESSAGE),
    errors: fields.list('errors', storedNoteIn),
    warnings: fields.list('warnings', storedNoteIn),
    result: resultIn(fields),
  }),
}

/** Every event from outside passes here. */
export const eventSchema: StandardSchemaV1<unknown, PlanningEvent> = schemaOf((fields, value) => {
  const { type } = value as { type: string }
  if (!Object.hasOwn(readers, type)) return value as PlanningEvent
  const read = readers[type as PlanningEvent['type']]
  return { type, ...read(fields), at: fields.time('at') ?? arrival() } as PlanningEvent
})

// biome-ignore lint/plugin/clock: the door is outside of the machine, and what it writes into an event is recorded
const arrival = (): string => new Date().toISOString()

function noteIn(fields: Fields): NoteFields {
  return {
    message: fields.text('message', LONGEST_MESSAGE),
    code: fields.optionalText('code', LONGEST_CODE),
    details: fields.any('details'),
  }
}

const storedNoteIn = (fields: Fields): PlanningNote => ({ ...noteIn(fields), timestamp: fields.time('timestamp') })

function resultIn(fields: Fields): PlanningSessionResult | undefined {
  const result = fields.object('result')
  if (!result) return undefined
  return {
    epics: result.texts('epics'),
    features: result.texts('features'),
    stories: result.texts('stories'),
    enablers: result.texts('enablers'),
  }
}
