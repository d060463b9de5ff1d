// The time of a reference: a clock that fires nothing by itself, and another `Date` while a machine decides, so that one that
// reads it decides otherwise than the session did.

/** A clock that fires nothing by itself. */
export class ManualClock {
  nowMs = 0
  #order = 0
  readonly #timers: { readonly id: number; readonly due: number; readonly run: () => void }[] = []

  setTimeout(run: () => void, ms: number): number {
    const id = ++this.#order
    this.#timers.push({ id, due: this.nowMs + Math.max(ms, 0), run })
    return id
  }

  clearTimeout(id: number): void {
    const index = this.#timers.findIndex((timer) => timer.id === id)
    if (index >= 0) this.#timers.splice(index, 1)
  }

  get deadlines(): number[] {
    return this.#timers.map(({ due }) => due).sort((a, b) => a - b)
  }

  /** Takes out the timer that is due first; of two, the one set first. */
  take(): { readonly due: number; readonly run: () => void } | undefined {
    const [first] = this.#timers.toSorted((a, b) => a.due - b.due || a.id - b.id)
    if (first) this.clearTimeout(first.id)
    return first
  }
}

const ELSEWHEN_MS = 40_000_000_000

/** Runs something as if the system's clock were more than a year ahead. */
export function elsewhen<T>(run: () => T): T {
  const RealDate = Date
  // biome-ignore lint/style/noRestrictedGlobals: what the machine reads is changed, and put back at once
  const scope = globalThis as { Date: DateConstructor }
  scope.Date = aheadOf(RealDate)
  try {
    return run()
  } finally {
    scope.Date = RealDate
  }
}

let ahead: { readonly of: DateConstructor; readonly Date: DateConstructor } | undefined

function aheadOf(RealDate: DateConstructor): DateConstructor {
  if (ahead?.of === RealDate) return ahead.Date
  const now = (): number => RealDate.now() + ELSEWHEN_MS
  const proxy = new Proxy(RealDate, {
    construct: (target, given, asked) => Reflect.construct(target, given.length > 0 ? given : [now()], asked),
    apply: () => new RealDate(now()).toString(),
    get: (target, key) => (key === 'now' ? now : Reflect.get(target, key)),
  })
  ahead = { of: RealDate, Date: proxy }
  return proxy
}
