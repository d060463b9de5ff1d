// The hands of a workload in a simulation: what they do is noted in the trace, as acknowledged or refused; and what is done
// when no workload is given: random sessions get random events, a fork now and then; what ended long ago is pruned, and old
// history is dropped.

import type { AnySessionKind } from '../define.js'
import type { Runtime } from '../runtime.js'
import { eventTypes } from './events.js'
import type { Tracer } from './trace.js'

/** What a workload acts through. What it does by other ways is not held to `nothing acknowledged is lost`. */
export interface Hand {
  readonly runtime: Runtime
  /** In [0, 1), from the seed. */
  readonly random: () => number
  create(kind: AnySessionKind, input?: unknown, id?: string): void
  send(id: string, event: { readonly type: string }): void
}

const SESSIONS = 4

/** `isNow` tells whether what happens in this life still counts. */
export function handOf(runtime: Runtime, random: () => number, tracer: Tracer, isNow: () => boolean): Hand {
  const asked = async (session: string, type: string, answer: Promise<{ seq: number }>): Promise<void> => {
    try {
      const { seq } = await answer
      if (isNow()) tracer.note({ what: 'acknowledged', session, seq, type })
    } catch (error) {
      const { code = String(error) } = error as { code?: string }
      if (isNow()) tracer.note({ what: 'refused', session, type, code })
    }
  }
  const created = async (kind: AnySessionKind, input: unknown, id: string | undefined): Promise<{ seq: number }> => {
    await runtime.create(kind, input, { ...(id !== undefined && { id }) })
    return { seq: 1 }
  }
  return {
    runtime,
    random,
    create: (kind, input, id) => void asked(id ?? '', 'xstate.init', created(kind, input, id)),
    send: (id, event) => {
      try {
        void asked(id, event.type, runtime.session(id).send(event))
      } catch {} // there is no such session any more
    },
  }
}

/** A few sessions of these kinds, and random events for them. */
export const anything =
  (kinds: readonly AnySessionKind[], tracer: Tracer) =>
  ({ runtime, random, create, send }: Hand): void => {
    const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
    const active = runtime.sessions.list({ status: 'active' }, { limit: 100 }).sessions
    if (active.length < SESSIONS) create(one(kinds), undefined, `s${tracer.entries.length}`)
    for (let left = Math.floor(random() * 4); left > 0 && active.length > 0; left--) {
      const { id, kind } = one(active)
      const types = kinds.filter(({ kind: name }) => name === kind).flatMap(eventTypes)
      if (types.length > 0) send(id, { type: one(types) })
    }
    // What is refused here is somebody else's affair; what is done is in the records.
    const dared = (act: Promise<unknown>): void => void act.catch(() => {})
    const draw = random()
    if (draw < 0.04 && active.length > 0 && active.length < 2 * SESSIONS) dared(runtime.session(one(active).id).fork())
    else if (draw < 0.06) dared(runtime.prune({ olderThanMs: 600_000 }))
    else if (draw < 0.1) dared(runtime.compact({ keepBytes: draw < 0.08 ? 0 : 10_000 }))
  }
