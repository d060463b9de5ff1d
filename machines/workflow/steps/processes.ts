// Processes of a session, found and ended. What a session starts carries its id in its environment, so that on Linux they
// are found even when the runtime that started them is dead, and whatever group or session they have moved to. Elsewhere a
// process group is all that is known. A zombie counts as gone: it does nothing any more.

import { readdirSync, readFileSync } from 'node:fs'
import { kill, pid as ownPid, platform } from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { WorkflowError } from './problem.js'

const MARK = 'HOLDFAST_SESSION'

export const markOf = (session: string): { readonly [name: string]: string } => ({ [MARK]: session })

export interface Wanted {
  /** All that carries its mark. */
  readonly session?: string
  /** All of a process group. */
  readonly group?: number
}

/** How soon it is looked again whether processes are gone. */
const LOOK_MS = 25
/** What has not gone this long after SIGKILL is beyond reach: in the kernel, on a disk that does not answer. */
const LOST_MS = 30_000

/** The ids of the processes that are there. */
function processesOf({ session, group }: Wanted): number[] {
  if (platform !== 'linux') return group !== undefined && isThere(-group) ? [-group] : []
  const mark = session === undefined ? undefined : `${MARK}=${session}`
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === ownPid) return []
    return (group !== undefined && groupOf(pid) === group) || (mark !== undefined && isMarked(pid, mark)) ? [pid] : []
  })
}

/** Of a process that lives; undefined of a zombie, too. */
function groupOf(pid: number): number | undefined {
  const stat = contentOf(`/proc/${pid}/stat`)
  const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return state === undefined || state === 'Z' || state === 'X' ? undefined : Number(group)
}

/** The environment of a zombie is empty. */
const isMarked = (pid: number, mark: string): boolean => contentOf(`/proc/${pid}/environ`).split('\0').includes(mark)

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // gone meanwhile, or somebody else's
  }
}

function isThere(pid: number): boolean {
  try {
    return kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function tell(pid: number, signal: NodeJS.Signals): void {
  try {
    kill(pid, signal)
  } catch {
    // gone meanwhile
  }
}

/**
 * Tells the processes to end, kills after the grace what did not, and resolves when none is left; gives how many there were.
 * Rejects with PROCESSES_REMAIN when the kernel does not let go of one.
 */
export async function endProcesses(wanted: Wanted, graceMs: number): Promise<number> {
  const seen = new Set<number>()
  const begun = performance.now()
  for (;;) {
    const there = processesOf(wanted)
    if (there.length === 0) return seen.size
    const waited = performance.now() - begun
    if (waited > graceMs + LOST_MS) {
      throw new WorkflowError('PROCESSES_REMAIN', `processes ${there.join(', ')} do not end: look at them`, {
        retry: true,
      })
    }
    for (const pid of there) {
      if (waited >= graceMs) tell(pid, 'SIGKILL')
      else if (!seen.has(pid)) tell(pid, 'SIGTERM')
      seen.add(pid)
    }
    await sleep(LOOK_MS)
  }
}

/** Waits until they have ended by themselves; then ends what is left. For those that are short, and better not cut off. */
export async function awaitProcesses(wanted: Wanted, patienceMs: number): Promise<void> {
  const begun = performance.now()
  while (processesOf(wanted).length > 0 && performance.now() - begun < patienceMs) await sleep(LOOK_MS)
  await endProcesses(wanted, 1_000)
}
