// The example of an upgrade runs, and says what it says it does; the command line agrees.
import { expect, test } from 'vitest'
import { deploy, work } from '../../examples/upgrade.js'
import { holdfast, newFolder } from '../cli/command.js'

test('examples/upgrade.ts', async () => {
  const dir = newFolder()
  await work(dir)
  const said: string[] = []
  await deploy(dir, (line) => said.push(line))
  expect(said).toEqual([
    'lamp: MIGRATION_MISSING',
    'door: MIGRATION_MISSING',
    '2 to be migrated, 0 that would not be',
    'door is open',
    '{"notes":["urgent"],"priority":"high"}',
    'xstate.init, note, holdfast.migrate',
  ])
  expect((await holdfast(['show', 'door', '--dir', dir])).stdout).toContain('version 2')
})
