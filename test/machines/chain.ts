// A chain of lives on one disk: the shipped runtime with real steps under a virtual clock, and services in this process that
// it calls by `fetch`. The power is cut at a call to the disk or to a service, before it acts or after, and the next life opens
// what is left; the last one comes to its end. Who has died makes no call and hears no answer.

import { AsyncLocalStorage } from 'node:async_hooks'
import type { AnySessionKind } from 'holdfast'
import { afterAll, vi } from 'vitest'
import { createCrashDisk } from '../../src/testing/disk.js'
import { openWorld, randomFates, START_MS, type World } from '../../src/testing/world.js'

export interface ChainOptions<TResult> {
  readonly kinds: readonly AnySessionKind[]
  readonly steps: Record<string, unknown>
  readonly random: () => number
  /** The services. */
  readonly fetch: (url: unknown, init: RequestInit) => Promise<unknown>
  /** What the last call was that one of them has heard. */
  readonly called: () => string
  /** Does in a life what is to be done, over and over until it is done; `isOver` when nobody is there to do it any more. */
  readonly work: (world: World, isOver: () => boolean) => Promise<TResult>
  /** Told of each cut: the last call of that life, or `no call`. */
  readonly cut: (last: string) => void
}

/** A process, from its beginning to its end or to a cut. */
interface Life {
  over: boolean
  /** How many points of it are left before the cut; counted from its first call to a service on, if `waits`. */
  left: number
  waits: boolean
  cut: () => void
  heard: string
}

/** So many lives at most are cut, so that one comes to its end, and so many a chain has at most. */
const CUT_LIVES = 6
const MOST_LIVES = 40
const lives = new AsyncLocalStorage<Life>()
// Otherwise every promise of the files after this one costs twice as much, since they share its process.
afterAll(() => lives.disable())
const never = new Promise<never>(() => {})

/** Counts a point of the life that reaches it; at the last one the power is cut. */
function point(): void {
  const life = lives.getStore()
  if (life === undefined || life.over || life.waits || --life.left > 0) return
  life.over = true
  life.cut()
}

const mortal =
  ({ fetch, called }: Pick<ChainOptions<unknown>, 'fetch' | 'called'>) =>
  async (url: unknown, init: RequestInit): Promise<unknown> => {
    const life = lives.getStore()
    if (life) life.waits = false
    point()
    if (life?.over) return never
    const answer = await fetch(url, init).catch((error: unknown) => error as Error)
    if (life) life.heard = called()
    point()
    if (life?.over) return never
    if (answer instanceof Error) throw answer
    return answer
  }

/** Lives until one comes to its end, and gives what that came to. */
export async function chain<TResult>(options: ChainOptions<TResult>): Promise<TResult> {
  const { kinds, steps, random, work } = options
  vi.stubGlobal('fetch', mortal(options))
  let [disk, nowMs] = [createCrashDisk(), START_MS]
  for (let count = 0; count < MOST_LIVES; count++) {
    const left = count < CUT_LIVES ? 1 + Math.floor(random() * 70) : Number.POSITIVE_INFINITY
    const life: Life = { over: false, left, waits: random() < 0.7, cut: () => {}, heard: 'no call' }
    let world: World | undefined
    const cut = new Promise<'cut'>((resolve) => {
      life.cut = () => {
        nowMs = world?.clock.now() ?? nowMs
        disk = disk.crash(randomFates(random))
        resolve('cut')
      }
    })
    const whole = lives.run(life, async (): Promise<{ readonly result: TResult }> => {
      world = await openWorld({ disk, kinds, nowMs, steps: () => ({ ...steps }), onPoint: point })
      const result = await work(world, () => life.over)
      return life.over ? never : { result }
    })
    whole.catch(() => {}) // of a life that is over, whatever it still says
    const end = await Promise.race([cut, whole])
    if (end !== 'cut') return end.result
    options.cut(life.heard)
  }
  throw new Error(`a chain of ${MOST_LIVES} lives has come to no end`)
}
