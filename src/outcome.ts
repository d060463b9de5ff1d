// How a session that has ended answers who waits for it, in this process or over HTTP. It needs nothing of Node's.

import { decodeError, type ErrorEnvelope } from './envelope.js'
import { HoldfastError } from './errors.js'
import type { SessionSnapshot } from './handle.js'

/** What an ended session gave. Throws SESSION_FAILED when it gave nothing. */
export function resultOf(snapshot: SessionSnapshot): unknown {
  if (snapshot.status === 'done') return snapshot.output
  const error = snapshot.error as ErrorEnvelope | undefined
  const why = error ? `: ${error.message}` : ''
  throw new HoldfastError('SESSION_FAILED', `session ${snapshot.id} ended in ${snapshot.status}${why}`, {
    ...(error && { cause: decodeError(error) }),
    details: { status: snapshot.status },
  })
}

/** For who waits for what will not come any more. */
export const endedFirst = (id: string, { status, value }: SessionSnapshot): HoldfastError =>
  new HoldfastError(
    'SESSION_ENDED',
    `session ${id} ended (${status}, in ${JSON.stringify(value)}) before that came; its snapshot says how`,
  )
