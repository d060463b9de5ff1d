// `holdfast plan`: from a document to issues, in a session that survives being killed.
// It promises that stopping it in any way loses nothing, and that the plan it prints is read from the disk.

import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { cwd } from 'node:process'
import type { SessionState } from '../state.js'
import { readDirectory } from './directory.js'
import { CommandError, usage, withHint } from './failure.js'
import { interrupted, listenForInterrupts } from './interrupt.js'
import { isDrivenPlan, isFailedPlan, isUnfinishedPlan } from './kinds.js'
import { quoted } from './next-command.js'
import type { Output } from './output.js'
import type { NewPlan } from './plan-run.js'
import { isAddress, placeIn, placeOf, plansOf, type ResumeWish, sessionToResume } from './plan-session.js'
import { type Plan, planOf, planText } from './plan-view.js'
import { printable } from './style.js'
import { table } from './table.js'

export interface PlanOptions {
  readonly dir: string
  readonly title?: string
  /** An id or the beginning of one; true for the latest. */
  readonly resume?: string | true
  /** Begins a session also beside one of the same document. */
  readonly new?: boolean
  /** Default: `local`. */
  readonly tracker?: 'local' | 'linear'
  /** Milliseconds. */
  readonly pace?: number
}

/** As `-o json` shows it. */
export interface PlanReport {
  readonly sessionId: string
  readonly plan: Plan
  /** Absolute paths. */
  readonly files: { readonly dir: string; readonly tracker?: string }
}

export async function plan(source: string | undefined, options: PlanOptions, output: Output): Promise<number> {
  if (options.new && options.resume !== undefined) {
    throw usage('--new and --resume exclude each other', 'leave one of them out')
  }
  const id = await (options.resume === undefined ? begin : goOn)(source, options, output)
  const { report, session } = reportOf(id, options.dir, output)
  if (report.plan.status !== 'completed') throw failedPlan(report, session, output)
  output.data(report, () => reportText(report, output))
  return 0
}

async function begin(source: string | undefined, options: PlanOptions, output: Output): Promise<string> {
  const { dir } = options
  if (source === undefined)
    throw usage('no document was named', `${output.next('plan <file>')}, or --resume to go on with one`)
  requireDocument(source)
  const { unfinished, made } = options.new ? {} : plansOf(dir, source, output)
  if (unfinished) throw begunAlready(unfinished, source, output)
  if (made) throw madeAlready(made, source, output)
  return run(newPlan(source, options), dir, output, (id) => output.note(`session ${id}`))
}

const begunAlready = ({ id, value }: SessionState, source: string, { next }: Output): CommandError =>
  new CommandError(
    'PLAN_UNFINISHED',
    6,
    `session ${id} of the same document is ${value === 'failed' ? 'half made' : 'not finished'}`,
    `${next(`plan --resume ${id}`)} goes on with it; ${next(`plan ${quoted(source)} --new`)} makes every issue once more`,
  )

const madeAlready = ({ id }: SessionState, source: string, { next }: Output): CommandError =>
  new CommandError(
    'PLAN_MADE',
    6,
    `session ${id} has made the issues of this document already`,
    `${next(`plan --resume ${id}`)} shows them; ${next(`plan ${quoted(source)} --new`)} makes every issue once more`,
  )

async function goOn(source: string | undefined, options: PlanOptions, output: Output): Promise<string> {
  const { dir } = options
  const session = wishedSession(source, options, output)
  requireSource(session, source)
  if (isDrivenPlan(session)) {
    throw new CommandError('NOT_ACCEPTED', 6, `session ${session.id} is driven from outside; there is nothing to run`)
  }
  if (!isUnfinishedPlan(session) && !isFailedPlan(session)) {
    output.note(`session ${session.id} was finished already; there was nothing to do`)
    return session.id
  }
  return run(session.id, dir, output, (id) => output.note(`session ${id}, going on`))
}

/** Throws what `sessionToResume` does; when a document stands where the id should, it says how that is typed. */
function wishedSession(source: string | undefined, { dir, resume }: PlanOptions, output: Output): SessionState {
  const wish = wishOf(source, resume)
  try {
    return sessionToResume(dir, wish, output)
  } catch (error) {
    const { code = '' } = error as { code?: string }
    if (wish.id === undefined || !isDocument(wish.id) || !['INVALID_ID', 'SESSION_NOT_FOUND'].includes(code))
      throw error
    const id = source === undefined || isDocument(source) ? '' : ` ${quoted(source)}`
    throw withHint(error, `the document goes before --resume: ${output.next(`plan ${quoted(wish.id)} --resume${id}`)}`)
  }
}

const isDocument = (word: string): boolean => isAddress(word) || existsSync(word)

/** What follows `--resume` is a document when it is one and could not be an id. */
function wishOf(source: string | undefined, resume: string | true | undefined): ResumeWish {
  if (typeof resume !== 'string') return { id: undefined, source }
  const isNoId = /[^A-Za-z0-9_-]/.test(resume)
  return source === undefined && isNoId && isDocument(resume)
    ? { id: undefined, source: resume }
    : { id: resume, source }
}

function requireSource(session: SessionState, source: string | undefined): void {
  const place = placeIn(session)
  if (source === undefined || place === placeOf(source, '.')) return
  throw usage(`session ${session.id} is of ${place}, not of ${source}`, 'leave the document out, or name the right one')
}

/** Looked at before anything is made; what the document holds is the session's business. */
function requireDocument(source: string): void {
  if (isAddress(source)) return
  const found = statSync(source, { throwIfNoEntry: false })
  if (!found) throw new CommandError('FILE_NOT_FOUND', 3, `there is no file ${source}`, 'name a Markdown file')
  if (found.isDirectory()) {
    throw new CommandError('FILE_IS_DIRECTORY', 2, `${source} is a directory`, 'name a Markdown file in it')
  }
}

function newPlan(source: string, { dir, title, tracker, pace }: PlanOptions): NewPlan {
  return {
    ...(title !== undefined && { title }),
    source,
    baseDir: cwd(),
    ...(tracker === 'linear' ? { tracker } : { trackerFile: resolve(join(dir, 'tracker.json')) }),
    ...(pace !== undefined && pace > 0 && { pace: { delayMs: pace } }),
  }
}

/** Runs a new session, or goes on with one, until it rests. Gives its id. */
async function run(
  target: NewPlan | string,
  dir: string,
  output: Output,
  announce: (id: string) => void,
): Promise<string> {
  let id = typeof target === 'string' ? target : undefined
  using interrupts = listenForInterrupts(() => output.note('stopping in order; once more stops at once'))
  const { signal } = interrupts
  const onSession = (session: string): void => {
    id = session
    announce(session)
  }
  try {
    const { runPlan } = await import('./plan-run.js')
    return await runPlan({ dir, target, signal, onSession }, output)
  } catch (error) {
    const resume = id === undefined ? undefined : output.next(`plan --resume ${id}`)
    if (signal.aborted) throw interrupted(resume ? `${resume} goes on with it` : 'nothing was begun')
    throw resume ? withHint(error, `once that is mended, ${resume} goes on`) : error
  }
}

function reportOf(id: string, dir: string, output: Output): { report: PlanReport; session: SessionState } {
  const reader = readDirectory(dir, output)
  try {
    const session = reader.state(id)
    const { trackerFile, ...plan } = planOf(session, reader.history(id)) as Plan
    const files = { dir: resolve(dir), ...(trackerFile !== undefined && { tracker: trackerFile }) }
    return { report: { sessionId: id, plan, files }, session }
  } finally {
    reader.close()
  }
}

function failedPlan({ sessionId, plan }: PlanReport, { error }: SessionState, output: Output): CommandError {
  const thrown = error as { message?: string } | undefined
  const { code = 'SESSION_FAILED', message = thrown?.message ?? `the session came to rest in ${plan.status}` } =
    plan.errors.at(-1) ?? {}
  for (const earlier of plan.errors.slice(0, -1)) output.warn(printable(earlier.message))
  const hint = `${output.next(`show ${sessionId}`)} shows how far it came; once that is mended, ${output.next(`plan --resume ${sessionId}`)} goes on`
  return new CommandError(code, code === 'FILE_NOT_FOUND' ? 3 : 1, printable(message), hint)
}

function reportText({ sessionId, plan, files }: PlanReport, { style }: Output): string {
  const rows = [
    ['session', sessionId],
    ['files', files.dir],
    ...(files.tracker === undefined ? [] : [['issues', files.tracker]]),
  ]
  return `${planText(plan, style)}\n\n${table(rows.map(([name = '', value = '']) => [style.dim(name), value])).join('\n')}`
}
