// R7: every bit of 64 KiB of data directories is flipped, every file is cut at every length, deleted, emptied, swapped with every other
// and replaced by what it was earlier. Each time the directory is opened, all of it is read, and `rot.ts` judges; what is
// flipped must be named by file, and by the offset where that is one of the journal. Some of the flips
// and all the others are repaired by the doctor.
// HOLDFAST_EVERY=1 tries all; by default every 307th flip and cut, beginning where HOLDFAST_SEED says.

import { beforeAll, describe, expect, test } from 'vitest'
import { createSeededChance } from '../../src/testing/chance.js'
import { must } from '../../src/testing/comparison.js'
import {
  bytesOf,
  type Changes,
  type Corpus,
  changed,
  diagnosed,
  filesOf,
  judge,
  makeCorpus,
  mustRepair,
  recordsBefore,
  sizeOf,
} from './rot.js'

const EVERY = Number(process.env.HOLDFAST_EVERY ?? 307)
const SEED = Number(process.env.HOLDFAST_SEED ?? 1)
const CORPUS_BYTES = 64 * 1024
const DIRECTORY_BYTES = 2048
/** Of so many flips, one is repaired. */
const REPAIRED = 50

let corpora: Corpus[]
const tally = new Map<string, number>()

beforeAll(async () => {
  corpora = []
  for (let bytes = 0; bytes < CORPUS_BYTES; bytes += sizeOf((corpora.at(-1) as Corpus).disk)) {
    corpora.push(await makeCorpus(corpora.length + 1, DIRECTORY_BYTES))
  }
}, 0)

/** Judges one change, and says which it was if that is unsound. */
async function tried(what: string, corpus: Corpus, changes: Changes, flipped?: number): Promise<void> {
  try {
    const disk = changed(corpus, changes)
    const { kind, said, at } = await judge(corpus, disk.crash(), changes)
    tally.set(kind, (tally.get(kind) ?? 0) + 1)
    if (flipped !== undefined) mustBeNamed(corpus, disk, [...changes.keys()][0] as string, flipped, said, at)
    if (flipped === undefined || (cases++ + SEED) % REPAIRED === 0) await mustRepair(corpus, disk, changes)
  } catch (cause) {
    wrong.push(new Error(`${what}: ${(cause as Error).message}`, { cause }))
  }
}

let cases = 0
let wrong: Error[] = []

/** Begins a kind of change; what it gives says how it went, or throws all that was unsound. */
function begin(): (what: string) => void {
  tally.clear()
  wrong = []
  return (what) => {
    const sentences = wrong.slice(0, 20).map(({ message }) => message)
    if (wrong[0]) throw new Error(`${wrong.length} are unsound:\n${sentences.join('\n')}`, { cause: wrong[0] })
    console.log(`R7: ${what}: ${[...tally].map(([kind, of]) => `${kind} ${of}`).join(', ')}`)
  }
}

/** The file is named, with the place; or, if nobody needed it, by the doctor. No record before it is lost. */
function mustBeNamed(
  { records }: Corpus,
  disk: Parameters<typeof diagnosed>[0],
  file: string,
  flipped: number,
  said: readonly { file: string; offset?: number; bytes?: number; position?: number; kind?: string }[],
  at: number,
): void {
  const about = said.filter((one) => one.file === file)
  if (about.length === 0) {
    must(diagnosed(disk.crash()).includes(file), 'nobody has noticed')
    tally.set('noticed by the doctor', (tally.get('noticed by the doctor') ?? 0) + 1)
  }
  for (const { offset, bytes = 0, position = 0, kind } of about) {
    if (kind === undefined || position < 0 || offset === undefined) continue
    must(offset <= flipped && flipped <= offset + bytes, `offset ${offset}, ${bytes} bytes is named`)
    const before = recordsBefore(records, position)
    must(at >= (kind === 'torn' ? before : records.length), `it is shown as of record ${at} of ${records.length}`)
  }
}

const offsetOf = (salt: number): number => Math.floor(createSeededChance(SEED + salt).random() * EVERY)

test(`R7: every bit of 64 KiB is flipped: every ${EVERY}th`, { timeout: 0 }, async () => {
  let bits = 0
  let count = 0
  const offset = offsetOf(0)
  const end = begin()
  for (const [number, corpus] of corpora.entries()) {
    for (const file of filesOf(corpus.disk)) {
      const bytes = bytesOf(corpus.disk, file)
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        if (bits++ % EVERY !== offset) continue
        count++
        const other = new Uint8Array(bytes)
        other[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
        const what = `directory ${number + 1}, bit ${bit & 7} of byte ${bit >> 3} of ${file}`
        await tried(what, corpus, new Map([[file, other]]), bit >> 3)
      }
    }
  }
  end(`${count} of ${bits} bits flipped`)
  expect(bits).toBeGreaterThanOrEqual(CORPUS_BYTES * 8)
})

test(`R7: every file is cut at every length: every ${EVERY}th`, { timeout: 0 }, async () => {
  let cuts = 0
  let count = 0
  const offset = offsetOf(1)
  const end = begin()
  for (const [number, corpus] of corpora.entries()) {
    for (const file of filesOf(corpus.disk)) {
      const bytes = bytesOf(corpus.disk, file)
      for (let length = 0; length < bytes.length; length++) {
        if (cuts++ % EVERY !== offset) continue
        count++
        await tried(
          `directory ${number + 1}, ${file} cut to ${length}`,
          corpus,
          new Map([[file, bytes.slice(0, length)]]),
        )
      }
    }
  }
  end(`${count} of ${cuts} cuts`)
})

describe('R7: files that are not what they should be', () => {
  test('every file is deleted and emptied; every two are swapped; every one is an earlier one, alone and with the rest of its kind', {
    timeout: 0,
  }, async () => {
    let count = 0
    const end = begin()
    for (const [number, corpus] of corpora.entries()) {
      const { disk } = corpus
      const files = filesOf(disk)
      const attempt = async (what: string, changes: Changes): Promise<void> => {
        count++
        await tried(`directory ${number + 1}, ${what}`, corpus, changes)
      }
      for (const [index, file] of files.entries()) {
        await attempt(`${file} deleted`, new Map([[file, undefined]]))
        await attempt(`${file} emptied`, new Map([[file, new Uint8Array()]]))
        for (const other of files.slice(index + 1)) {
          const swapped = new Map([
            [file, bytesOf(disk, other)],
            [other, bytesOf(disk, file)],
          ])
          await attempt(`${file} and ${other} swapped`, swapped)
        }
      }
      for (const [life, earlier] of corpus.earlier.entries()) {
        const there = filesOf(earlier)
        for (const file of there) await attempt(`${file} of life ${life}`, new Map([[file, bytesOf(earlier, file)]]))
        for (const kind of ['journal/', 'sessions/', '']) {
          const changes = new Map<string, Uint8Array | undefined>()
          for (const file of files) if (file.startsWith(kind)) changes.set(file, undefined)
          for (const file of there) if (file.startsWith(kind)) changes.set(file, bytesOf(earlier, file))
          await attempt(`${kind || 'all'} of life ${life}`, changes)
        }
      }
    }
    end(`${count} files deleted, emptied, swapped or stale`)
  })
})
