// What of a request only its socket shows: a target in absolute form and headers that come twice, which two readers of one
// request could take for two different ones. Either is refused before anything else is looked at.

import type { IncomingMessage } from 'node:http'
import { HoldfastError } from '../errors.js'

/** Those of which a request has one at most. */
const ONCE = new Set([
  'host',
  'origin',
  'authorization',
  'content-length',
  'content-type',
  'transfer-encoding',
  'idempotency-key',
  'last-event-id',
])

/** Why a request is refused as it came; undefined for most. */
export function whyForged({ url = '', rawHeaders }: IncomingMessage): HoldfastError | undefined {
  if (!url.startsWith('/') || url.startsWith('//'))
    return new HoldfastError('HOST_REFUSED', 'the target of a request is a path')
  const seen = new Set<string>()
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase()
    if (!ONCE.has(name)) continue
    if (seen.has(name))
      return new HoldfastError(name === 'origin' ? 'ORIGIN_REFUSED' : 'HOST_REFUSED', `the header ${name} comes twice`)
    seen.add(name)
  }
  return seen.has('host') ? undefined : new HoldfastError('HOST_REFUSED', 'a request names its host')
}
