// A platform for which the locking addon was not built: reading works, locking says what is missing.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

vi.mock('node:module', async (original) => ({
  ...(await original<typeof import('node:module')>()),
  createRequire: () => (name: string) => {
    throw new Error(`Cannot find addon of ${name}`)
  },
}))

// Other files of tests have loaded the addon, and want it.
beforeAll(() => vi.resetModules())
afterAll(() => vi.resetModules())

test('without the addon files can be used, and a lock is refused with an error that names it', async () => {
  const { createFileDisk } = await import('../../src/files/disk.js')
  const disk = createFileDisk(mkdtempSync(join(tmpdir(), 'holdfast-no-addon-')))
  disk.create('a').close()
  expect(() => disk.lock('lock')).toThrow(
    expect.objectContaining({
      code: 'DISK_FAILED',
      message: expect.stringMatching(/fs-native-extensions has no working addon for \w+-\w+/),
      cause: expect.objectContaining({ message: 'Cannot find addon of fs-native-extensions' }),
    }),
  )
  expect(disk.list('')).toEqual(['a'])
  rmSync(disk.location, { recursive: true, force: true })
})
