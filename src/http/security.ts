// The headers that go with every answer: a browser that shows it runs nothing of it, frames it nowhere, guesses no type and
// keeps no copy; only a page whose origin was named may read it from elsewhere.

import type { Names } from './names.js'

const ALWAYS: readonly (readonly [string, string])[] = [
  ['cache-control', 'no-store'],
  ['content-security-policy', "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"],
  ['cross-origin-opener-policy', 'same-origin'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['referrer-policy', 'no-referrer'],
  ['x-content-type-options', 'nosniff'],
  ['x-frame-options', 'DENY'],
]

export function* headersFor(request: Request, names: Names): Generator<[string, string]> {
  for (const [name, value] of ALWAYS) yield [name, value]
  const origin = request.headers.get('origin')
  if (origin === null || !names.isForeign(origin)) return
  yield ['access-control-allow-origin', origin]
  yield ['access-control-allow-credentials', 'true']
  yield ['access-control-expose-headers', 'location, retry-after']
  if (request.method === 'OPTIONS') {
    yield ['access-control-allow-methods', 'GET, POST, PUT, PATCH, DELETE']
    yield [
      'access-control-allow-headers',
      'authorization, content-type, idempotency-key, last-event-id, traceparent, tracestate',
    ]
    yield ['access-control-max-age', '600']
  }
  yield ['cross-origin-resource-policy', 'cross-origin']
  yield ['vary', 'origin']
}
