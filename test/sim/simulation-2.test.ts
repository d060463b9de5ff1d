// R10, the second half of the seeds: see `hours.ts`.

import { test } from 'vitest'
import { liveHalf } from './hours.js'

test('in the second half of the simulated hours every invariant holds, whatever fails', { timeout: 0 }, () =>
  liveHalf(1),
)
