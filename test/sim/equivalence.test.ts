// R12: a session that is crashed and rehydrated anywhere behaves as the same machine in plain XState that never crashed.
// HOLDFAST_RUNS sets how many stories are told, here and in `equivalence-*.test.ts` together, HOLDFAST_SEED which.

import { test } from 'vitest'
import { proveEqual, RUNS, SEED } from './equivalence.js'

test(`${RUNS} sessions crash and behave as plain XState that never did`, { timeout: 0 }, () => proveEqual(SEED))
