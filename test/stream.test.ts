// Streams: what an observer is promised, and what it cannot do to others.
// A journal here is an array; an item is its number. Most tests run by a manual clock, so that nothing depends on luck.

import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import {
  bufferCount,
  concatMap,
  delay,
  endWith,
  filter,
  finalize,
  firstValueFrom,
  from,
  lastValueFrom,
  map,
  merge,
  mergeMap,
  mergeWith,
  type Observable,
  type Observer,
  of,
  Subject,
  Subscriber,
  type Subscription,
  share,
  switchMap,
  take,
  takeUntil,
  tap,
  toArray,
} from 'rxjs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Clock } from '../src/clock.js'
import { HoldfastError } from '../src/errors.js'
import { Broadcast, liveOnly, replayThenLive, type Source, Stream, type StreamOptions } from '../src/stream.js'
import { property } from './property.js'

class ManualClock implements Clock {
  turns: (() => void)[] = []
  now = (): number => 0
  elapsed = (): number => 0
  setTimeout = (): never => {
    throw new Error('a stream has no timers')
  }
  soon(run: () => void): void {
    this.turns.push(run)
  }
  turn(): void {
    for (const run of this.turns.splice(0)) run()
  }
}

/** What follows in the microtasks. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

class Bench {
  readonly clock: ManualClock = new ManualClock()
  readonly errors: unknown[] = []
  readonly items: number[] = []
  readonly broadcast: Broadcast<number> = new Broadcast()
  /** How many items passes through the journal have read. */
  reads = 0
  passes = 0
  openPasses = 0
  ended = false
  readonly #asked: Set<number> = new Set()
  /** The difference between the numbers of two items. */
  readonly stride: number

  constructor(stride = 1) {
    this.stride = stride
  }

  readonly host = { clock: this.clock, onObserverError: (error: unknown): void => void this.errors.push(error) }

  readonly source: Source<number> = {
    replay: (from) => this.#replay(from),
    numberOf: (item) => item,
    listen: (listener, ended) => this.broadcast.listen(listener, ended),
  }

  /** Makes items durable, then live, until the end. */
  publish(count = 1): void {
    for (let index = 0; index < count && !this.ended; index++) {
      const item = (this.items.length + 1) * this.stride
      this.items.push(item)
      this.broadcast.publish(item)
    }
  }

  *#replay(from: number): IterableIterator<number> {
    // A position in a journal means something only if it is that of an item.
    if (!this.#asked.has(from) && !this.items.includes(from)) throw new Error(`nothing begins at ${from}`)
    this.passes++
    this.openPasses++
    try {
      // As a journal does: up to where it ended when the pass began.
      const end = this.items.length
      for (let index = 0; index < end; index++) {
        const item = this.items[index]!
        if (item < from) continue
        this.reads++
        yield item
      }
    } finally {
      this.openPasses--
    }
  }

  end(error?: Error): void {
    this.ended = true
    this.broadcast.end(error)
  }

  stream(options: StreamOptions = {}): Stream<number> {
    this.#asked.add(options.from ?? 0)
    return replayThenLive(this.source, options, this.host)
  }

  /** Lets everything happen that can. */
  async quiet(): Promise<void> {
    do {
      this.clock.turn()
      await settled()
    } while (this.clock.turns.length > 0)
  }
}

/** first, first + 1, …, last */
const range = (first: number, last: number): number[] =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index)

/** An observer that keeps what it gets. */
function recorder<T>(next?: (item: T) => unknown) {
  const seen = { items: [] as T[], errors: [] as unknown[], completed: 0 }
  const observer: Observer<T> = {
    next: (item): unknown => {
      seen.items.push(item)
      return next?.(item)
    },
    error: (error) => void seen.errors.push(error),
    complete: () => void seen.completed++,
  }
  return Object.assign(seen, { observer })
}

/** A gate that async observers wait at. */
function gate() {
  let open: (() => void)[] = []
  return {
    wait: (): Promise<void> => new Promise((resolve) => void open.push(resolve)),
    open: (): void => {
      const waiting = open
      open = []
      for (const resolve of waiting) resolve()
    },
  }
}

const overflowOf = (error: unknown): unknown => {
  expect(error).toBeInstanceOf(HoldfastError)
  expect((error as HoldfastError).code).toBe('OBSERVER_OVERFLOW')
  return (error as HoldfastError).details.resumeFrom
}

// What would kill the process is caught here, and fails the test that did it.
const fatal: unknown[] = []
const onFatal = (error: unknown): void => void fatal.push(error)

beforeEach(() => {
  fatal.length = 0
  process.on('uncaughtException', onFatal)
  process.on('unhandledRejection', onFatal)
})

afterEach(async () => {
  // RxJS rethrows in a timer: later than a turn of the event loop.
  await new Promise((resolve) => setTimeout(resolve, 5))
  process.off('uncaughtException', onFatal)
  process.off('unhandledRejection', onFatal)
  expect(fatal).toEqual([])
})

describe('replay, then live', () => {
  test('without `from`, an observer gets what is published after it subscribed', () => {
    const bench = new Bench()
    bench.publish(3)
    const seen = recorder<number>()
    bench.stream().subscribe(seen.observer)
    bench.publish(2)
    expect(seen.items).toEqual([4, 5])
    expect(bench.passes).toBe(0)
  })

  test('with `from`, the durable items from it on come first, then the live ones', () => {
    const bench = new Bench()
    bench.publish(5)
    const seen = recorder<number>()
    bench.stream({ from: 3 }).subscribe(seen.observer)
    expect(seen.items).toEqual([3, 4, 5])
    bench.publish(2)
    expect(seen.items).toEqual([3, 4, 5, 6, 7])
  })

  test('a `from` that is still to come leaves out what comes before it', () => {
    const bench = new Bench()
    bench.publish(1)
    const seen = recorder<number>()
    bench.stream({ from: 4 }).subscribe(seen.observer)
    bench.publish(5)
    expect(seen.items).toEqual([4, 5, 6])
  })

  test('each subscription makes its own way', () => {
    const bench = new Bench()
    bench.publish(2)
    const stream = bench.stream({ from: 1 })
    const [first, second] = [recorder<number>(), recorder<number>()]
    stream.subscribe(first.observer)
    bench.publish()
    stream.subscribe(second.observer)
    bench.publish()
    expect(first.items).toEqual([1, 2, 3, 4])
    expect(second.items).toEqual([1, 2, 3, 4])
  })

  test('numbers may have gaps of their own', async () => {
    const bench = new Bench(7)
    bench.publish(3)
    const seen = recorder<number>()
    bench.stream({ from: 8 }).subscribe(seen.observer)
    bench.publish(2)
    expect(seen.items).toEqual([14, 21, 28, 35])
  })

  test('what is published during the replay follows it, whoever publishes', async () => {
    const bench = new Bench()
    bench.publish(3)
    const seen = recorder<number>((item) => item <= 3 && bench.publish(2))
    bench.stream({ from: 1 }).subscribe(seen.observer)
    await bench.quiet()
    expect(seen.items).toEqual(range(1, 9))
    // One pass for what was there, one for what came meanwhile: then all is known to be given.
    expect(bench.passes).toBe(2)
  })

  test('what is read in the journal before it is published live comes once', () => {
    const bench = new Bench()
    bench.items.push(1, 2)
    const seen = recorder<number>()
    bench.stream({ from: 1 }).subscribe(seen.observer)
    for (const item of [1, 2]) bench.broadcast.publish(item)
    bench.publish()
    expect(seen.items).toEqual([1, 2, 3])
  })

  test('and also when it waits for a slow observer, where it takes up no room', async () => {
    const bench = new Bench()
    bench.items.push(1, 2, 3)
    const door = gate()
    const seen = recorder<number>((item) => (item === 3 ? door.wait() : undefined))
    bench.stream({ from: 1, queueLimit: 2 }).subscribe(seen.observer)
    bench.clock.turn()
    for (const item of [1, 2, 3]) bench.broadcast.publish(item)
    bench.publish(2)
    door.open()
    await settled()
    expect(seen).toMatchObject({ items: range(1, 5), errors: [] })
  })

  test('a live item that the journal does not show yet is not lost', () => {
    const bench = new Bench()
    bench.publish(2)
    const seen = recorder<number>((item) => item === 2 && bench.broadcast.publish(3))
    bench.stream({ from: 1 }).subscribe(seen.observer)
    expect(seen.items).toEqual([1, 2, 3])
  })

  test('a long replay is read as it is given, and gives the event loop its turn after every page', async () => {
    const bench = new Bench()
    bench.publish(1000)
    const seen = recorder<number>()
    bench.stream({ from: 1 }).subscribe(seen.observer)
    expect(seen.items).toHaveLength(256)
    expect(bench.reads).toBe(256)
    bench.publish(10)
    bench.clock.turn()
    expect(seen.items).toHaveLength(512)
    await bench.quiet()
    expect(seen.items).toEqual(range(1, 1010))
    bench.publish()
    expect(seen.items).toHaveLength(1011)
  })

  test('an observer whose promises are fulfilled at once does not hold up the event loop either', async () => {
    const bench = new Bench()
    bench.publish(1000)
    const seen = recorder<number>(async () => {})
    bench.stream({ from: 1 }).subscribe(seen.observer)
    await settled()
    expect(seen.items).toHaveLength(256)
    await bench.quiet()
    expect(seen.items).toEqual(range(1, 1000))
  })

  test('however much is published during a replay, it is read from the journal and not kept', async () => {
    const bench = new Bench()
    bench.publish(300)
    const seen = recorder<number>()
    bench.stream({ from: 1, queueLimit: 4 }).subscribe(seen.observer)
    bench.publish(5000)
    await bench.quiet()
    expect(seen.errors).toEqual([])
    expect(seen.items).toEqual(range(1, 5300))
  })

  test('a journal that cannot be read is the observer’s error', async () => {
    const bench = new Bench()
    const broken = new HoldfastError('HISTORY_UNAVAILABLE', 'the journal begins at 5')
    const source: Source<number> = {
      ...bench.source,
      *replay() {
        yield 1
        throw broken
      },
    }
    const seen = recorder<number>()
    replayThenLive(source, { from: 1 }, bench.host).subscribe(seen.observer)
    expect(seen).toMatchObject({ items: [1], errors: [broken] })
    expect(bench.broadcast.observed).toBe(false)
  })

  test('a source that cannot be listened to is the observer’s error', () => {
    const bench = new Bench()
    const closed = new HoldfastError('RUNTIME_CLOSED', 'open it again')
    const listen = (): never => {
      throw closed
    }
    const seen = recorder<number>()
    replayThenLive({ ...bench.source, listen }, { from: 1 }, bench.host).subscribe(seen.observer)
    expect(seen.errors).toEqual([closed])
  })

  test('unsubscribing leaves nothing behind', async () => {
    const bench = new Bench()
    bench.publish(1000)
    const subscriptions: Subscription[] = []
    const controller = new AbortController()
    const stream = bench.stream({ from: 1, signal: controller.signal })
    for (let index = 0; index < 5; index++) subscriptions.push(stream.subscribe(() => {}))
    stream.pipe(take(3)).subscribe()
    await firstValueFrom(stream)
    expect(bench.openPasses).toBe(5)
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(5)
    for (const subscription of subscriptions) subscription.unsubscribe()
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    expect(bench.openPasses).toBe(0)
    expect(bench.broadcast.observed).toBe(false)
    await bench.quiet()
    expect(bench.reads).toBe(5 * 256 + 3 + 1)
  })

  test('a subscriber that has had enough already is never fed', () => {
    const bench = new Bench()
    bench.publish()
    const closed = new Subscriber<number>()
    closed.unsubscribe()
    bench.stream({ from: 1 }).subscribe(closed)
    expect(bench.reads).toBe(0)
    expect(bench.broadcast.observed).toBe(false)
  })

  test('a source that publishes and ends inside its own listener is put in order', () => {
    const bench = new Bench()
    let publish: (item: number) => void = () => {}
    let end: () => void = () => {}
    const listen: Source<number>['listen'] = (listener, ended) => {
      publish = listener
      end = ended
      return () => {}
    }
    const order: string[] = []
    liveOnly<number>(listen, {}, bench.host).subscribe({
      next: (item) => {
        order.push(`${item} begins`)
        if (item === 1) publish(2)
        if (item === 2) end()
        order.push(`${item} ends`)
      },
      complete: () => void order.push('complete'),
    })
    publish(1)
    publish(3)
    expect(order).toEqual(['1 begins', '1 ends', '2 begins', '2 ends', 'complete'])
  })

  test('options that make no sense are refused', () => {
    const bench = new Bench()
    for (const options of [{ from: Number.NaN }, { from: 1.5 }, { queueLimit: 0 }, { queueLimit: Infinity }]) {
      expect(() => bench.stream(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
  })
})

describe('an observer harms nobody', () => {
  const misdeeds: Record<string, (stream: Observable<number>, bench: Bench) => void> = {
    throws: (stream) =>
      stream.subscribe(() => {
        throw new Error('mine')
      }),
    rejects: (stream) =>
      stream.subscribe(async () => {
        throw new Error('mine')
      }),
    'throws before it subscribed': (stream) => {
      const subscription: Subscription = stream.subscribe(() => subscription.unsubscribe())
    },
    'unsubscribes inside': (stream) => stream.pipe(take(1)).subscribe(),
    'subscribes inside': (stream) => stream.subscribe(() => stream.pipe(take(2)).subscribe()),
    'has no error handler': (stream) =>
      stream
        .pipe(
          map(() => {
            throw new Error('mine')
          }),
        )
        .subscribe(),
    'throws in its error handler': (stream) =>
      stream
        .pipe(
          map(() => {
            throw new Error('operator')
          }),
        )
        .subscribe({
          error: () => {
            throw new Error('mine')
          },
        }),
    'rejects in its completion handler': (stream) =>
      stream.pipe(take(1)).subscribe({
        complete: async () => {
          throw new Error('mine')
        },
      }),
    'throws in its teardown': (stream) =>
      stream
        .pipe(
          take(1),
          finalize(() => {
            throw new Error('mine')
          }),
        )
        .subscribe(),
    'gives a thenable that throws': (stream) =>
      stream.subscribe(
        () =>
          ({
            // biome-ignore lint/suspicious/noThenProperty: that is what is tested
            then: () => {
              throw new Error('mine')
            },
          }) as never,
      ),
    'is a Subscriber made by hand that throws': (stream) =>
      stream.subscribe(
        new Subscriber<number>({
          next: () => {
            throw new Error('mine')
          },
          error: () => {},
          complete: () => {},
        } as never),
      ),
  }

  for (const [misdeed, commit] of Object.entries(misdeeds)) {
    for (const from of [1, undefined]) {
      test(`one that ${misdeed} ${from ? 'in a replay' : 'live'}`, async () => {
        const bench = new Bench()
        bench.publish(3)
        const stream = bench.stream(from ? { from } : {})
        const [before, after] = [recorder<number>(), recorder<number>()]
        stream.subscribe(before.observer)
        commit(stream, bench)
        commit(stream.pipe(filter(() => true)), bench)
        stream.subscribe(after.observer)
        bench.publish(3)
        await bench.quiet()
        bench.publish(1)
        await bench.quiet()
        expect(before.items).toEqual(range(from ?? 4, 7))
        expect(after.items).toEqual(range(from ?? 4, 7))
      })
    }
  }

  test('one that throws gets nothing more, not even the error, and the host hears it', () => {
    const bench = new Bench()
    const mine = new Error('mine')
    const seen = recorder<number>((item) => {
      if (item === 2) throw mine
    })
    const subscription = bench.stream().subscribe(seen.observer)
    bench.publish(3)
    expect(seen).toMatchObject({ items: [1, 2], errors: [], completed: 0 })
    expect(subscription.closed).toBe(true)
    expect(bench.errors).toEqual([mine])
    expect(bench.broadcast.observed).toBe(false)
  })

  test('one that rejects is treated as one that throws', async () => {
    const bench = new Bench()
    const mine = new Error('mine')
    const seen = recorder<number>(async () => {
      throw mine
    })
    bench.stream().subscribe(seen.observer)
    bench.publish(3)
    await settled()
    expect(seen).toMatchObject({ items: [1], errors: [], completed: 0 })
    expect(bench.errors).toEqual([mine])
    expect(bench.broadcast.observed).toBe(false)
  })

  test('an error without a handler goes to the host', () => {
    const bench = new Bench()
    const broken = new Error('broken')
    bench.stream().subscribe(() => {})
    bench.end(broken)
    expect(bench.errors).toEqual([broken])
  })

  test('a host that throws is not heard by anybody', () => {
    const bench = new Bench()
    const host = {
      clock: bench.clock,
      onObserverError: () => {
        throw new Error('host')
      },
    }
    const seen = recorder<number>()
    replayThenLive(bench.source, {}, host).subscribe(() => {
      throw new Error('mine')
    })
    bench.stream().subscribe(seen.observer)
    bench.publish(2)
    expect(seen.items).toEqual([1, 2])
  })

  test('one that publishes inside `next` reorders nothing for those after it', () => {
    const bench = new Bench()
    const [before, after] = [recorder<number>(), recorder<number>()]
    bench.stream().subscribe(before.observer)
    bench.stream().subscribe((item) => item < 4 && bench.publish(2))
    bench.stream().subscribe(after.observer)
    bench.publish()
    expect(before.items).toEqual(range(1, 7))
    expect(after.items).toEqual(range(1, 7))
  })

  test('one that subscribes inside `next` is not paced by the slow observer it subscribed', async () => {
    const bench = new Bench()
    bench.publish(2)
    const outer = recorder<number>(() => {
      bench.stream({ from: 1 }).subscribe(() => new Promise(() => {}) as never)
    })
    bench.stream({ from: 1 }).subscribe(outer.observer)
    bench.publish(2)
    expect(outer.items).toEqual([1, 2, 3, 4])
  })

  test('10,000 that throw or reject, with and without operators: the process hears nothing', async () => {
    const bench = new Bench()
    const good = recorder<number>()
    for (let index = 0; index < 10_000; index++) {
      const stream = index % 3 === 0 ? bench.stream().pipe(map((item) => item)) : bench.stream()
      if (index % 2) {
        stream.subscribe(() => {
          throw new Error(`thrown by ${index}`)
        })
      } else {
        stream.subscribe(async () => {
          throw new Error(`rejected by ${index}`)
        })
      }
    }
    bench.stream().subscribe(good.observer)
    bench.publish(5)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(good.items).toEqual(range(1, 5))
    expect(bench.errors).toHaveLength(10_000)
    expect(fatal).toEqual([])
  })
})

describe('a slow observer', () => {
  test('gets the next item when its promise for the last is fulfilled', async () => {
    const bench = new Bench()
    const door = gate()
    const seen = recorder<number>(door.wait)
    bench.stream().subscribe(seen.observer)
    bench.publish(3)
    await settled()
    expect(seen.items).toEqual([1])
    door.open()
    await settled()
    expect(seen.items).toEqual([1, 2])
    door.open()
    await settled()
    bench.publish()
    door.open()
    await settled()
    expect(seen.items).toEqual([1, 2, 3, 4])
  })

  test('is cut off when too much waits, at once, and told from where to go on', async () => {
    const bench = new Bench()
    const door = gate()
    const seen = recorder<number>(door.wait)
    const fast = recorder<number>()
    bench.stream({ queueLimit: 3 }).subscribe(seen.observer)
    bench.stream().subscribe(fast.observer)
    bench.publish(4)
    expect(seen.errors).toEqual([])
    bench.publish()
    expect(seen.items).toEqual([1])
    const resumeFrom = overflowOf(seen.errors[0])
    expect(resumeFrom).toBe(2)
    const resumed = recorder<number>()
    bench.stream({ from: resumeFrom as number }).subscribe(resumed.observer)
    bench.publish()
    expect([...seen.items, ...resumed.items]).toEqual(range(1, 6))
    expect(fast.items).toEqual(range(1, 6))
    door.open()
    await settled()
    expect(seen).toMatchObject({ items: [1], completed: 0 })
    expect(seen.errors).toHaveLength(1)
  })

  test('that rejects after it was cut off is still reported', async () => {
    const bench = new Bench()
    let reject: (error: Error) => void = () => {}
    const seen = recorder<number>(
      () =>
        new Promise((_, no) => {
          reject = no
        }),
    )
    bench.stream({ queueLimit: 1 }).subscribe(seen.observer)
    bench.publish(3)
    reject(new Error('late'))
    await settled()
    expect(bench.errors).toEqual([new Error('late')])
  })

  test('may have a long queue, given in order', async () => {
    const bench = new Bench()
    const door = gate()
    const seen = recorder<number>((item) => (item === 1 ? door.wait() : undefined))
    bench.stream({ queueLimit: 5000 }).subscribe(seen.observer)
    bench.publish(5001)
    door.open()
    await settled()
    expect(seen.items).toHaveLength(1 + 256)
    await bench.quiet()
    expect(seen.items).toEqual(range(1, 5001))
  })

  test('is waited for by a replay, which never overflows', async () => {
    const bench = new Bench()
    bench.publish(20)
    const door = gate()
    const seen = recorder<number>(door.wait)
    bench.stream({ from: 1, queueLimit: 2 }).subscribe(seen.observer)
    for (let round = 1; round <= 40; round++) {
      expect(seen.items).toEqual(range(1, round))
      // Each further pass begins with the item given last.
      expect(bench.reads).toBeLessThan(round + bench.passes)
      if (round % 2) bench.publish(round < 20 ? 2 : 0)
      door.open()
      await settled()
    }
    expect(seen.items).toEqual(range(1, 40))
    expect(seen.errors).toEqual([])
    bench.publish(4)
    door.open()
    await settled()
    expect(overflowOf(seen.errors[0])).toBe((seen.items.at(-1) as number) + 1)
  })

  test('that is still behind after a pass through the journal is not cut off', async () => {
    const bench = new Bench()
    bench.publish(2)
    const door = gate()
    const seen = recorder<number>(door.wait)
    bench.stream({ from: 1, queueLimit: 2 }).subscribe(seen.observer)
    bench.publish(2)
    for (let round = 1; round <= 3; round++) {
      door.open()
      await settled()
      bench.publish(2)
    }
    for (let round = 1; round <= 6; round++) {
      door.open()
      await settled()
    }
    expect(seen.errors).toEqual([])
    expect(seen.items).toEqual(range(1, 10))
  })

  test('that unsubscribes while it is awaited gets nothing more and holds nobody', async () => {
    const bench = new Bench()
    const shared = bench.stream().pipe(
      mergeMap((item) => [item, item + 0.5]),
      share(),
    )
    const leaving = recorder<number>(async () => inside.unsubscribe())
    const [left, fast] = [recorder<number>(async () => {}), recorder<number>()]
    const inside = shared.subscribe(leaving.observer)
    const outside = shared.subscribe(left.observer)
    shared.subscribe(fast.observer)
    bench.publish()
    outside.unsubscribe()
    await settled()
    bench.publish()
    expect(leaving.items).toEqual([1])
    expect(left.items).toEqual([1])
    expect(fast.items).toEqual([1, 1.5, 2, 2.5])
  })

  test('is completed after the item in hand, but told of an error at once, when an operator ends it', async () => {
    const bench = new Bench()
    const [stop, fail] = [new Subject<number>(), new Subject<number>()]
    const door = gate()
    const [stopped, failed] = [recorder<number>(door.wait), recorder<number>(door.wait)]
    bench.stream().pipe(takeUntil(stop)).subscribe(stopped.observer)
    bench.stream().pipe(mergeWith(fail)).subscribe(failed.observer)
    bench.publish()
    stop.next(0)
    fail.error(new Error('broken'))
    expect(stopped.completed).toBe(0)
    expect(failed.errors).toEqual([new Error('broken')])
    door.open()
    await settled()
    expect(stopped.completed).toBe(1)
  })

  test('never hears an end inside its own call', () => {
    const bench = new Bench()
    const [stop, fail] = [new Subject<number>(), new Subject<number>()]
    const order: string[] = []
    const observer = (name: string, end: () => void) => ({
      next: () => {
        end()
        order.push(`${name} item`)
      },
      error: () => void order.push(`${name} error`),
      complete: () => void order.push(`${name} complete`),
    })
    const failing = observer('two', () => fail.error(new Error('broken')))
    bench
      .stream()
      .pipe(takeUntil(stop))
      .subscribe(observer('one', () => stop.next(0)))
    bench.stream().pipe(mergeWith(fail)).subscribe(failing)
    bench.publish()
    expect(order).toEqual(['one item', 'one complete', 'two item', 'two error'])
  })

  test('is waited for through operators', async () => {
    const bench = new Bench()
    bench.publish(2000)
    const door = gate()
    const seen = recorder<number>(door.wait)
    bench
      .stream({ from: 1, queueLimit: 2 })
      .pipe(
        filter((item) => item % 2 === 0),
        map((item) => item * 10),
        share(),
      )
      .subscribe(seen.observer)
    for (let round = 0; round < 5; round++) {
      door.open()
      await settled()
    }
    expect(seen.items).toEqual([20, 40, 60, 80, 100, 120])
    expect(bench.reads).toBe(12)
  })

  test('is told from where to go on through operators, too', async () => {
    const bench = new Bench()
    const seen = recorder<string>(() => new Promise(() => {}))
    bench
      .stream({ queueLimit: 2 })
      .pipe(map((item) => `item ${item}`))
      .subscribe(seen.observer)
    bench.publish(4)
    expect(overflowOf(seen.errors[0])).toBe(2)
  })

  test('that gets many items from one is given each in turn, before the end', async () => {
    const bench = new Bench()
    bench.publish(2)
    const door = gate()
    const seen = recorder<string>(door.wait)
    bench
      .stream({ from: 1 })
      .pipe(mergeMap((item) => [`${item}a`, `${item}b`, `${item}c`]))
      .subscribe(seen.observer)
    bench.end()
    for (const expected of [1, 2, 3, 4, 5, 6]) {
      expect(seen.items).toHaveLength(expected)
      expect(seen.completed).toBe(0)
      door.open()
      await settled()
    }
    expect(seen.items).toEqual(['1a', '1b', '1c', '2a', '2b', '2c'])
    expect(seen.completed).toBe(1)
  })

  test('of two merged replays holds both', async () => {
    const [one, two] = [new Bench(), new Bench()]
    one.publish(100)
    two.publish(100)
    const door = gate()
    const seen = recorder<string>(door.wait)
    one
      .stream({ from: 1, queueLimit: 5 })
      .pipe(
        map((item) => `a${item}`),
        mergeWith(two.stream({ from: 1 }).pipe(map((item) => `b${item}`))),
      )
      .subscribe(seen.observer)
    for (let round = 0; round < 250; round++) {
      door.open()
      await settled()
    }
    expect(seen.errors).toEqual([])
    expect(seen.items.filter((item) => item.startsWith('a'))).toEqual(range(1, 100).map((item) => `a${item}`))
    expect(seen.items.filter((item) => item.startsWith('b'))).toEqual(range(1, 100).map((item) => `b${item}`))
  })

  test('behind an operator that waits has a bounded queue as well', async () => {
    const bench = new Bench()
    const seen = recorder<number>(() => new Promise(() => {}))
    bench.stream({ queueLimit: 3 }).pipe(delay(0)).subscribe(seen.observer)
    bench.publish(10)
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect(seen.items).toEqual([1])
    expect(overflowOf(seen.errors[0])).toBeUndefined()
    expect(bench.broadcast.observed).toBe(false)
  })

  test('that leaves lets the others go on', async () => {
    const bench = new Bench()
    bench.publish(5)
    const shared = bench.stream({ from: 1 }).pipe(share())
    const fast = recorder<number>()
    const slow = shared.subscribe(() => new Promise(() => {}) as never)
    shared.subscribe(fast.observer)
    expect(fast.items).toEqual([])
    slow.unsubscribe()
    expect(fast.items).toEqual([2, 3, 4, 5])
  })
})

describe('the end', () => {
  test('completes an observer after everything queued', async () => {
    const bench = new Bench()
    const door = gate()
    const seen = recorder<number>(door.wait)
    const fast = recorder<number>()
    bench.stream().subscribe(seen.observer)
    bench.stream().subscribe(fast.observer)
    bench.publish(2)
    bench.end()
    expect(fast).toMatchObject({ items: [1, 2], completed: 1 })
    door.open()
    await settled()
    expect(seen).toMatchObject({ items: [1, 2], completed: 0 })
    door.open()
    await settled()
    expect(seen).toMatchObject({ items: [1, 2], completed: 1, errors: [] })
  })

  test('with an error, gives it after everything queued', async () => {
    const bench = new Bench()
    const broken = new Error('broken')
    const door = gate()
    const seen = recorder<number>(door.wait)
    bench.stream().subscribe(seen.observer)
    bench.publish(2)
    bench.end(broken)
    expect(seen.errors).toEqual([])
    door.open()
    await settled()
    door.open()
    await settled()
    expect(seen).toMatchObject({ items: [1, 2], completed: 0, errors: [broken] })
  })

  test('of a session that is over comes after the replay', async () => {
    const bench = new Bench()
    bench.publish(600)
    bench.end()
    const seen = recorder<number>()
    bench.stream({ from: 1 }).subscribe(seen.observer)
    expect(seen.completed).toBe(0)
    await bench.quiet()
    expect(seen.items).toEqual(range(1, 600))
    expect(seen.completed).toBe(1)
    const late = recorder<number>()
    bench.stream().subscribe(late.observer)
    expect(late).toMatchObject({ items: [], completed: 1 })
  })

  test('by the signal is prompt: what is queued is dropped', async () => {
    const bench = new Bench()
    bench.publish(1000)
    const controller = new AbortController()
    const [replaying, live, late] = [recorder<number>(), recorder<number>(), recorder<number>()]
    const { signal } = controller
    bench.stream({ from: 1, signal }).subscribe(replaying.observer)
    bench.stream({ signal }).subscribe(live.observer)
    controller.abort()
    bench.publish()
    bench.stream({ from: 1, signal }).subscribe(late.observer)
    await bench.quiet()
    expect(replaying.items).toHaveLength(256)
    expect(live.items).toEqual([])
    expect(late.items).toEqual([])
    for (const seen of [replaying, live, late]) expect(seen).toMatchObject({ completed: 1, errors: [] })
    expect(bench.broadcast.observed).toBe(false)
    expect(bench.openPasses).toBe(0)
  })

  test('by the signal inside `next` comes after it', () => {
    const bench = new Bench()
    const controller = new AbortController()
    const order: string[] = []
    bench.stream({ signal: controller.signal }).subscribe({
      next: (item) => {
        controller.abort()
        order.push(`item ${item}`)
      },
      complete: () => void order.push('complete'),
    })
    bench.publish(2)
    expect(order).toEqual(['item 1', 'complete'])
  })
})

describe('operators', () => {
  test('what `pipe` gives is a Stream, whatever the operators', () => {
    const stream = new Bench().stream()
    expect(stream.pipe()).toBe(stream)
    expect(stream.pipe(map(String), take(2))).toBeInstanceOf(Stream)
    expect(stream.pipe(endWith(1))).toBeInstanceOf(Stream)
    expect(stream.pipe(() => of(1))).toBeInstanceOf(Stream)
  })

  test('map, filter, take, bufferCount', async () => {
    const bench = new Bench()
    bench.publish(20)
    const lists: number[][] = await firstValueFrom(
      bench.stream({ from: 1 }).pipe(
        map((item) => item * 2),
        filter((item) => item % 3 !== 0),
        take(5),
        bufferCount(2),
        toArray(),
      ),
    )
    expect(lists).toEqual([[2, 4], [8, 10], [14]])
    expect(bench.broadcast.observed).toBe(false)
  })

  test('merge of two streams', () => {
    const [one, two] = [new Bench(), new Bench()]
    one.publish(2)
    const [plain, isolated] = [recorder<number>(), recorder<number>()]
    merge(one.stream({ from: 1 }), two.stream({ from: 1 })).subscribe(plain.observer)
    one.stream({ from: 1 }).pipe(mergeWith(two.stream())).subscribe(isolated.observer)
    two.publish()
    one.publish()
    expect(plain.items).toEqual([1, 2, 1, 3])
    expect(isolated.items).toEqual([1, 2, 1, 3])
  })

  test('share: one way through the source for all', () => {
    const bench = new Bench()
    bench.publish(2)
    const shared = bench.stream({ from: 1 }).pipe(share())
    const [one, two] = [recorder<number>(), recorder<number>()]
    const subscriptions = [shared.subscribe(one.observer), shared.subscribe(two.observer)]
    bench.publish(2)
    expect(one.items).toEqual([1, 2, 3, 4])
    expect(two.items).toEqual([3, 4])
    expect(bench.passes).toBe(1)
    for (const subscription of subscriptions) subscription.unsubscribe()
    expect(bench.broadcast.observed).toBe(false)
  })

  test('switchMap, concatMap and mergeMap to streams', async () => {
    const [outer, inner] = [new Bench(), new Bench()]
    inner.publish(2)
    const seen = recorder<string>()
    const within = (item: number) => inner.stream({ from: 1 }).pipe(map((part) => `${item}.${part}`))
    outer.stream().pipe(switchMap(within)).subscribe(seen.observer)
    outer.publish(2)
    inner.publish()
    expect(seen.items).toEqual(['1.1', '1.2', '2.1', '2.2', '2.3'])

    outer.broadcast.end()
    inner.broadcast.end()
    for (const operator of [concatMap(within), mergeMap(within)]) {
      const all = await lastValueFrom(outer.stream({ from: 1 }).pipe(operator, toArray()))
      expect(all).toEqual(['1.1', '1.2', '1.3', '2.1', '2.2', '2.3'])
    }
  })

  test('a slow observer behind switchMap or mergeMap holds the outer replay as well', async () => {
    for (const operator of [switchMap, mergeMap]) {
      const [outer, inner] = [new Bench(), new Bench()]
      outer.publish(3)
      inner.publish(2)
      const door = gate()
      const seen = recorder<string>(door.wait)
      const within = (item: number) => inner.stream({ from: 1 }).pipe(map((part) => `${item}.${part}`))
      outer.stream({ from: 1 }).pipe(operator(within)).subscribe(seen.observer)
      expect(outer.reads).toBe(1)
      for (let round = 1; round <= 8; round++) {
        if (operator === mergeMap) expect(seen.items).toHaveLength(Math.min(round, 6))
        door.open()
        await settled()
      }
      expect(seen.items.at(-1)).toBe('3.2')
      expect(new Set(seen.items.map((item) => item[0]))).toEqual(new Set(['1', '2', '3']))
    }
  })

  test('firstValueFrom, lastValueFrom, from, forEach', async () => {
    const bench = new Bench()
    bench.publish(3)
    const first = firstValueFrom(bench.stream())
    bench.publish()
    expect(await first).toBe(4)
    expect(await firstValueFrom(bench.stream({ from: 2 }))).toBe(2)
    const rejecting = async (): Promise<void> => {
      throw new Error('mine')
    }
    await expect(bench.stream({ from: 1 }).forEach(rejecting)).rejects.toThrow('mine')
    expect(bench.broadcast.observed).toBe(false)
    bench.end()
    expect(await lastValueFrom(from(bench.stream({ from: 1 })))).toBe(4)
    const seen: number[] = []
    await bench.stream({ from: 1 }).forEach((item) => void seen.push(item))
    expect(seen).toEqual([1, 2, 3, 4])
    await expect(firstValueFrom(bench.stream())).rejects.toThrow('no elements')
  })

  test('an operator that throws is the error of its own observer', () => {
    const bench = new Bench()
    const [bad, good] = [recorder<number>(), recorder<number>()]
    const broken = new Error('broken')
    bench
      .stream()
      .pipe(
        tap(() => {
          throw broken
        }),
      )
      .subscribe(bad.observer)
    bench.stream().subscribe(good.observer)
    bench.publish(2)
    expect(bad).toMatchObject({ items: [], errors: [broken] })
    expect(good.items).toEqual([1, 2])
    expect(bench.errors).toEqual([])
  })
})

describe('for await', () => {
  test('a replay is read as the loop asks, then live items come', async () => {
    const bench = new Bench()
    bench.publish(3)
    const seen: number[] = []
    for await (const item of bench.stream({ from: 1 })) {
      seen.push(item)
      expect(bench.reads).toBeLessThan(item + bench.passes)
      if (item === 3) bench.publish(2)
      if (item === 5) break
    }
    expect(seen).toEqual([1, 2, 3, 4, 5])
    expect(bench.broadcast.observed).toBe(false)
  })

  test('works behind operators', async () => {
    const bench = new Bench()
    bench.publish(2000)
    const seen: string[] = []
    for await (const item of bench.stream({ from: 1 }).pipe(map((item) => `item ${item}`))) {
      seen.push(item)
      if (seen.length === 3) break
    }
    expect(seen).toEqual(['item 1', 'item 2', 'item 3'])
    expect(bench.reads).toBeLessThanOrEqual(4)
  })

  test('gets what was published between its making and its first step', async () => {
    const bench = new Bench()
    const iterator = bench.stream()[Symbol.asyncIterator]()
    bench.publish(2)
    expect(await iterator.next()).toEqual({ done: false, value: 1 })
    expect(await iterator.next()).toEqual({ done: false, value: 2 })
    await iterator.return?.()
  })

  test('may be asked for several at once', async () => {
    const bench = new Bench()
    bench.publish(2)
    const iterator = bench.stream({ from: 1 })[Symbol.asyncIterator]()
    const asked = [1, 2, 3, 4].map(() => iterator.next())
    await settled()
    bench.publish()
    bench.end()
    expect((await Promise.all(asked)).map((result) => result.value)).toEqual([1, 2, 3, undefined])
  })

  test('throws the overflow, after the items it was given, with where to go on', async () => {
    const bench = new Bench()
    const seen: number[] = []
    const loop = async (options: StreamOptions): Promise<void> => {
      for await (const item of bench.stream(options)) {
        seen.push(item)
        if (item === 2) bench.publish(4)
        if (item === 6) return
      }
    }
    const first = loop({ queueLimit: 3 })
    bench.publish(2)
    const error = await first.catch((error: unknown) => error)
    expect(seen).toEqual([1, 2])
    expect(overflowOf(error)).toBe(3)
    await loop({ from: 3 })
    expect(seen).toEqual(range(1, 6))
  })

  test('a loop that never takes its first item is cut off, too', async () => {
    const bench = new Bench()
    const iterator = bench.stream({ queueLimit: 2 })[Symbol.asyncIterator]()
    bench.publish(10)
    expect(bench.broadcast.observed).toBe(false)
    expect(await iterator.next()).toEqual({ done: false, value: 1 })
    expect(overflowOf(await iterator.next().catch((error: unknown) => error))).toBe(2)
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
  })

  test('ends with the stream, or throws its error', async () => {
    const [over, broken] = [new Bench(), new Bench()]
    over.publish(2)
    over.broadcast.end()
    const seen: number[] = []
    for await (const item of over.stream({ from: 1 })) seen.push(item)
    expect(seen).toEqual([1, 2])
    broken.publish()
    const iterator = broken.stream({ from: 1 })[Symbol.asyncIterator]()
    await iterator.next()
    const next = iterator.next()
    broken.broadcast.end(new Error('broken'))
    await expect(next).rejects.toThrow('broken')
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
  })

  test('ends when the signal is aborted, waiting or not', async () => {
    const bench = new Bench()
    bench.publish(3)
    const controller = new AbortController()
    const waiting = bench.stream({ signal: controller.signal })[Symbol.asyncIterator]().next()
    const seen: number[] = []
    for await (const item of bench.stream({ from: 1, signal: controller.signal })) {
      seen.push(item)
      if (item === 2) controller.abort()
    }
    expect(seen).toEqual([1, 2])
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect(bench.broadcast.observed).toBe(false)
  })

  test('break, return and throw unsubscribe', async () => {
    const bench = new Bench()
    bench.publish(3)
    for await (const _ of bench.stream({ from: 1 })) break
    const thrown = (async () => {
      for await (const _ of bench.stream({ from: 1 })) throw new Error('body')
    })()
    await expect(thrown).rejects.toThrow('body')
    const [one, two] = [bench.stream(), bench.stream()].map((stream) => stream[Symbol.asyncIterator]())
    const waiting = one!.next()
    expect(await one!.return?.()).toEqual({ done: true, value: undefined })
    expect(await waiting).toEqual({ done: true, value: undefined })
    await expect(two!.throw?.(new Error('given'))).rejects.toThrow('given')
    expect(await two!.next()).toEqual({ done: true, value: undefined })
    expect(bench.broadcast.observed).toBe(false)
    expect(bench.openPasses).toBe(0)
  })

  test('lets the event loop turn after every page', async () => {
    const bench = new Bench()
    bench.publish(600)
    let count = 0
    const loop = (async () => {
      for await (const _ of bench.stream({ from: 1 })) if (++count === 600) break
    })()
    await settled()
    expect(count).toBe(256)
    await bench.quiet()
    await loop
    expect(count).toBe(600)
  })
})

describe('live only', () => {
  test('gives what is published while subscribed, in order, without numbers', async () => {
    const bench = new Bench()
    const broadcast = new Broadcast<string>()
    const stream = liveOnly<string>((listener, ended) => broadcast.listen(listener, ended), {}, bench.host)
    const seen = recorder<string>((item) => item === 'a' && broadcast.publish('b'))
    broadcast.publish('lost')
    stream.subscribe(() => {
      throw new Error('mine')
    })
    stream.subscribe(seen.observer)
    broadcast.publish('a')
    broadcast.publish('a'.repeat(2))
    broadcast.end()
    expect(seen).toMatchObject({ items: ['a', 'b', 'aa'], completed: 1 })
    expect(bench.errors).toEqual([new Error('mine')])
  })

  test('cuts a slow observer off; what it missed is gone', () => {
    const bench = new Bench()
    const seen = recorder<number>(() => new Promise(() => {}))
    liveOnly<number>(bench.source.listen, { queueLimit: 2 }, bench.host).subscribe(seen.observer)
    bench.publish(4)
    expect(seen.items).toEqual([1])
    expect(overflowOf(seen.errors[0])).toBeUndefined()
  })
})

describe('a broadcast', () => {
  const listenTo = (broadcast: Broadcast<number>, next?: (item: number) => void) => {
    const heard: (number | string)[] = []
    const leave = broadcast.listen(
      (item) => {
        heard.push(item)
        next?.(item)
      },
      (error) => heard.push(error ? error.message : 'end'),
    )
    return { heard, leave }
  }

  test('a listener that publishes, leaves or joins reorders nothing', () => {
    const broadcast = new Broadcast<number>()
    const joined: ReturnType<typeof listenTo>[] = []
    const first = listenTo(broadcast, (item) => {
      if (item !== 1) return
      broadcast.publish(2)
      joined.push(listenTo(broadcast))
      broadcast.publish(3)
      first.leave()
    })
    const second = listenTo(broadcast)
    broadcast.publish(1)
    expect(first.heard).toEqual([1])
    expect(second.heard).toEqual([1, 2, 3])
    expect(joined[0]?.heard).toEqual([3])
  })

  test('a listener that throws is taken off and told, the others go on', () => {
    const broadcast = new Broadcast<number>()
    const bad = listenTo(broadcast, () => {
      throw new Error('mine')
    })
    const good = listenTo(broadcast)
    broadcast.publish(1)
    broadcast.publish(2)
    expect(bad.heard).toEqual([1, 'mine'])
    expect(good.heard).toEqual([1, 2])
  })

  test('the end comes once, after what is published, also to those who come later', () => {
    const broadcast = new Broadcast<number>()
    const first = listenTo(broadcast, (item) => {
      if (item !== 1) return
      broadcast.publish(2)
      broadcast.end()
      broadcast.publish(3)
    })
    broadcast.publish(1)
    broadcast.end(new Error('too late'))
    const late = listenTo(broadcast)
    expect(first.heard).toEqual([1, 2, 'end'])
    expect(late.heard).toEqual(['end'])
    expect(broadcast.observed).toBe(false)
  })

  test('an `ended` that throws keeps the end from nobody', () => {
    const broadcast = new Broadcast<number>()
    broadcast.listen(
      () => {},
      () => {
        throw new Error('mine')
      },
    )
    const good = listenTo(broadcast)
    expect(broadcast.observed).toBe(true)
    broadcast.end()
    expect(good.heard).toEqual(['end'])
  })
})

// ---- any interleaving

/** What an observer does with items, beside keeping them. */
type Manner = 'fast' | 'slow' | 'eager' | 'loop' | 'thrower' | 'leaver' | 'publisher' | 'subscriber'

type Command =
  | { kind: 'publish'; count: number }
  | { kind: 'subscribe'; from: number | undefined; manner: Manner; queueLimit: number; piped: boolean }
  | { kind: 'unsubscribe'; which: number }
  | { kind: 'open' }
  | { kind: 'turn' }
  | { kind: 'settle' }
  | { kind: 'end' }

const commands = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'publish' as const, count: 300 }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('subscribe' as const),
      from: fc.option(fc.integer({ min: -1, max: 30 }), { nil: undefined }),
      manner: fc.constantFrom<Manner[]>(
        'fast',
        'slow',
        'eager',
        'loop',
        'thrower',
        'leaver',
        'publisher',
        'subscriber',
      ),
      queueLimit: fc.constantFrom(1, 3, 8, 1024),
      piped: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unsubscribe' as const), which: fc.nat(20) }) },
  { weight: 4, arbitrary: fc.constant({ kind: 'open' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'turn' as const }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'settle' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'end' as const }) },
)

/** One subscription and all that is to be known about it, to say afterwards what it must have seen. */
interface Witness {
  first: number
  manner: Manner
  items: number[]
  errors: unknown[]
  completed: boolean
  gone: boolean
  unsubscribe: () => void
}

class Interleaving {
  readonly bench: Bench
  readonly door = gate()
  readonly witnesses: Witness[] = []

  constructor(stride: number) {
    this.bench = new Bench(stride)
  }

  subscribe(from: number | undefined, manner: Manner, queueLimit: number, piped: boolean): Witness {
    const { bench } = this
    const next = bench.items.length * bench.stride + 1
    const witness: Witness = {
      first: from ?? next,
      manner,
      items: [],
      errors: [],
      completed: false,
      gone: false,
      unsubscribe: () => {},
    }
    this.witnesses.push(witness)
    const whole = bench.stream({ from, queueLimit })
    const stream = piped ? whole.pipe(map((item) => item)) : whole
    if (manner === 'loop') this.#loop(witness, stream)
    else this.#observe(witness, stream)
    return witness
  }

  #observe(witness: Witness, stream: Stream<number>): void {
    const subscriber = new (class {
      subscription: Subscription | undefined
    })()
    subscriber.subscription = stream.subscribe({
      next: (item): unknown => {
        witness.items.push(item)
        return this.#react(witness, item)
      },
      error: (error: unknown) => void witness.errors.push(error),
      complete: () => {
        witness.completed = true
      },
    })
    witness.unsubscribe = () => subscriber.subscription?.unsubscribe()
    if (witness.gone) witness.unsubscribe()
  }

  #react(witness: Witness, item: number): unknown {
    switch (witness.manner) {
      case 'slow':
        return this.door.wait()
      case 'eager':
        return Promise.resolve()
      case 'thrower':
        if (witness.items.length < 4) return undefined
        witness.gone = true
        if (item % 2) throw new Error('mine')
        return Promise.reject(new Error('mine'))
      case 'leaver':
        // Inside the first page of a replay there is no subscription yet to leave by.
        if (witness.items.length >= 3) witness.gone = true
        if (witness.gone) witness.unsubscribe()
        return undefined
      case 'publisher':
        if (witness.items.length % 5 === 2 && this.bench.items.length < 700) this.bench.publish(2)
        return undefined
      case 'subscriber':
        if (witness.items.length === 2) this.subscribe(undefined, 'fast', 8, false)
        if (witness.items.length === 3) this.subscribe(item, 'slow', 8, false)
        return undefined
      default:
        return undefined
    }
  }

  #loop(witness: Witness, stream: Stream<number>): void {
    const iterator = stream[Symbol.asyncIterator]()
    witness.unsubscribe = () => void iterator.return?.()
    const run = async (): Promise<void> => {
      for (let step = await iterator.next(); !step.done; step = await iterator.next()) {
        witness.items.push(step.value)
        if (witness.items.length % 3 === 0) await this.door.wait()
      }
      witness.completed = !witness.gone
    }
    run().catch((error: unknown) => void witness.errors.push(error))
  }

  async apply(command: Command): Promise<void> {
    switch (command.kind) {
      case 'publish':
        return this.bench.publish(command.count)
      case 'subscribe':
        this.subscribe(command.from, command.manner, command.queueLimit, command.piped)
        return
      case 'unsubscribe': {
        const witness = this.witnesses[command.which]
        if (!witness) return
        witness.gone = true
        return witness.unsubscribe()
      }
      case 'open':
        return this.door.open()
      case 'turn':
        return this.bench.clock.turn()
      case 'settle':
        return settled()
      case 'end':
        return this.bench.end()
    }
  }

  /** Everybody gets all the time they need. */
  async finish(): Promise<void> {
    let before = -1
    for (let idle = 0; idle < 3; ) {
      this.door.open()
      await this.bench.quiet()
      const now = this.witnesses.reduce((sum, witness) => sum + witness.items.length, 0)
      idle = now === before ? idle + 1 : 0
      before = now
    }
  }
}

describe('any interleaving', () => {
  property([fc.integer({ min: 1, max: 3 }), fc.array(commands, { minLength: 5, maxLength: 40 })], {
    numRuns: 400,
  })(
    'every observer sees exactly the items from its first one on, in order, until it leaves or is cut off',
    async (stride, script) => {
      const run = new Interleaving(stride)
      for (const command of script) await run.apply(command)
      await run.finish()
      const published = run.bench.items
      const ended = script.some((command) => command.kind === 'end')
      for (const witness of run.witnesses) {
        const wanted = published.filter((item) => item >= witness.first)
        expect(witness.items).toEqual(wanted.slice(0, witness.items.length))
        if (witness.errors.length > 0) {
          expect(witness.errors).toHaveLength(1)
          const resumeFrom = overflowOf(witness.errors[0]) as number
          expect(published.filter((item) => item >= Math.max(resumeFrom, witness.first))).toEqual(
            wanted.slice(witness.items.length),
          )
        } else if (!witness.gone) {
          expect(witness.items).toEqual(wanted)
        }
        if (witness.manner !== 'thrower' && !witness.gone && ended) {
          expect(witness.completed || witness.errors.length === 1).toBe(true)
        }
      }
      for (const witness of run.witnesses) witness.unsubscribe()
      expect(run.bench.broadcast.observed).toBe(false)
      expect(run.bench.openPasses).toBe(0)
    },
  )
})

test('a replay that is still looking for its beginning lets the event loop turn', () => {
  const clock = new ManualClock()
  let looked = 0
  const source: Source<number> = {
    *replay() {
      while (looked < 1000) {
        looked++
        yield undefined
      }
      yield 7
    },
    numberOf: (item) => item,
    listen: () => () => {},
  }
  const items: number[] = []
  const host = { clock, onObserverError: () => {} }
  replayThenLive(source, { from: 0 }, host).subscribe((item) => void items.push(item))
  const seen: number[] = []
  while (clock.turns.length > 0) {
    seen.push(looked)
    clock.turn()
  }
  expect([seen, items]).toEqual([[256, 512, 768], [7]])
})
