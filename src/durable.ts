// The engine seam: lets a user's machine decide, and keeps its effects from happening.
// The session is an XState actor to its machine: `self`, parent of its children, root of its system. But its mailbox is the
// session's own, and its decisions are made here, with a scope that collects what the transition would do and hands that
// out as a Decision. The engine never runs an effect, arms a timer or starts a child, and a decision that its caller cannot
// record is undone: then it is as it was before the event.

import { type AnyMachineSnapshot, type AnyStateMachine, createActor } from 'xstate'
import { Cast, type CastHost } from './cast.js'
import { addressed, type Collected, collect, type Ends, localIn, receiverIn, timersOf } from './collected.js'
import type { Decision, LocalActor } from './decision.js'
import { HoldfastError } from './errors.js'
import type { ReferenceOf } from './json.js'
import { childrenOf, type MachineSnapshot, type Resumable, restore, setWritten } from './machine-snapshot.js'
import { findMutation, isMutationError } from './mutation.js'
import { checkChildren, endlessOr, notAccepted, SELF } from './objections.js'
import type { RecordedEvent } from './record.js'

/** Where the machine's own side doors lead. */
export interface EngineHost extends CastHost {
  /** A custom action has sent the session an event through its `self`; or a local actor has, the `source`. */
  post(event: RecordedEvent, source: LocalActor | undefined): void
  /** A custom action has sent an event to a child that is a session, or to PARENT. */
  say(to: string, event: RecordedEvent): void
  log(args: readonly unknown[]): void
  /** The snapshot that may be shown: the last durable one. */
  shown(): MachineSnapshot | undefined
}

/** One of several decisions, and what it was made of. */
interface Part {
  readonly decision: Decision
  readonly collected: Collected | undefined
}

// XState's actor scope and logic are generic in everything that is not known here.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Loose = any

/** Who the session is. */
export interface SelfOptions {
  readonly id: string
  /** The id of the session whose child it is. */
  readonly parent: string | undefined
}

/** One session's machine, alive. It decides; its caller records and acts. */
export class Engine {
  readonly #machine: AnyStateMachine
  readonly #host: EngineHost
  readonly #scope: Loose
  /** The parent session as the machine sees it: an address for `sendParent`, with nobody behind it. */
  readonly #parent: Loose
  readonly #ends: Ends
  readonly #cast: Cast
  /** Of the transition that is being decided, and how many actors it has made so far; 0 while restoring. */
  #book = { seq: 0, actors: 0 }
  #snapshot: AnyMachineSnapshot | undefined
  #collected: Collected | undefined
  #deciding = false
  /** The type of the event that is being decided. */
  #event = ''

  private constructor(machine: AnyStateMachine, { id, parent }: SelfOptions, host: EngineHost) {
    this.#machine = machine
    this.#host = host
    this.#parent = parent === undefined ? undefined : createActor(NOBODY, { id: parent }).start()
    const self = this.#actorOf(id)
    this.#scope = this.#scopeOf(self)
    this.#ends = { self, parent: this.#parent }
    const stopped = (child: string): Loose => {
      return (createActor(NOBODY, { id: child, parent: self, snapshot: STOPPED } as Loose) as Loose)._stop()
    }
    this.#cast = new Cast({ id, self, parent, parentActor: this.#parent }, host, stopped)
  }

  /** Enters the initial state. Throws what the machine threw. */
  static begin(
    machine: AnyStateMachine,
    self: SelfOptions,
    input: unknown,
    host: EngineHost,
  ): { readonly engine: Engine; readonly decision: Decision } {
    const engine = new Engine(machine, self, host)
    engine.#openBook()
    const after = machine.getInitialSnapshot(engine.#scope, engine.#cast.revive(input, {}))
    // A machine cannot begin in error: XState turns what its first transition threw into a snapshot.
    if (after.status === 'error') throw endlessOr(after.error)
    return { engine, decision: engine.#decided(undefined, after) }
  }

  /** Restores a session; decides and starts nothing. Throws an Error that says what no longer fits the machine. */
  static resume(machine: AnyStateMachine, self: SelfOptions, state: Resumable, host: EngineHost): Engine {
    const engine = new Engine(machine, self, host)
    engine.#snapshot = restore(machine, state, engine.#scope, (snapshot) => engine.#revive(snapshot, state))
    return engine
  }

  /** Gives a restored snapshot its actors: in its context, and in what its local actors are about to begin with. */
  #revive(snapshot: Loose, { context, children }: Resumable): void {
    for (const [id, { incarnation }] of Object.entries(children)) {
      this.#cast.introduce(id, snapshot.children[id], incarnation)
    }
    for (const child of Object.values<Loose>(snapshot.children)) {
      const { input } = child.getSnapshot()
      const revived = this.#cast.revive(input, snapshot.children)
      if (revived !== input) child._snapshot = { ...child.getSnapshot(), input: revived }
    }
    snapshot.context = this.#cast.revive(context, snapshot.children)
    if (snapshot.context !== context) setWritten(snapshot, context)
  }

  /** A recorded value as the machine sees it: with actors for its references. */
  revive<T>(value: T): T {
    return this.#cast.revive(value, childrenOf(this.#snapshot))
  }

  /** How the machine's actors are written in a record. */
  get referenceOf(): ReferenceOf {
    return this.#cast.referenceOf
  }

  /** The snapshot after the last decision: ahead of the disk. */
  get snapshot(): AnyMachineSnapshot {
    return this.#snapshot as AnyMachineSnapshot
  }

  /**
   * Lets the machine decide an event, and goes on from there. Throws what the machine threw, and, if `refusable`,
   * NOT_ACCEPTED when no transition is enabled; the engine is then as it was.
   */
  decide(event: RecordedEvent, refusable: boolean): Decision {
    this.#openBook()
    return this.#decide(event, refusable)
  }

  #openBook(): void {
    this.#book = { seq: this.#host.next, actors: 0 }
  }

  #decide(event: RecordedEvent, refusable: boolean): Decision {
    if (this.#deciding) throw new Error('a decision was asked for inside another')
    const before = this.snapshot
    this.#event = event.type
    this.#deciding = true
    this.#collected = undefined
    try {
      this.#freeSystemId(event)
      const after = this.#transition(before, this.revive(event))
      if (refusable && after === before && !this.#collected && !before.can(event as Loose)) {
        throw notAccepted(before, event)
      }
      return this.#decided(before, after)
    } catch (error) {
      this.#restoreSystemIds(before)
      throw error
    } finally {
      this.#deciding = false
    }
  }

  /**
   * Lets the machine decide events from outside as one: what each sends to the session itself comes before the next.
   * Throws as `decide` does; the engine is then as it was.
   */
  decideAll(events: readonly RecordedEvent[]): Decision {
    const { snapshot } = this
    const parts: Part[] = []
    this.#openBook()
    try {
      for (const event of events) {
        if (this.snapshot.status !== 'active') throw notAccepted(this.snapshot, event)
        for (const messages = [this.#part(event, true, parts)]; messages.length > 0; ) {
          for (const message of messages.shift() ?? []) messages.push(this.#part(message, false, parts))
        }
      }
    } catch (error) {
      this.#snapshot = snapshot
      this.#restoreSystemIds(snapshot)
      throw error
    }
    return this.#joined(snapshot, parts)
  }

  /** One decision of several; gives what it sends to the session itself. */
  #part(event: RecordedEvent, refusable: boolean, parts: Part[]): readonly RecordedEvent[] {
    if (parts.length === MOST_DECISIONS)
      throw new HoldfastError('DECISION_ENDLESS', `one batch led to more than ${MOST_DECISIONS} decisions`)
    const decision = this.#decide(event, refusable)
    parts.push({ decision, collected: this.#collected })
    return decision.after.status === 'active' ? decision.messages : NONE
  }

  /**
   * Several decisions as one. Of the children that they have started only those begin that are there at the end: another
   * one, which may have had the same id, is nobody, so who is sent what is asked once more.
   */
  #joined(before: AnyMachineSnapshot, parts: readonly Part[]): Decision {
    const after = this.snapshot
    const there = new Set([...Object.values(childrenOf(before)), ...Object.values(childrenOf(after))])
    for (const { decision } of parts)
      for (const [id, child] of Object.entries(childrenOf(decision.after)))
        if (!there.has(child)) this.#cast.dismiss(id, child)
    const collected = parts.flatMap((part) => part.collected ?? [])
    const sent = collected.flatMap(({ sends }) => sends)
    const timed = collected.flatMap(({ timers }) => timers)
    return {
      before,
      after,
      actions: parts.flatMap(({ decision }) => decision.actions),
      timers: timersOf(timed, after, this.#ends),
      messages: NONE,
      sends: addressed(sent, before, after, this.#ends).sends,
      emitted: collected.flatMap(({ emitted }) => emitted).map((event) => this.#cast.shown(event)),
      referenceOf: this.#cast.referenceOf,
    }
  }

  /** Takes the last decision back: it could not be recorded, so it has not happened. */
  undo({ before }: Decision): void {
    this.#snapshot = before
    this.#restoreSystemIds(before)
  }

  #decided(before: AnyMachineSnapshot | undefined, after: AnyMachineSnapshot): Decision {
    if (after.children !== before?.children) {
      this.#nameChildren(after)
      checkChildren(before, after, this.#machine, this.#event)
      for (const [id, child] of Object.entries(childrenOf(after))) this.#cast.introduce(id, child)
    }
    const decision = this.#decision(before, after)
    this.#snapshot = after
    return decision
  }

  /** What `spawnChild` starts without an id, XState keeps under "undefined", each in the place of the one before. */
  #nameChildren(after: Loose): void {
    const spawned = this.#collected?.unnamed
    if (!spawned) return
    const { undefined: _, ...children } = after.children
    after.children = children
    for (const child of spawned) children[child.id] = child
  }

  #decision(before: AnyMachineSnapshot | undefined, after: AnyMachineSnapshot): Decision {
    const collected = this.#collected
    const { referenceOf } = this.#cast
    if (!collected)
      return { before, after, actions: NONE, timers: NONE, messages: NONE, sends: NONE, emitted: NONE, referenceOf }
    // Only now: XState resolves some receivers at the end of a transition.
    const { messages, sends, locals } = addressed(collected.sends, before, after, this.#ends)
    const actions = locals.length > 0 ? collected.actions.concat(locals) : collected.actions
    const timers = timersOf(collected.timers, after, this.#ends)
    const emitted = collected.emitted.map((event) => this.#cast.shown(event))
    return { before, after, actions, timers, messages, sends, emitted, referenceOf }
  }

  /** A child that is a promise, a callback or an observable. */
  local(child: string): LocalActor | undefined {
    return localIn(this.#snapshot, child)
  }

  #transition(snapshot: AnyMachineSnapshot, event: RecordedEvent): AnyMachineSnapshot {
    try {
      return this.#machine.transition(snapshot, event as Loose, this.#scope)
    } catch (error) {
      if (!isMutationError(error)) throw endlessOr(error)
      // The frozen part does not know its path, so the decision, which is pure, is made once more and watched.
      this.#restoreSystemIds(snapshot)
      this.#collected = undefined
      const found = findMutation((trace) => {
        const traced = { ...snapshot, context: trace(snapshot.context, 'context') } as AnyMachineSnapshot
        this.#machine.transition(traced, trace(event, 'event') as Loose, this.#scope)
      })
      throw found ?? error
    }
  }

  /**
   * The session as the machine sees it: an XState actor, `self` of its actions and parent of its children. Whatever is
   * sent to it becomes an event for the session, and its own snapshot stays `active`: XState stops an actor as soon as
   * its snapshot is final, before the record of that is durable.
   */
  #actorOf(id: string): Loose {
    const logic: Loose = {
      getInitialSnapshot: () => ALIVE,
      getPersistedSnapshot: () => this.#shown(),
      transition: (snapshot: unknown, event: RecordedEvent) => {
        this.#host.post(event, undefined)
        return snapshot
      },
    }
    const logger = (...args: unknown[]): void => this.#host.log(args)
    const actor: Loose = createActor(logic, { id, logger, parent: this.#parent } as Loose)
    actor.sessionId = id
    actor.start().getSnapshot = () => this.#shown()
    const { system } = actor
    system._bookId = () => this.#bookId()
    const relay = system._relay
    // What its local actors tell it comes this way, and who tells it matters.
    system._relay = (source: Loose, target: unknown, event: RecordedEvent): void => {
      if (target === actor && source) this.#host.post(event, source)
      else this.#relay(target, event) || relay(source, target, event)
    }
    return actor
  }

  /**
   * The id of an actor that is given none. XState counts them in the process; here the number of the transition makes it the
   * same whenever that is decided, and another one than any before or after a restart.
   */
  #bookId(): string {
    return `x:${this.#book.seq}.${this.#book.actors++}`
  }

  /** A custom action sends to a child that is a session, or to the parent, by the actor's own `send`. */
  #relay(target: unknown, event: RecordedEvent): boolean {
    const to = this.#snapshot && receiverIn(this.#snapshot, target, this.#ends)
    if (to === undefined || to === SELF || this.local(to)) return false
    this.#host.say(to, event)
    return true
  }

  /** What `self` shows: to a decision the state that it starts from, to everybody else what is durable. */
  #shown(): AnyMachineSnapshot | undefined {
    return this.#deciding ? this.#snapshot : this.#host.shown()
  }

  #scopeOf(self: Loose): Loose {
    const { id, sessionId, logger, system } = self
    const log = (words: readonly unknown[]): void => this.#host.log(words)
    const stopped = (actor: Loose): void => system._unregister(actor)
    const actionExecutor = (action: Loose): void => {
      this.#collected ??= { actions: [], timers: [], sends: [], emitted: [] }
      collect(this.#collected, action, log, stopped)
    }
    return { self, id, sessionId, logger, system, defer: ignore, emit: ignore, stopChild: ignore, actionExecutor }
  }

  /** A child that has ended gives its systemId back, as in plain XState, before anybody decides on its result. */
  #freeSystemId({ type, actorId }: RecordedEvent): void {
    if (!type.startsWith('xstate.done.actor.') && !type.startsWith('xstate.error.actor.')) return
    const ref: Loose = childrenOf(this.#snapshot)[actorId as string]
    if (ref?.systemId === undefined) return
    this.#scope.system._unregister(ref)
    ref.systemId = undefined
  }

  /** Registers exactly the children of `snapshot` again: what the undone decision stopped, not what it created. */
  #restoreSystemIds(snapshot: AnyMachineSnapshot | undefined): void {
    const { system } = this.#scope
    const children: Loose[] = Object.values(snapshot?.children ?? {})
    for (const ref of Object.values(system.getAll())) if (!children.includes(ref)) system._unregister(ref)
    for (const ref of children) if (ref?.systemId && !system.get(ref.systemId)) system._set(ref.systemId, ref)
  }
}

/** A session that sends itself events for ever is cut off here, within one batch. */
const MOST_DECISIONS = 100_000

const ALIVE: object = Object.freeze({ status: 'active', output: undefined, error: undefined })

const STOPPED: object = Object.freeze({ status: 'stopped', output: undefined, error: undefined })

const NOBODY: Loose = { getInitialSnapshot: () => ALIVE, transition: (snapshot: unknown) => snapshot }

const NONE: readonly never[] = []

const ignore = (): void => {}
