// The example of a fork runs, and says what it says it does; the command line shows what it has left.
import { expect, test } from 'vitest'
import { forkFromThePast } from '../../examples/fork.js'
import { holdfast, newFolder } from '../cli/command.js'

test('examples/fork.ts', async () => {
  const dir = newFolder()
  const said: string[] = []
  await forkFromThePast(dir, (line) => said.push(line))
  expect(said).toEqual([
    '1 xstate.init: open → open',
    '2 add: open → open',
    '3 discount: open → open',
    '4 pay: open → paid',
    'changed since 2: [[["discount"],90]], open → paid',
    'order: 90%, order-again: 9%',
    'order-again was forked from order at 2',
  ])
  expect((await holdfast(['diff', 'order', '2', '4', '--dir', dir])).stdout).toContain('open → paid')
})
