// Has a session's machine decide, and records what it has decided: both, or neither. A decision that cannot be recorded is
// taken back, so that the session is as it was. It runs nothing of what was decided; that waits in the record's commit.

import { NO_EFFECTS, type Sender } from './commit.js'
import { Crash } from './crash.js'
import type { Decision, LocalActor } from './decision.js'
import type { AnySessionKind } from './define.js'
import { Engine, type EngineHost, type SelfOptions } from './durable.js'
import { isHoldfastError } from './errors.js'
import type { SessionHost } from './host.js'
import { nobody, type ReferenceOf, withinRoom } from './json.js'
import type { Ledger } from './ledger.js'
import { contextOf } from './machine-snapshot.js'
import { type Identity, pointOf } from './point.js'
import type { RecordedEvent, TransitionRecord } from './record.js'
import { refuseInContext } from './secrets.js'
import type { SessionState } from './state.js'
import { recordOf } from './write.js'

/** Beside what was decided: where the event comes from, so that it is not taken twice. */
export type Marks = Partial<TransitionRecord>

export class Decider {
  readonly #identity: Pick<Identity, 'id' | 'parent'>
  readonly #kind: AnySessionKind
  readonly #host: SessionHost
  readonly #ledger: Ledger
  readonly #machine: EngineHost
  #engine: Engine | undefined

  /** `machine` is where the machine's own side doors lead. */
  constructor(
    identity: Pick<Identity, 'id' | 'parent'>,
    kind: AnySessionKind,
    host: SessionHost,
    ledger: Ledger,
    machine: EngineHost,
  ) {
    this.#identity = identity
    this.#kind = kind
    this.#host = host
    this.#ledger = ledger
    this.#machine = machine
  }

  /** Enters the initial state and records it. Throws what the machine threw. */
  begin(input: unknown, sender: Sender, marks: Marks): void {
    const event: RecordedEvent = input === undefined ? { type: 'xstate.init' } : { type: 'xstate.init', input }
    const { engine, decision } = Engine.begin(this.#kind.machine, this.#self, input, this.#machine)
    this.#record(event, decision, sender, marks, undefined)
    this.#engine = engine
  }

  /** Goes on from a durable state. Throws an Error that says what no longer fits the machine. */
  resume(state: SessionState): void {
    if (state.status === 'active') this.#engine = Engine.resume(this.#kind.machine, this.#self, state, this.#machine)
    this.#ledger.reset(pointOf(state, this.#engine?.snapshot))
  }

  /** Goes on from a first record that holds a whole state, and records it. Throws as `resume` does. */
  fork(state: SessionState, record: TransitionRecord, sender: Sender): void {
    const engine = Engine.resume(this.#kind.machine, this.#self, state, this.#machine)
    this.#engine = engine
    this.#ledger.append({ ...record }, engine.snapshot, NO_EFFECTS, sender)
  }

  /** It decides nothing more; the machine is let go. */
  end(): void {
    this.#engine = undefined
  }

  /** Decides an event from outside, which may be refused: throws NOT_ACCEPTED, or what the machine threw. */
  decide(came: RecordedEvent, sender: Sender | undefined, marks: Marks | undefined): void {
    const engine = this.#engine as Engine
    const event = this.#host.secrets.json(came)
    this.#recorded(engine, engine.decide(event, true), event, sender, marks, undefined)
  }

  /** Decides events from outside as one. Throws as `decide` does. */
  decideAll(event: RecordedEvent, events: readonly RecordedEvent[], sender: Sender, marks: Marks | undefined): void {
    const engine = this.#engine as Engine
    this.#recorded(engine, engine.decideAll(events), event, sender, marks, undefined)
  }

  /** Decides an event that nobody can be refused: throws a Crash. `fired` is the timer whose event it is. */
  follow(came: RecordedEvent, marks: Marks | undefined, fired?: string): void {
    const engine = this.#engine as Engine
    const event = this.#host.secrets.json(came)
    try {
      const decision = engine.decide(event, false)
      if (decision.after.status === 'error' && this.#kind.supervision.restart === 'permanent') {
        engine.undo(decision)
        throw decision.after.error
      }
      this.#recorded(engine, decision, event, undefined, marks, fired)
    } catch (error) {
      if (isStorage(error)) throw error
      throw new Crash(event, fired === undefined ? marks : { ...marks, cleared: [fired] }, error)
    }
  }

  /** A child that is a promise, a callback or an observable. */
  local(child: string): LocalActor | undefined {
    return this.#engine?.local(child)
  }

  /** How the machine's actors are written in a record. */
  get referenceOf(): ReferenceOf {
    return this.#engine?.referenceOf ?? nobody
  }

  /** A recorded value as the machine sees it. */
  revive<T>(value: T): T {
    return this.#engine ? this.#engine.revive(value) : value
  }

  get #self(): SelfOptions {
    return { id: this.#identity.id, parent: this.#identity.parent?.session }
  }

  #recorded(
    engine: Engine,
    decision: Decision,
    event: RecordedEvent,
    sender: Sender | undefined,
    marks: Marks | undefined,
    fired: string | undefined,
  ): void {
    try {
      this.#record(event, decision, sender, marks, fired)
    } catch (error) {
      engine.undo(decision)
      throw error
    }
  }

  #record(
    event: RecordedEvent,
    decision: Decision,
    sender: Sender | undefined,
    marks: Marks | undefined,
    fired: string | undefined,
  ): void {
    const { chance, clock, changeLimit } = this.#host
    const [identity, kind, before, now] = [this.#identity, this.#kind, this.#ledger.decided, clock.now()]
    const decided = { identity, kind, event, before, decision, fired, now, chance }
    const record = withinRoom(changeLimit, () => recordOf(decided))
    if (marks) Object.assign(record, marks)
    const { after, actions, emitted } = decision
    if (kind.secrets?.context) refuseInContext(kind.secrets.context, contextOf(after))
    // The decision itself holds the snapshot before; only what is still to be done is kept until the disk answers.
    const effects = actions.length + emitted.length > 0 ? { actions, emitted } : NO_EFFECTS
    this.#ledger.append(record, after, effects, sender)
  }
}

/** Nothing can be recorded any more, for whichever session. */
export const isStorage = (error: unknown): boolean => isHoldfastError(error, 'JOURNAL_FAILED', 'RUNTIME_CLOSED')
