// The system's clock: the contract of clocks, and what its timers mean to the process.

import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import { clockContract } from '../contract/clock.js'
import { builtPackage } from '../piscina/built.js'

clockContract('system', () => ({ clock: systemClock, pass: (ms) => sleep(ms).then(() => {}) }))

test('what waits keeps its process alive until it ran or was taken back', async () => {
  const script = `
    import { systemClock } from '${new URL('src/system/clock.js', builtPackage()).href}'
    systemClock.setTimeout(() => console.log('timer'), 30)
    systemClock.setTimeout(() => console.log('never'), 60_000)()
    systemClock.soon(() => console.log('soon'))
  `
  const before = performance.now()
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script])
  expect(stdout.trim()).toBe('soon\ntimer')
  expect(performance.now() - before).toBeLessThan(30_000)
})
