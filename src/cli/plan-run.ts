// Runs a planning session to where it rests: opens the runtime, creates or finds the session, starts it, follows it.
// It promises to close the runtime in order whatever happens, and to notice when the session cannot go on.

import { planning } from 'holdfast/machines/planning'
import type { Clock } from '../clock.js'
import { admitInput } from '../door.js'
import type { Session } from '../handle.js'
import { openRuntime } from '../open.js'
import type { Runtime } from '../runtime.js'
import { systemClock } from '../system/clock.js'
import { isUnfinishedPlan } from './kinds.js'
import { logTo } from './log.js'
import type { Output } from './output.js'
import { type Progress, progressOn } from './progress.js'

type PlanningSession = Session<typeof planning.machine>

export interface NewPlan {
  readonly title?: string
  readonly source: string
  readonly baseDir: string
  readonly tracker?: 'linear'
  readonly trackerFile?: string
  readonly pace?: { readonly delayMs: number }
}

export interface PlanRun {
  readonly dir: string
  /** A new session, or the id of one that is there. */
  readonly target: NewPlan | string
  readonly signal: AbortSignal
  /** Hears which session it is, as soon as that is durable. */
  readonly onSession: (id: string) => void
}

/** Resolves with the session's id when it rests. Rejects with what stopped it; ABORTED when the signal did. */
export async function runPlan({ dir, target, signal, onSession }: PlanRun, output: Output): Promise<string> {
  // What would be refused is refused before there is a directory.
  if (typeof target !== 'string') admitInput(planning, target)
  await using runtime = await openRuntime({ dir, kinds: [planning], logger: logTo(output) })
  signal.throwIfAborted()
  const session =
    typeof target === 'string' ? runtime.session(target, planning) : await runtime.create(planning, target)
  onSession(session.id)
  // One that failed goes back to pending first, and then on from where it failed.
  if (session.snapshot().value === 'failed') await session.send({ type: 'setStatus', status: 'pending' })
  // A process may have died between creating a session, or putting it back, and starting it.
  if (session.snapshot().value === 'pending') await session.send({ type: 'start' })
  await follow(runtime, session, progressOn(output, systemClock), signal)
  return session.id
}

async function follow(
  runtime: Runtime,
  session: PlanningSession,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const over = new AbortController()
  try {
    showProgress(session, progress, over.signal)
    await Promise.race([
      session.until((snapshot) => !isUnfinishedPlan(snapshot), { signal }),
      stoppage(runtime, session.id, systemClock, over.signal),
    ])
  } finally {
    over.abort()
    progress.end()
  }
}

function showProgress(session: PlanningSession, progress: Progress, signal: AbortSignal): void {
  const show = (percent = 0, said = ''): void => {
    const { context } = session.snapshot()
    progress.show(overall(context.progress, percent), context.progressMessage ?? '', said)
  }
  const ignore = { error: () => {} } // the end of following is the end of these, too
  session.transitions$({ signal }).subscribe({ next: () => show(), ...ignore })
  session.progress$({ signal }).subscribe({
    next: (update) => update.kind === 'progress' && show(update.percent, update.message),
    ...ignore,
  })
  show()
}

/** Where each step of the planning begins, in percent of the whole. */
const MILESTONES = [0, 10, 20, 40, 60, 80, 100]

/** The whole's progress, when a step that began at `begun` says that it has done so much of its own. */
function overall(begun: number, percent: number): number {
  const next = MILESTONES.find((milestone) => milestone > begun) ?? 100
  return begun + ((next - begun) * Math.min(100, Math.max(0, percent))) / 100
}

const LOOK_MS = 250

/** Rejects when the session cannot go on: the disk has failed, or the session is parked. Never resolves. */
function stoppage(runtime: Runtime, id: string, clock: Clock, over: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const look = (): void => {
      const { failure, parked } = runtime.health()
      const reason = failure ?? parked.find((session) => session.id === id)?.reason
      if (reason) reject(reason)
      else cancel = clock.setTimeout(look, LOOK_MS)
    }
    let cancel = clock.setTimeout(look, LOOK_MS)
    over.addEventListener('abort', () => cancel(), { once: true })
  })
}
