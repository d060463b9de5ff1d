// Tests of properties, by fast-check. Its own binding to Vitest makes every chain such as `test.concurrent.skip.fails` in
// advance: that takes a second or two, and keeps 260 MB, in each process of the tests.
import fc from 'fast-check'
import { test } from 'vitest'

/** A test of what holds for whatever the arbitraries give; its failure names the seed and the path that lead there again. */
export const property =
  <T extends [unknown, ...unknown[]]>(
    arbitraries: { readonly [K in keyof T]: fc.Arbitrary<T[K]> },
    parameters: fc.Parameters<[T]> = {},
  ) =>
  (name: string, holds: (...values: T) => unknown, timeoutMs?: number): void => {
    const all = fc.tuple<T>(...(arbitraries as { [K in keyof T]: fc.Arbitrary<T[K]> }))
    const asked = fc.asyncProperty(all, async (values) => (await holds(...values)) as boolean | undefined)
    test(name, () => fc.assert(asked, parameters), timeoutMs)
  }
