// The third quarter of what equivalence.test.ts begins, in a file of its own so that quarters are lived at the same time.

import { test } from 'vitest'
import { proveEqual, RUNS, SEED } from './equivalence.js'

test(`${RUNS} more sessions crash and behave as plain XState that never did`, { timeout: 0 }, () =>
  proveEqual(SEED + 2),
)
