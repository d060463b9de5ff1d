// The steps of an execution session, as the pool loads them: everything that touches a service is under here. Each may run
// more than once, after a crash or a failure, and leaves the world as one run would. Errors have a stable code, the facts in
// `details`, and the time `at` which they were thrown.

import type { StepContext } from 'holdfast'
import type { ChannelConfig } from './channel.js'
import type { Counts, Current, News, Result } from './context.js'
import { isAboutRequest, waitIn } from './errors.js'
import { openChannel } from './steps/open-channel.js'
import { openTracker } from './steps/open-tracker.js'
import { planOf, plansOf } from './steps/plans.js'
import { type About, textOf } from './steps/texts.js'
import type { Change, DailyPlan, TrackerConfig } from './tracker.js'

/** Reads the open tickets of a team, and makes a plan for each person who has any. */
export function gather(
  { tracker, teamId }: { tracker: TrackerConfig; teamId: string },
  { signal }: StepContext,
): Promise<{ plans: DailyPlan[] }> {
  return stamped(async () => {
    const open = await openTracker(tracker, signal)
    return { plans: plansOf(await open.openTickets(teamId)) }
  })
}

/** Stores the plans, each exactly once however often this runs; gives their ids, in order. */
export function store(
  input: { id: string; tracker: TrackerConfig; teamId: string; plans: readonly DailyPlan[]; day: string },
  context: StepContext,
): Promise<{ issueIds: string[]; at: string }> {
  return stamped(async () => {
    const tracker = await openTracker(input.tracker, context.signal)
    const issueIds: string[] = []
    for (const plan of input.plans) {
      context.signal.throwIfAborted()
      issueIds.push((await tracker.storePlan(input.teamId, planOf(plan, input.id, input.day))).id)
      context.progress(
        (100 * issueIds.length) / input.plans.length,
        `${issueIds.length} of ${input.plans.length} plans`,
      )
    }
    return { issueIds, at: now() }
  })
}

type Numbered = Change & { readonly number: number }
type Marked = Change & Current

/** Reads what the tickets are like before anything is done to them. What cannot be found fails by itself. */
export function look(
  { tracker: config, changes }: { tracker: TrackerConfig; changes: readonly Numbered[] },
  { signal }: StepContext,
): Promise<{ marks: Current[]; results: Result[] }> {
  return stamped(async () => {
    const tracker = await openTracker(config, signal)
    const marks: Current[] = []
    const results: Result[] = []
    await each(changes, tracker.parallel, signal, async (change) => {
      try {
        marks.push({ number: change.number, mark: await tracker.look(change) })
      } catch (error) {
        results.push(refusalOf(change, error))
      }
    })
    marks.sort((a, b) => a.number - b.number)
    return { marks, results }
  })
}

/**
 * Applies modifications, each exactly once however often this runs with the same marks. When the tracker asks to wait, it
 * gives what was done so far, how long, and what no attempt has begun.
 */
export function apply(
  { tracker: config, changes }: { tracker: TrackerConfig; changes: readonly Marked[] },
  context: StepContext,
): Promise<{ results: Result[]; waitMs: number; untried?: number[] }> {
  return stamped(async () => {
    const tracker = await openTracker(config, context.signal)
    const results: Result[] = []
    // What an earlier attempt has begun nobody knows.
    const untried = new Set(context.attempt > 1 ? [] : changes.map(({ number }) => number))
    try {
      await each(changes, tracker.parallel, context.signal, async (change) => {
        untried.delete(change.number)
        try {
          const again = change.again === true || context.attempt > 1
          const outcome = await tracker.apply(change, change.mark ?? '', again)
          results.push({ number: change.number, at: now(), outcome })
        } catch (error) {
          results.push(refusalOf(change, error))
        }
        context.progress(
          (100 * results.length) / changes.length,
          `${results.length} of ${changes.length} modifications`,
        )
      })
    } catch (error) {
      const waitMs = waitIn(error)
      if (waitMs === undefined) throw error
      return { results, waitMs, ...(untried.size > 0 && { untried: [...untried] }) }
    }
    return { results, waitMs: 0 }
  })
}

/** Tells the channel, exactly once however often this runs. */
export function announce(
  { channel: config, news, about }: { channel: ChannelConfig; news: News; about: About & { readonly counts: Counts } },
  context: StepContext,
): Promise<{ where: string; text: string }> {
  return stamped(async () => {
    const channel = await openChannel(config, context)
    const text = textOf(news.kind, about)
    const { where } = await channel.announce(
      { key: `${about.id}/${news.kind}`, text },
      news.again === true || context.attempt > 1,
    )
    return { where, text }
  })
}

/** What a request was refused with; anything else is no matter of this one, and is thrown. */
function refusalOf({ number }: { readonly number: number }, error: unknown): Result {
  if (!isAboutRequest(error)) throw error
  return { number, at: now(), error: error.message, code: error.code }
}

/** Does `work` for each, with so many under way; after a failure begins no more, waits for what is under way, and throws. */
async function each<T>(
  items: readonly T[],
  parallel: number,
  signal: AbortSignal,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values()
  let failed = false
  const run = async (): Promise<void> => {
    for (const item of rest) {
      if (failed) return
      signal.throwIfAborted()
      await work(item)
    }
  }
  const runs = Array.from({ length: parallel }, () =>
    run().catch((error: unknown) => {
      failed = true
      throw error
    }),
  )
  const failure = (await Promise.allSettled(runs)).find((end) => end.status === 'rejected')
  if (failure) throw failure.reason
}

const now = (): string => new Date().toISOString()

/** An error gets the time at which it was thrown: the machine that keeps it has no clock. */
async function stamped<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Error) Object.assign(error, { at: now() })
    throw error
  }
}
