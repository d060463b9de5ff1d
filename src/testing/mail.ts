// What goes on between the sessions of a family, held to what plain XState does between a machine and its children in memory:
// a child begins with the input that its parent gave it, each message is taken once, in the order of sending, and as it was
// sent, an end is told as it was, after everything that was said before it, and nobody outlives who wanted it.

import type { AnySessionKind } from '../define.js'
import type { RecordedEvent, StartedChild, TransitionRecord } from '../record.js'
import type { Child, SessionState } from '../state.js'
import { must, mustEqual, show } from './comparison.js'
import { messageOf } from './observation.js'
import { Reference } from './reference.js'

interface Letter {
  readonly key: string
  readonly event: RecordedEvent
}

export class Mail {
  readonly #stateOf: (session: string) => SessionState | undefined
  readonly #kinds: ReadonlyMap<string, AnySessionKind>
  /** By sender, then receiver: what was sent and not taken yet. */
  readonly #under = new Map<string, Map<string, Letter[]>>()
  /** Child sessions that were started and have not begun. */
  readonly #started = new Map<string, StartedChild>()

  constructor(kinds: ReadonlyMap<string, AnySessionKind>, stateOf: (session: string) => SessionState | undefined) {
    this.#kinds = kinds
    this.#stateOf = stateOf
  }

  /** The next durable record, and its session before it. Throws when it is not what the others have said. */
  follow(record: TransitionRecord, before: SessionState | undefined): void {
    const { session, seq, parent, received, finished, sent = [], started = [] } = record
    const place = `record ${seq} of ${session}`
    if (parent && seq === 1) this.#begin(session, record, place)
    if (received) this.#take(received.from, session, received.key, record.event, place)
    const child = finished === undefined ? undefined : before?.children[finished]
    if (before && child?.session !== undefined) this.#end(child, child.session, before, record.event, place)
    for (const [index, { to, event }] of sent.entries())
      this.#queue(session, to).push({ key: `${seq}.${index}`, event })
    for (const one of started) {
      if (one.session === undefined) continue
      must(!this.#stateOf(one.session), `${place} starts the session ${one.session}, which is there already`)
      this.#started.set(one.session, one)
    }
  }

  /** Nothing is on its way any more: then nothing waits, and everybody who is there is wanted. */
  atRest(sessions: Iterable<string>): void {
    for (const [from, receivers] of this.#under) {
      for (const [to, letters] of receivers) {
        const waits = letters.length > 0 && this.#isLinked(to, from)
        must(!waits, `${to} has not taken ${show(letters[0]?.event)} of ${from}`)
      }
    }
    for (const [id] of this.#started) must(!this.#isWanted(id), `the child session ${id} has not begun`)
    for (const id of sessions) {
      const { parent, status } = this.#stateOf(id) ?? {}
      if (parent && status === 'active') must(this.#isWanted(id), `the child session ${id} outlives who wanted it`)
      if (parent && status !== 'active') must(!this.#isWanted(id), `nobody told ${parent.session} how ${id} ended`)
    }
  }

  #begin(session: string, { event }: TransitionRecord, place: string): void {
    const started = this.#started.get(session)
    must(started !== undefined, `${place}: nobody started it, or it begins for the second time`)
    mustEqual(event.input, started?.input, `${place}: its input`)
    this.#started.delete(session)
  }

  #take(from: string, to: string, key: string, event: RecordedEvent, place: string): void {
    const letter = this.#queue(from, to).shift()
    must(letter !== undefined, `${place} takes ${show(event)} of ${from}, who has sent nothing more`)
    mustEqual({ key, event }, letter, `${place}: the next message of ${from}`)
  }

  #end({ src, input }: Child, id: string, parent: SessionState, event: RecordedEvent, place: string): void {
    const { status, output, error } = this.#stateOf(id) ?? {}
    const [unheard] = this.#queue(id, parent.id)
    must(unheard === undefined, `${place}: ${id} has ended, and ${show(unheard?.event)} was not taken`)
    if (status === undefined) {
      const kind = this.#kinds.get(parent.kind)?.children.get(src)?.kind
      must(
        !kind || !canBegin(kind, id, parent.id, input),
        `${place}: ${id} has ended before it began, and plain XState begins it`,
      )
    }
    must(status !== 'active', `${place}: ${id} has not ended`)
    if (status === 'done') mustEqual(event.output, output, `${place}: the output of ${id}`)
    if (status === 'error') mustEqual(messageOf(event.error), messageOf(error), `${place}: the error of ${id}`)
  }

  #queue(from: string, to: string): Letter[] {
    const receivers = this.#under.get(from) ?? new Map<string, Letter[]>()
    this.#under.set(from, receivers)
    const letters = receivers.get(to) ?? []
    receivers.set(to, letters)
    return letters
  }

  /** Whether a session still takes what another one says. */
  #isLinked(session: string, other: string): boolean {
    const state = this.#stateOf(session)
    if (state?.status !== 'active') return false
    return state.parent?.session === other || isChild(state, other)
  }

  /** Whether it is an active child of its parent, or one that may go on without. */
  #isWanted(id: string): boolean {
    const { parent, kind } = this.#stateOf(id) ?? {}
    const above = parent && this.#stateOf(parent.session)
    if (!above) return false
    if (above.status === 'active' && isChild(above, id)) return true
    const children = [...(this.#kinds.get(above.kind)?.children.values() ?? [])]
    const abandoned = children.some((child) => child.kind.kind === kind && child.onParentEnd === 'abandon')
    return abandoned && this.#stateOf(id)?.status === 'active'
  }
}

function canBegin(kind: AnySessionKind, id: string, parentId: string, input: unknown): boolean {
  const reference = new Reference(kind)
  try {
    reference.begin(id, parentId, input, 0)
    return reference.look().status !== 'error'
  } catch {
    return false
  }
}

const isChild = ({ children }: SessionState, id: string): boolean =>
  Object.values(children).some(({ status, session }) => status === 'active' && session === id)
