// What a session makes of what it takes: everything that comes leads to a decision of its machine, to a note in its records,
// or to nothing. It keeps nothing itself, and nothing that was refused leaves before what it was decided on is durable.

import { activeChild, type ChildOutcome, failedWith, resultOf } from './children.js'
import { NO_EFFECTS, type Sender } from './commit.js'
import type { Correspondence } from './correspondence.js'
import type { Decider, Marks } from './decider.js'
import { decodeError, type ErrorEnvelope } from './envelope.js'
import { HoldfastError } from './errors.js'
import type { SessionHost } from './host.js'
import { asTheyAre, type ReferenceOf, withReferences } from './json.js'
import type { Ledger } from './ledger.js'
import { type Delivery, isForQuarantined } from './mailbox.js'
import type { Identity } from './point.js'
import type { StepEnd } from './pool.js'
import { PARENT, type Progress, type RecordedEvent } from './record.js'
import { sessionQuarantined } from './refusals.js'
import type { Child } from './state.js'
import type { StepRun } from './step-runner.js'
import { backoff } from './steps.js'
import type { TraceContext } from './trace-context.js'
import { transitionOf } from './transition.js'
import type { DeadLetter } from './trouble.js'
import { isoTime, receiverOf } from './write.js'

/** The session whose intake it is. */
export interface IntakeOwner {
  readonly identity: Identity
  /** Undefined for one that cannot be restored: it is over. */
  readonly decider: Decider | undefined
  readonly correspondence: Correspondence
}

/** The type of the event that stands for several. */
const BATCH = 'holdfast.batch'

export class Intake {
  readonly #owner: IntakeOwner
  readonly #host: SessionHost
  readonly #ledger: Ledger

  constructor(owner: IntakeOwner, host: SessionHost, ledger: Ledger) {
    this.#owner = owner
    this.#host = host
    this.#ledger = ledger
  }

  /** Throws what a sender is to be refused with; for what has none, a Crash, or what recording threw. */
  take(delivery: Delivery): void {
    if ('id' in delivery && delivery.id !== undefined && this.#repeat(delivery.id, delivery)) return
    const { over, decided } = this.#ledger
    if (over) return this.#decline(delivery, over)
    const { quarantine } = decided.trouble
    // What nobody waits for is durable where it comes from, and comes again.
    if (quarantine && !isForQuarantined(delivery))
      return refuse(delivery, sessionQuarantined(this.#ledger.session, quarantine.reason))
    this.#handle(delivery, this.#owner.decider as Decider)
  }

  #handle(delivery: Delivery, decider: Decider): void {
    switch (delivery.kind) {
      case 'send':
        return decider.decide(delivery.event, delivery.sender, marksOf(delivery.id, delivery.trace))
      case 'batch': {
        const { events, sender, id, trace } = delivery
        return decider.decideAll(Object.freeze({ type: BATCH, events }), events, sender, marksOf(id, trace))
      }
      case 'message':
        return decider.follow(delivery.event, TAKEN)
      case 'timer':
        return this.#fire(delivery.key, decider)
      case 'result':
        return this.#settle(delivery.run, delivery.outcome, delivery.progress, decider)
      case 'again':
        return this.#again(delivery.child, delivery.incarnation)
      case 'local':
        return this.#hear(delivery, decider)
      case 'linked':
        return this.#owner.correspondence.receive(decider, delivery)
      case 'child-ended':
        return this.#childEnded(delivery, decider)
      case 'say':
        return this.#ledger.note({ type: 'holdfast.sent' }, { sent: [{ to: delivery.to, event: delivery.event }] })
      case 'arrived':
        return this.#owner.correspondence.noteArrived()
      case 'cancel':
        return this.#ledger.note(
          { type: 'holdfast.cancel', reason: delivery.reason },
          { status: 'stopped' },
          delivery.sender,
        )
      case 'release':
        return this.#ledger.note({ type: 'holdfast.release' }, { trouble: { kind: 'release' } }, delivery.sender)
      case 'resend':
        return this.#resend(this.#letter(delivery.letter), delivery.sender, decider)
      case 'discard': {
        const { id } = this.#letter(delivery.letter)
        return this.#ledger.note({ type: 'holdfast.discard', id }, settled(id), delivery.sender)
      }
      case 'delete':
        return this.#delete(delivery.sender)
    }
  }

  /** What comes to a session that is over: it can still be deleted, and messages to it are done with. */
  #decline(delivery: Delivery, over: HoldfastError): void {
    if (delivery.kind === 'delete' && over.code !== 'SESSION_DELETED') this.#delete(delivery.sender)
    else if (delivery.kind === 'linked') this.#owner.correspondence.tellArrived(delivery.from, delivery.key)
    else refuse(delivery, over)
  }

  /** True when an event of this id was taken before: its sender gets what it came to then, if that was the same event. */
  #repeat(id: string, delivery: Extract<Delivery, { kind: 'send' | 'batch' }>): boolean {
    const seen = this.#ledger.decided.seen.findLast((event) => event.id === id)
    if (!seen) return false
    const event = delivery.kind === 'batch' ? { type: BATCH, events: delivery.events } : delivery.event
    this.#ledger.whenDurable((failure) => {
      try {
        if (failure) throw failure
        const record = this.#host.journal.read(seen.position)
        if (JSON.stringify(record.event) !== JSON.stringify(event)) throw otherEvent(this.#ledger.session, id)
        delivery.sender?.resolve(transitionOf(record, seen.position))
      } catch (error) {
        delivery.sender?.reject(error)
      }
    })
    return true
  }

  #fire(key: string, decider: Decider): void {
    const { decided } = this.#ledger
    const timer = decided.timers.find((candidate) => candidate.key === key)
    if (!timer) return
    const { event, to } = timer
    if (to === undefined) return decider.follow(event, undefined, key)
    // A child that has been started since is another one.
    const isThere = to === PARENT || (decided.children[to]?.incarnation ?? Number.POSITIVE_INFINITY) <= seqOf(key)
    const receiver = isThere ? receiverOf(to, undefined, decided, this.#owner.identity) : undefined
    const sent = receiver === undefined ? {} : { sent: [{ to: receiver, event }] }
    const actor = isThere ? decider.local(to) : undefined
    const effects = actor ? { actions: [() => actor.send(decider.revive(event))], emitted: [] } : NO_EFFECTS
    this.#ledger.note({ type: 'holdfast.sent' }, { cleared: [key], ...sent }, undefined, effects)
  }

  /** A local actor speaks: if the machine still has it. Its end is recorded as that of a step is. */
  #hear({ actor, event }: Extract<Delivery, { kind: 'local' }>, decider: Decider): void {
    const { id } = actor
    const child = this.#ledger.decided.children[id]
    if (child?.status !== 'active' || decider.local(id) !== actor) return
    const done = event.type === `xstate.done.actor.${id}`
    if (done) conclude(decider, id, child, { kind: 'done', output: event.output }, undefined, decider.referenceOf)
    else if (event.type === `xstate.error.actor.${id}`) conclude(decider, id, child, failedWith(event.error))
    else decider.follow(event, undefined)
  }

  #childEnded({ child: id, incarnation, outcome }: Extract<Delivery, { kind: 'child-ended' }>, decider: Decider): void {
    const child = activeChild(this.#ledger.decided, id, incarnation)
    if (child) conclude(decider, id, child, outcome)
  }

  /** A step's result is recorded even when no transition takes it, or the step would run again. */
  #settle(run: StepRun, outcome: StepEnd, progress: Progress | undefined, decider: Decider): void {
    const child = activeChild(this.#ledger.decided, run.id, run.incarnation)
    if (!child || outcome.kind === 'cancelled') return
    if (outcome.kind === 'failed') {
      const failures = child.failures + 1
      const { policy } = run.declaration
      if (outcome.retry && outcome.error.retry !== false && failures < policy.attempts) {
        const notBefore = isoTime(this.#host.clock.now() + backoff(policy, failures, this.#host.chance.random()))
        const next = { ...child, attempt: child.attempt + 1, failures, notBefore }
        return this.#attempt(run.id, next, outcome.error, progress)
      }
      // The machine is right and the step is not there: a matter of what was deployed, not of what the session is about.
      if (isMissing(outcome.error)) return this.#host.park(this.#owner.identity, decodeError(outcome.error))
    }
    conclude(decider, run.id, child, outcome, progress)
  }

  /** A step that was cut off. */
  #again(id: string, incarnation: number): void {
    const child = activeChild(this.#ledger.decided, id, incarnation)
    if (child) this.#attempt(id, { ...child, attempt: child.attempt + 1 }, undefined, undefined)
  }

  /** Records that a step is tried again; the attempt starts when that is durable. */
  #attempt(id: string, child: Child, error: ErrorEnvelope | undefined, progress: Progress | undefined): void {
    const { attempt: number, failures, notBefore, trace } = child
    const event: RecordedEvent = { type: 'holdfast.attempt', child: id, attempt: number, ...(error && { error }) }
    const attempt = { child: id, number, failures, ...(notBefore && { notBefore }) }
    this.#ledger.note(event, { attempt, ...(progress && { progress }), ...(trace && { trace }) })
  }

  #letter(id: number): DeadLetter {
    const letter = this.#ledger.decided.trouble.letters.find((candidate) => candidate.id === id)
    if (letter) return letter
    throw new HoldfastError(
      'DEAD_LETTER_NOT_FOUND',
      `session ${this.#ledger.session} has no dead letter ${id}; list them with deadLetters`,
    )
  }

  #resend({ id, event, cut, child, incarnation }: DeadLetter, sender: Sender, decider: Decider): void {
    if (cut) throw new HoldfastError('NOT_ACCEPTED', `dead letter ${id} was too large to be kept whole; discard it`)
    if (child !== undefined && this.#ledger.decided.children[child]?.incarnation !== incarnation)
      throw new HoldfastError('NOT_ACCEPTED', `dead letter ${id} is of a "${child}" that is gone; discard it`)
    decider.decide(event, sender, settled(id))
  }

  #delete(sender: Sender): void {
    const { status } = this.#ledger.decided
    const last = status === 'active' ? 'stopped' : status
    this.#ledger.note({ type: 'holdfast.delete' }, { deleted: true, status: last }, sender)
  }
}

/** Whoever waits for it hears of the refusal; what nobody waits for is passed over. */
function refuse(delivery: Delivery, error: HoldfastError): void {
  if ('sender' in delivery) throw error
}

/** What a child came to belongs to the trace in which it was started. `of`: whose actors its output may have. */
function conclude(
  decider: Decider,
  id: string,
  { trace }: Child,
  outcome: ChildOutcome,
  progress?: Progress,
  of: ReferenceOf = asTheyAre,
): void {
  const event = withReferences(of, () => resultOf(id, outcome))
  decider.follow(event, { finished: id, ...(progress && { progress }), ...(trace && { trace }) })
}

/** When a timer was set: its key begins with that. */
const seqOf = (key: string): number => Number.parseInt(key, 10)

const TAKEN: Marks = { taken: true }

function marksOf(sendId: string | undefined, trace: TraceContext | undefined): Marks | undefined {
  if (trace) return sendId === undefined ? { trace } : { sendId, trace }
  return sendId === undefined ? undefined : { sendId }
}

const settled = (letter: number): Marks => ({ trouble: { kind: 'settled', letter } })

const isMissing = ({ code }: ErrorEnvelope): boolean => code === 'STEP_NOT_FOUND' || code === 'STEP_MODULE_FAILED'

const otherEvent = (session: string, id: string): HoldfastError =>
  new HoldfastError('IDEMPOTENCY_CONFLICT', `session ${session} has taken another event with the id "${id}"`, {
    details: { session, id },
  })
