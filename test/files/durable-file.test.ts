// Durable files behind lowdb: they are adapters like lowdb's own, and the order of their syncs is what makes them durable.
import { Low, LowSync } from 'lowdb'
import { expect, test } from 'vitest'
import { DurableFiles, type FileFormat } from '../../src/files/durable-file.js'
import { createMemoryDisk } from '../../src/memory/disk.js'
import { recordingDisk } from '../../src/testing/recording-disk.js'

const json: FileFormat<{ count: number }> = {
  encode: (data) => Buffer.from(JSON.stringify(data)),
  decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()) as { count: number },
}

test('lowdb reads, updates and writes through them', async () => {
  const files = new DurableFiles(createMemoryDisk())
  const db = new Low(files.file('deep/folder/db.json', json), { count: 1 })
  await db.read()
  await db.update((data) => {
    data.count++
  })
  const again = new Low(files.file('deep/folder/db.json', json), { count: 0 })
  await again.read()
  expect(again.data).toEqual({ count: 2 })
})

test('a reader cannot write', () => {
  const files = new DurableFiles(createMemoryDisk())
  const db = new LowSync(files.reader('db.json', json.decode), { count: 1 })
  db.read()
  expect(db.data).toEqual({ count: 1 })
  expect(() => db.write()).toThrow(expect.objectContaining({ code: 'READ_ONLY' }))
})

test('the data is synced before the rename, the folder after it, and only then is the write acknowledged', async () => {
  const events: string[] = []
  const disk = recordingDisk(createMemoryDisk(), ({ op, path }) => events.push(`${op} ${path}`))
  await new DurableFiles(disk).file('deep/db.json', json).write({ count: 1 })
  events.push('acknowledged')
  expect(events).toEqual([
    'makeFolder deep',
    'syncFolder ',
    'create deep/db.json.tmp',
    'write deep/db.json.tmp',
    'sync deep/db.json.tmp',
    'close deep/db.json.tmp',
    'rename deep/db.json.tmp',
    'syncFolder deep',
    'acknowledged',
  ])
})
