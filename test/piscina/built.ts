// Where the built worker is: a thread cannot load TypeScript, so the tests of threads run what `npm run build` made.

import { existsSync } from 'node:fs'

/** The root of the built package, as a folder's address. */
export function builtPackage(): URL {
  const dist = new URL('../../dist/', import.meta.url)
  if (existsSync(new URL('src/piscina/worker.js', dist))) return dist
  throw new Error('dist/src/piscina/worker.js is absent: run npm run build first')
}

export const builtWorker = (): URL => new URL('src/piscina/worker.js', builtPackage())
