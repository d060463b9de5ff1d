// What the command line knows of session kinds without loading them: which states are resting states. Pure.
// A kind may keep its sessions open after their work is done, so that they can still be corrected; a person who asks what
// is in flight does not mean those.

import type { StateValue } from '../state.js'

const RESTING: { readonly [kind: string]: readonly string[] } = {
  planning: ['completed', 'failed'],
}

/** True when a session of this kind has done its work, though it still takes events. */
export const atRest = (kind: string, value: StateValue): boolean =>
  typeof value === 'string' && Object.hasOwn(RESTING, kind) && (RESTING[kind] as readonly string[]).includes(value)
