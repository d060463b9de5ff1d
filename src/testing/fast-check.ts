// The package fast-check: loaded here and nowhere else. It is an optional peer, so its absence is an error that says what to
// install. Its types come from the package itself.

import type Fc from 'fast-check'
import { HoldfastError } from '../errors.js'

export const fc: typeof Fc = await import('fast-check').then(
  (loaded) => loaded.default,
  (cause: { readonly code?: unknown }): never => {
    if (cause.code !== 'ERR_MODULE_NOT_FOUND') throw cause
    const message = 'holdfast/testing needs the package fast-check: npm install --save-dev fast-check'
    throw new HoldfastError('PACKAGE_MISSING', message, { cause, details: { package: 'fast-check' } })
  },
)
