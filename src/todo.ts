// What a session still has to do by itself: its steps, timers, messages to itself and messages on their way. As an index
// stores it (`Work`), and changed in place (`Todo`), so that a transition costs what it changes, however many timers wait.

import type { TransitionRecord } from './record.js'
import type { Work } from './state.js'

/** `Work`, changed in place: a transition costs what it changes, however many timers wait. */
export interface Todo {
  readonly steps: Set<string>
  readonly timers: Map<string, string>
  messages: number
  /** Of sessions that are linked to others, only. */
  sessions: Map<string, string> | undefined
  outbox: Map<string, string> | undefined
}

export const changesWork = (record: TransitionRecord): boolean =>
  record.started !== undefined ||
  record.stopped !== undefined ||
  record.finished !== undefined ||
  record.timers !== undefined ||
  record.cleared !== undefined ||
  record.messages !== undefined ||
  record.taken !== undefined ||
  record.sent !== undefined ||
  record.delivered !== undefined ||
  record.status !== undefined

export function todoAfter(todo: Todo = todoOf(NO_WORK), record: TransitionRecord): Todo | undefined {
  const { started = [], stopped = [], finished, timers = [], cleared = [], messages = [], taken, status } = record
  const { sent = [], delivered = [] } = record
  for (const key of delivered) todo.outbox?.delete(key)
  for (const [n, { to }] of sent.entries()) {
    todo.outbox ??= new Map()
    todo.outbox.set(`${record.seq}.${n}`, to)
  }
  const { outbox } = todo
  // What it has sent is on its way whatever has become of it.
  if (status) return outbox?.size ? { ...todoOf(NO_WORK), outbox } : undefined
  for (const id of finished === undefined ? stopped : [...stopped, finished]) {
    todo.steps.delete(id)
    todo.sessions?.delete(id)
  }
  for (const { id, session, status: over } of started) {
    if (over) continue
    todo.steps.add(id)
    if (session === undefined) continue
    todo.sessions ??= new Map()
    todo.sessions.set(id, session)
  }
  for (const key of cleared) todo.timers.delete(key)
  for (const { key, at } of timers) todo.timers.set(key, at)
  todo.messages += messages.length - (taken ? 1 : 0)
  const idle = todo.steps.size + todo.timers.size + todo.messages + (outbox?.size ?? 0) === 0
  return idle ? undefined : todo
}

const NO_WORK: Work = { steps: [], timers: {}, messages: 0 }

export const todoOf = ({ steps, timers, messages, sessions, outbox }: Work): Todo => ({
  steps: new Set(steps),
  timers: new Map(Object.entries(timers)),
  messages,
  sessions: sessions && new Map(Object.entries(sessions)),
  outbox: outbox && new Map(Object.entries(outbox)),
})

export const workOf = ({ steps, timers, messages, sessions, outbox }: Todo): Work => ({
  steps: [...steps],
  timers: Object.fromEntries(timers),
  messages,
  ...(sessions?.size && { sessions: Object.fromEntries(sessions) }),
  ...(outbox?.size && { outbox: Object.fromEntries(outbox) }),
})
