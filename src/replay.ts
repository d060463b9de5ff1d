// A stored session, decided once more: what was recorded of it goes through today's machine, one record after the other, and
// each outcome is held against the recorded one. It goes on deciding up to the first that differs. Nothing runs and nothing
// is written: the engine only decides.

import { isDeepStrictEqual } from 'node:util'
import type { Decision } from './decision.js'
import type { AnySessionKind } from './define.js'
import { Engine, type EngineHost } from './durable.js'
import { messageOf } from './errors.js'
import type { Placed } from './history.js'
import { formatPath } from './json.js'
import { contextOf } from './machine-snapshot.js'
import { NOTHING, type Point, pointAfter, pointOf } from './point.js'
import type { RecordedEvent, TransitionRecord } from './record.js'
import { type Folding, fold, sealed } from './rehydrate.js'
import type { SessionState } from './state.js'
import { recordOf } from './write.js'

/** Where a replay and the records part. Both sides are JSON, cut off when it is long. */
export interface Divergence {
  readonly seq: number
  /** The type of the event. */
  readonly event: string
  /** What differs, such as `value`, `context.items[2]`, `timers` or `started`; `decision` when today's machine throws. */
  readonly path: string
  readonly recorded: string
  readonly replayed: string
}

/** What a decision comes to: a record and the context after it, or what the machine threw. */
type Outcome = { readonly record: TransitionRecord; readonly context: unknown } | { readonly threw: string }

export class Replay {
  readonly #kind: AnySessionKind
  /** What the records tell. */
  #state: Folding | undefined
  /** What was decided now: as long as it is the same. */
  #point: Point = NOTHING
  #engine: Engine | undefined
  #divergence: Divergence | undefined
  #transitions = 0
  /** Makes the decision that differs once more. */
  #again: (() => Outcome) | undefined

  readonly #host: EngineHost

  /** `base` is what the session was where its records begin; nothing, when they begin with its first. */
  constructor(kind: AnySessionKind, base: SessionState | undefined) {
    this.#kind = kind
    this.#host = this.#silent()
    if (!base) return
    this.#state = structuredClone(base) as Folding
    this.#resume({ seq: base.seq, event: 'holdfast.floor' })
  }

  /** What the records so far have made of the session. */
  get state(): SessionState | undefined {
    return this.#state
  }

  get divergence(): Divergence | undefined {
    return this.#divergence
  }

  /** Whether the decision that differs comes to something else each time: to be asked again after a while. */
  again(): unknown {
    return this.#again?.()
  }

  /** How many records it has followed. */
  get transitions(): number {
    return this.#transitions
  }

  follow({ record, position }: Placed): void {
    this.#transitions++
    const first = this.#state === undefined
    const isOver = this.#divergence !== undefined
    const decides = first ? isBeginning(record, this.#kind) : this.#engine !== undefined && isDecided(record)
    const outcome = decides && !isOver ? this.#decided(record) : undefined
    this.#state = fold(this.#state, record, position)
    if (outcome) this.#compare(record, outcome)
    if (this.#divergence) return
    // A machine of another version decided what came before: from here on it was one of today's.
    if (record.version !== undefined && !decides) this.#resume({ seq: record.seq, event: record.event.type })
    else if (this.#engine) this.#point = pointAfter(this.#point, record, position, this.#engine.snapshot)
  }

  /** Hears nothing: no action runs, and no actor says anything. */
  #silent(): EngineHost {
    const nextOf = (): number => this.#point.seq + 1
    return {
      ...{ post: () => {}, say: () => {}, log: () => {}, shown: () => this.#point.snapshot },
      get next() {
        return nextOf()
      },
      childOf: (session) =>
        Object.entries(this.#point.children).find(
          ([, child]) => child.status === 'active' && child.session === session,
        )?.[0],
    }
  }

  /** Goes on from what is recorded, if that is of today's version. */
  #resume({ seq, event }: { seq: number; event: string }): void {
    this.#engine = undefined
    const state = sealed(structuredClone(this.#state) as Folding)
    if (state.status !== 'active' || state.version !== this.#kind.version) return
    try {
      this.#engine = Engine.resume(this.#kind.machine, selfOf(state), state, this.#host)
      this.#point = pointOf(state, this.#engine.snapshot)
    } catch (error) {
      this.#divergence = { seq, event, path: 'value', recorded: cut(state.value), replayed: messageOf(error) }
    }
  }

  /** Decides what the record is of; what comes of it stays with the engine. */
  #decided(record: TransitionRecord): Outcome {
    let made = this.#decide(record)
    this.#again = () => {
      made.undo()
      made = this.#decide(record)
      return made.outcome
    }
    return made.outcome
  }

  #decide(record: TransitionRecord): { readonly outcome: Outcome; undo(): void } {
    try {
      if (record.seq === 1) {
        const self = { id: record.session, parent: record.parent?.session }
        const { engine, decision } = Engine.begin(this.#kind.machine, self, record.event.input, this.#host)
        this.#engine = engine
        return { outcome: this.#outcome(record, decision), undo: () => {} }
      }
      const engine = this.#engine as Engine
      const { type, events } = record.event
      const isBatch = type === 'holdfast.batch'
      const decision = isBatch ? engine.decideAll(events as RecordedEvent[]) : engine.decide(record.event, false)
      return { outcome: this.#outcome(record, decision), undo: () => engine.undo(decision) }
    } catch (error) {
      return { outcome: { threw: messageOf(error) }, undo: () => {} }
    }
  }

  #outcome(recorded: TransitionRecord, decision: Decision): Outcome {
    const { session: id, parent, event, at, cleared: [key] = [], started = [] } = recorded
    const timer = this.#point.timers.find((one) => one.key === key && isDeepStrictEqual(one.event, event))
    // Child sessions have the ids that they were given then.
    const ids = started.flatMap(({ session }) => session ?? [])
    const record = recordOf({
      ...{ identity: { id, parent: parent ?? this.#state?.parent }, event, before: this.#point, decision },
      kind: { index: undefined, children: this.#kind.children },
      ...{ fired: timer?.key, now: Date.parse(at), chance: { id: () => ids.shift() ?? 'new' } },
    })
    return { record, context: contextOf(decision.after) }
  }

  #compare(recorded: TransitionRecord, outcome: Outcome): void {
    const found = differenceOf(recorded, outcome, this.#state?.context)
    if (!found) return
    const { path, sides } = found
    const [before, now] = sides.map(cut) as [string, string]
    this.#divergence = { seq: recorded.seq, event: recorded.event.type, path, recorded: before, replayed: now }
  }
}

/** What today's machine is asked about; everything else was done by the runtime. */
function isDecided({ event, error }: TransitionRecord): boolean {
  const isCut = (error as { code?: string } | undefined)?.code === 'RECORD_TOO_LARGE'
  return !isCut && (event.type === 'holdfast.batch' || !event.type.startsWith('holdfast.'))
}

const isBeginning = ({ event, version }: TransitionRecord, kind: AnySessionKind): boolean =>
  event.type === 'xstate.init' && version === kind.version

/** What a machine decides, in the order in which a difference matters. */
const PARTS = [
  'value',
  'status',
  'output',
  'history',
  'started',
  'stopped',
  'timers',
  'cleared',
  'messages',
  'sent',
] as const

function differenceOf(
  recorded: TransitionRecord,
  outcome: Outcome,
  context: unknown,
): { readonly path: string; readonly sides: [unknown, unknown] } | undefined {
  if ('threw' in outcome) {
    // A session that ends when its machine throws has recorded that.
    return recorded.status === 'error' ? undefined : { path: 'decision', sides: [recorded.value, outcome.threw] }
  }
  const { record } = outcome
  if (record.value !== recorded.value && !isDeepStrictEqual(asJson(record.value), recorded.value))
    return { path: 'value', sides: [recorded.value, record.value] }
  // The same change, or one that comes to the same.
  if (JSON.stringify(record.patch) !== JSON.stringify(recorded.patch)) {
    const found = firstDifference(context, asJson(outcome.context))
    if (found) return { path: formatPath('context', found.path), sides: found.sides }
  }
  for (const part of PARTS)
    if (!isDeepStrictEqual(asJson(record[part]), recorded[part]))
      return { path: part, sides: [recorded[part], record[part]] }
  const [was, is] = [recorded.error, record.error].map((error) => (error as { message?: unknown } | undefined)?.message)
  return was === is ? undefined : { path: 'error', sides: [was, is] }
}

interface Place {
  readonly path: (string | number)[]
  readonly sides: [unknown, unknown]
}

function firstDifference(a: unknown, b: unknown, path: (string | number)[] = []): Place | undefined {
  if (isDeepStrictEqual(a, b)) return undefined
  const isParts = (value: unknown): value is { [key: string]: unknown } => typeof value === 'object' && value !== null
  if (!isParts(a) || !isParts(b) || Array.isArray(a) !== Array.isArray(b)) return { path, sides: [a, b] }
  const key = [...new Set([...Object.keys(a), ...Object.keys(b)])].find((name) => !isDeepStrictEqual(a[name], b[name]))
  return firstDifference(a[key as string], b[key as string], [
    ...path,
    Array.isArray(a) ? Number(key) : (key as string),
  ])
}

const asJson = (value: unknown): unknown => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)))

const LONGEST = 200

function cut(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing')
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text
}

const selfOf = ({ id, parent }: SessionState): { id: string; parent: string | undefined } => ({
  id,
  parent: parent?.session,
})
