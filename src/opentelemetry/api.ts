// The API of OpenTelemetry: loaded here and nowhere else, in Node and in browsers. It is an optional peer, so its absence is an
// error that says what to install.

import { HoldfastError } from '../errors.js'

type Api = typeof import('@opentelemetry/api')

export const api: Api = await import('@opentelemetry/api').catch((cause: unknown): never => {
  const message = 'holdfast/opentelemetry needs the package @opentelemetry/api: npm install @opentelemetry/api'
  throw new HoldfastError('PACKAGE_MISSING', message, { cause, details: { package: '@opentelemetry/api' } })
})
