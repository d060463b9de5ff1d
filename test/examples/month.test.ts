// The example of a month runs, and says what it says it does.
import { expect, test } from 'vitest'
import { aMonth } from '../../examples/month.js'
import { newFolder } from '../cli/command.js'

test('examples/month.ts', async () => {
  const said: string[] = []
  await aMonth(newFolder(), (line) => said.push(line))
  expect(said).toEqual([
    'closed at 2026-01-11T00:00:00.000Z',
    'trial at 2026-01-30T23:59:59.999Z',
    'lapsed at 2026-01-31T00:00:00.000Z',
  ])
})
