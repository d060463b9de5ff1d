// The other half of equivalence.test.ts, in a file of its own so that it is lived at the same time.

import { test } from 'vitest'
import { proveEqual, RUNS, SEED } from './equivalence.js'

test(`${RUNS} more sessions crash and behave as plain XState that never did`, { timeout: 600_000 }, () =>
  proveEqual(SEED + 1),
)
