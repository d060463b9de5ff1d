// The events of a session as they come: read from its durable transitions, of which each tells what it has added to the log.

import type { Transition } from 'holdfast'
import type { TimestampedEvent } from './session-events.js'

/** What a transition has told. Nothing of the first one: what a session begins with was told before. */
export function toldIn({ seq, patch }: Pick<Transition, 'seq' | 'patch'>): TimestampedEvent[] {
  if (seq === 1 || !patch) return []
  return patch.flatMap(([path, ...change]) => {
    if (path[0] !== 'log') return []
    // An operation of two parts sets what is at its path; a longer one splices into the array there.
    const items = change.length > 1 ? change.slice(2) : change
    const depth = change.length > 1 ? path.length : path.length - 1
    return (depth === 1 ? items.flat() : items) as TimestampedEvent[]
  })
}

/** True when a transition has made a checkpoint that a session can go on from. */
export function isCheckpointed({ seq, patch }: Pick<Transition, 'seq' | 'patch'>): boolean {
  if (seq === 1 || !patch) return false
  return patch.some(([path, ...change]) => {
    const made = change.length > 1 ? change.slice(2) : change
    return path[0] === 'checkpoints' && made.flat().some((one) => (one as { resumable?: boolean }).resumable === true)
  })
}
