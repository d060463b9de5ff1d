// Shrinking a simulation that fails: a shorter life with fewer faults in which the same invariant fails. What is tried is
// lived, so whatever is left does fail. It gives up after a number of tries, with the least that it has found.

/** What is left of a life: how long it is, and which of the faults drawn do not come, by their number. */
export interface Rest {
  readonly hours: number
  readonly left: ReadonlySet<number>
}

/** A life in which something was wrong. */
export interface Fault<TLife> {
  readonly name: string
  /** How many faults were drawn in it. */
  readonly drawn: number
  readonly life: TLife
}

const MOST_TRIES = 80
const SHORTEST_HOURS = 1 / 60

/** Lives with less and less as long as the same is wrong; gives the last that failed, and what was left of it. */
export async function shrink<TLife>(
  first: Fault<TLife>,
  whole: Rest,
  live: (rest: Rest) => Promise<Fault<TLife> | undefined>,
): Promise<{ readonly found: Fault<TLife>; readonly rest: Rest }> {
  let found = first
  let rest = whole
  let tries = MOST_TRIES
  const fails = async (smaller: Rest): Promise<boolean> => {
    if (tries-- <= 0) return false
    const again = await live(smaller)
    if (again?.name !== first.name) return false
    found = again
    rest = smaller
    return true
  }
  while (rest.hours > SHORTEST_HOURS && (await fails({ ...rest, hours: rest.hours / 2 })));
  for (let size = Math.ceil(found.drawn / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < found.drawn && tries > 0; from += size) {
      const some = Array.from({ length: size }, (_, index) => from + index).filter((number) => !rest.left.has(number))
      if (some.length > 0) await fails({ ...rest, left: new Set([...rest.left, ...some]) })
    }
  }
  return { found, rest }
}
