// One command of a workflow, run as a process group of its own in the place of the session. What an earlier, interrupted run
// of it has left is found and ended first; a result that was reached and not recorded is given again.
// It promises that it settles only when no process of the command is left, and that two runs of it are never there at once:
// the shell itself claims the run, in a file that can be made only once, before it begins.

import { type ChildProcess, spawn } from 'node:child_process'
import { readdir, stat } from 'node:fs/promises'
import { uptime } from 'node:os'
import { join } from 'node:path'
import { env, platform } from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StepContext } from 'holdfast'
import { nameOf } from '../commands.js'
import type { Command } from '../config.js'
import { Capture, type Captured } from './captured.js'
import { readIfThere, readJson, remove, writeWhole } from './files.js'
import { WorkflowError } from './problem.js'
import { endProcesses, markOf as envMarkOf } from './processes.js'
import { STOPPED, sessionFolder, sessionOf } from './session-folder.js'
import { keepIndex, type Mark, markOf, restore } from './tree.js'
import type { Place } from './worktrees.js'

/** What a command's step is given. */
export interface CommandRun {
  readonly place: Place
  readonly command: Command
  readonly iteration: number
  readonly focus?: string
  readonly verbose?: boolean
}

export interface CommandOutput {
  /** Its name. */
  readonly command: string
  readonly success: boolean
  readonly exit_code: number | null
  readonly signal?: string
  readonly duration_ms: number
  readonly timed_out?: true
  /** A crash had interrupted it, and it was not run again. */
  readonly interrupted?: true
  /** … and a person is to be asked. */
  readonly ask?: true
  /** Why it has failed though it ended well. */
  readonly problem?: string
  readonly stdout: Captured
  readonly stderr: Captured
  readonly analysis?: unknown
  /** When it ended, ISO 8601. */
  readonly at: string
}

/**
 * Claims the run in a file that nobody else has made, becomes nothing when the session is stopped, then the command. `$0` is
 * the claim, `$1` what tells that the session is stopped, `$2` the command. The id of the group is that of the process.
 */
const CLAIM =
  '(set -C; echo $$ > "$0") 2>/dev/null || exit 125; if [ -e "$1" ]; then exit 125; fi; exec /bin/sh -c "$2"'

const DEFAULT_GRACE_MS = 5_000

const NOTHING: Captured = { text: '', chars: 0 }

/** Rejects with the reason of the signal, when no process of the command is left. */
export async function runCommand(run: CommandRun, context: StepContext): Promise<CommandOutput> {
  const files = await Files.of(run, context.idempotencyKey)
  const known = await readJson<CommandOutput>(files.result)
  if (known) return known
  const { command, place } = run
  const runs = await files.claimed()
  await endLeftOver(files.session, runs, command)
  if (runs.length > 0) {
    const { on_crash = 'rerun' } = command
    if (on_crash !== 'rerun') return interrupted(command, on_crash === 'ask')
    context.log(`${nameOf(command)} was interrupted: it is run again`)
  }
  await files.forgetOthers()
  if (place.branch !== undefined) await putBackOrKeep(run, files, context.signal)
  context.signal.throwIfAborted()
  const output = await attempt(run, files, runs.length + 1, context)
  if (output === undefined) return runCommand(run, context) // an earlier run had claimed it after all
  await writeWhole(files.result, JSON.stringify(output))
  return output
}

/** What a command's run leaves for whoever comes after a crash, in the folder of its session. */
class Files {
  readonly session: string
  readonly folder: string
  readonly #stem: string

  static async of({ place }: CommandRun, key: string): Promise<Files> {
    const session = sessionOf(key)
    return new Files(session, await sessionFolder(place.common, session), key.slice(session.length + 1))
  }

  constructor(session: string, folder: string, stem: string) {
    this.session = session
    this.folder = folder
    this.#stem = stem
  }

  get result(): string {
    return join(this.folder, `${this.#stem}.result`)
  }

  /** What was in the place before the command ran. */
  get before(): string {
    return join(this.folder, `${this.#stem}.before`)
  }

  get index(): string {
    return join(this.folder, `${this.#stem}.index`)
  }

  get stopped(): string {
    return join(this.folder, STOPPED)
  }

  claim(run: number): string {
    return join(this.folder, `${this.#stem}.run-${run}`)
  }

  /** The claims of its earlier runs. */
  async claimed(): Promise<string[]> {
    const names = await readdir(this.folder)
    return names.filter((name) => name.startsWith(`${this.#stem}.run-`)).map((name) => join(this.folder, name))
  }

  /** Those of commands whose results are recorded: this one would not run else. */
  async forgetOthers(): Promise<void> {
    for (const name of await readdir(this.folder)) {
      if (!name.startsWith(`${this.#stem}.`) && name !== STOPPED) await remove(join(this.folder, name))
    }
  }
}

/** Ends what earlier runs have left: by its mark, and where there are none, by the group that claimed the run. */
async function endLeftOver(session: string, claims: readonly string[], command: Command): Promise<void> {
  const { kill_grace_ms = DEFAULT_GRACE_MS } = command
  await endProcesses({ session }, kill_grace_ms)
  if (platform === 'linux') return
  for (const claim of claims) {
    const group = await groupIn(claim)
    if (group !== undefined) await endProcesses({ group }, kill_grace_ms)
  }
}

/** The group that made the claim, if that was since this machine was started: numbers come again. */
async function groupIn(claim: string): Promise<number | undefined> {
  const { mtimeMs } = await stat(claim)
  if (mtimeMs < Date.now() - uptime() * 1000) return undefined
  const group = Number(await readIfThere(claim))
  return group > 1 ? group : undefined
}

/** In a checkout of the session's own a command that was interrupted begins again with what it had begun with. */
async function putBackOrKeep({ place }: CommandRun, files: Files, signal: AbortSignal): Promise<void> {
  const { path, common, branch = '' } = place
  const options = { session: files.session, signal }
  const before = await readJson<Mark>(files.before)
  if (before) return restore({ cwd: path, common, branch }, before, files.index, options)
  await keepIndex(path, files.index, options)
  await writeWhole(files.before, JSON.stringify(await markOf(path, options)))
}

function interrupted(command: Command, ask: boolean): CommandOutput {
  return {
    ...{ command: nameOf(command), success: false, exit_code: null, duration_ms: 0, interrupted: true },
    ...(ask && { ask }),
    ...{ stdout: NOTHING, stderr: NOTHING, at: new Date().toISOString() },
  }
}

/** Undefined: the run was somebody else's. */
async function attempt(run: CommandRun, files: Files, number: number, context: StepContext) {
  const { command, place, iteration, focus } = run
  const { signal } = context
  const claim = files.claim(number)
  const begun = performance.now()
  const child = spawn('/bin/sh', ['-c', CLAIM, claim, files.stopped, command.shell], {
    cwd: place.path,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...env,
      ...{ HOLDFAST_ITERATION: String(iteration), HOLDFAST_PROJECT: place.project },
      ...(focus !== undefined && { HOLDFAST_FOCUS: focus }),
      ...command.env,
      ...envMarkOf(files.session),
    },
  })
  const said = listen(child, run, context)
  const end = await ending(child, command, files.session, signal)
  signal.throwIfAborted()
  if (end.exit_code === 125) {
    const holder = Number((await readIfThere(claim)) ?? 0)
    if (holder > 0 && holder !== child.pid) return undefined
    if (holder !== child.pid) throw new WorkflowError('NOT_CLAIMED', `${claim} cannot be written`, { retry: true })
  }
  const { exit_code, timed_out } = end
  const { analysis, problem } = command.analysis && exit_code === 0 ? analysisIn(said.stdout) : NO_ANALYSIS
  return {
    ...{ command: nameOf(command), success: exit_code === 0 && !timed_out && problem === undefined, exit_code },
    ...(end.signal && { signal: end.signal }),
    ...(timed_out && { timed_out }),
    ...(problem !== undefined && { problem }),
    duration_ms: Math.round(performance.now() - begun),
    ...{ stdout: said.stdout.captured, stderr: said.stderr.captured },
    ...(analysis !== undefined && { analysis }),
    at: new Date().toISOString(),
  }
}

const NO_ANALYSIS: { readonly analysis?: unknown; readonly problem?: string } = {}

function analysisIn(stdout: Capture): typeof NO_ANALYSIS {
  try {
    return { analysis: JSON.parse(stdout.whole ?? '') }
  } catch {
    return { problem: 'was to say the results of an analysis, and what it said is no JSON, or too long' }
  }
}

/** Streams what it says to observers, and keeps some of it. */
function listen(child: ChildProcess, { command, verbose }: CommandRun, context: StepContext) {
  const captures = { stdout: new Capture(), stderr: new Capture() }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8').on('data', (text: string) => {
      captures[stream].add(text)
      context.emit({ stream, text, command: nameOf(command) })
      if (verbose) for (const line of text.trimEnd().split('\n')) context.log(line, { stream })
    })
  }
  return captures
}

interface End {
  readonly exit_code: number | null
  readonly signal: NodeJS.Signals | null
  readonly timed_out?: true
}

/** How long pipes may be held open by somebody who has left the command's group. */
const PIPES_MS = 1_000

/** Resolves when the command has ended, or was ended, and with it everything that it has started. */
async function ending(child: ChildProcess, command: Command, session: string, signal: AbortSignal): Promise<End> {
  const { timeout_ms, kill_grace_ms = DEFAULT_GRACE_MS } = command
  const exited = new Promise<End>((done, fail) => {
    child.on('error', fail)
    child.on('exit', (exit_code, signal) => done({ exit_code, signal }))
  })
  const closed = new Promise<void>((done) => child.on('close', () => done()))
  const cut = new AbortController()
  const interruption = new Promise<'aborted' | 'timeout'>((done) => {
    if (signal.aborted) done('aborted')
    signal.addEventListener('abort', () => done('aborted'), { signal: cut.signal })
    if (timeout_ms !== undefined) {
      sleep(timeout_ms, undefined, { signal: cut.signal }).then(
        () => done('timeout'),
        () => {},
      )
    }
  })
  const first = await Promise.race([exited, interruption])
  cut.abort()
  const group = child.pid as number
  // Of a command that ended by itself only what stayed in its group is ended; else all that it has ever started.
  await endProcesses(typeof first === 'string' ? { session, group } : { group }, kill_grace_ms)
  await Promise.race([closed, sleep(PIPES_MS, undefined, { ref: false })])
  for (const stream of [child.stdout, child.stderr]) stream?.destroy()
  return first === 'timeout' ? { ...(await exited), timed_out: true } : await exited
}
