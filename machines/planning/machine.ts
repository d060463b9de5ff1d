// The statechart of a planning session: pending → processing → completed | failed. In `processing.working` five steps run
// one after the other, and when somebody out there says "not now" the session waits as long as it was told to, on a
// durable timer; in `processing.driven` no step runs: then somebody outside does the work and tells the setters.
// It promises that only `start` starts steps, that setters are taken in every state, and that leaving `working` stops the
// step. `completed` and `failed` are resting states: never final, so that the setters still act.
// It is pure: no clock (events bring their time, see `events.ts`; steps stamp what they find or throw), no files.
//
// A document never stands in the context: each step's output goes from its event straight to the next step, and the next
// record takes its place. The context holds what the session shows, where things are, and the plan until all of it is made:
// a session that failed meanwhile and is put back to `pending` goes on with that plan, under the same ids.

import { step } from 'holdfast'
import {
  type AnyActorRef,
  assign,
  type EventObject,
  type MetaObject,
  type ParameterizedObject,
  type ProvidedActor,
  type StateMachine,
  type StateSchema,
  setup,
} from 'xstate'
import type { PlanningDocument, PlanningWarning } from './document.js'
import type { NoteFields, PlanningEvent, UpdateFields } from './events.js'
import type { ExtractorConfig, Pace, PlanningInput } from './input.js'
import type { PlanningSessionResult, PlanningSessionStatus } from './state.js'
import type { createIssues, Extracted, extract, Fetched, fetch, Issued, linkHierarchy, Parsed, parse } from './steps.js'
import type { TrackerConfig } from './tracker.js'

/** An error or a warning as a session keeps it. */
export interface PlanningNote extends NoteFields {
  /** ISO 8601; absent when it is known only to the record (see `events.ts`). */
  readonly timestamp?: string
}

export interface PlanningContext {
  readonly title: string
  /** True until a title that nobody gave is taken from the document. */
  readonly untitled?: true
  readonly source: string
  readonly organizationId: string
  readonly baseDir: string
  /** Hosts that may have private addresses; absent: none. */
  readonly allowHosts?: readonly string[]
  readonly tracker: TrackerConfig
  /** Absent: by rule. */
  readonly extractor?: ExtractorConfig
  readonly pace: Pace | null
  /** 0 to 100. */
  readonly progress: number
  readonly progressMessage?: string
  readonly errors: readonly PlanningNote[]
  readonly warnings: readonly PlanningNote[]
  /** From the creation of the issues on: also when linking them then fails. */
  readonly result?: PlanningSessionResult
  /** What is being made: from the extraction on, until the session completes. */
  readonly making?: Making
  /** How many of its links are known to be made. */
  readonly linked?: number
  /** How long to wait, in ms, and how often that was said since the last start. */
  readonly wait?: { readonly ms: number; readonly times: number }
}

/** A plan, and the key that its issues are made under: the same however often the session fails and goes on. */
export interface Making {
  readonly plan: PlanningDocument
  readonly key: string
}

export type WorkingValue = 'fetching' | 'parsing' | 'extracting' | 'creatingIssues' | 'linkingHierarchy' | 'waiting'

export type PlanningValue =
  | 'pending'
  | { readonly processing: 'driven' | { readonly working: WorkingValue } }
  | 'completed'
  | 'failed'

export type PlanningMachine = StateMachine<
  PlanningContext,
  PlanningEvent,
  Record<string, AnyActorRef | undefined>,
  ProvidedActor,
  ParameterizedObject,
  ParameterizedObject,
  string,
  PlanningValue,
  string,
  PlanningInput,
  unknown,
  EventObject,
  MetaObject,
  StateSchema
>

/** What is busy or away may be there a moment later: five times in about eight seconds. Most errors are final, though. */
const RETRIES = { attempts: 5, backoffMs: 500 } as const
/** Nobody is asked for ever: each wait is an hour at most. */
const MOST_WAITS = 50
/** For what only computes: far beyond what the largest document takes. */
const COMPUTING_TIMEOUT_MS = 300_000
/** A language model takes its time. */
const EXTRACTING_TIMEOUT_MS = 1_800_000

const parts = setup({
  types: {} as { context: PlanningContext; events: PlanningEvent; input: PlanningInput },
  actors: {
    fetch: step<typeof fetch>('fetch', { ...RETRIES, timeoutMs: COMPUTING_TIMEOUT_MS }),
    parse: step<typeof parse>('parse', { timeoutMs: COMPUTING_TIMEOUT_MS }),
    extract: step<typeof extract>('extract', { ...RETRIES, timeoutMs: EXTRACTING_TIMEOUT_MS }),
    createIssues: step<typeof createIssues>('createIssues', RETRIES),
    linkHierarchy: step<typeof linkHierarchy>('linkHierarchy', RETRIES),
  },
  delays: {
    asTold: ({ context: { wait } }) => wait?.ms ?? 0,
  },
  guards: {
    asksFor: ({ event }, { status }: { status: PlanningSessionStatus }) =>
      (event.type === 'setStatus' || event.type === 'updateState') && event.status === status,
    /** True when a plan was found and not all of it is known to be made. */
    isMaking: ({ context }) => context.making !== undefined,
    isToldToWait: ({ context: { wait } }, { error }: { error: unknown }) =>
      waitIn(error) !== undefined && (wait?.times ?? 0) < MOST_WAITS,
  },
  actions: {
    /** Errors are those of one run; what an earlier one said stands in the history. */
    begin: assign({ progress: 0, progressMessage: undefined, result: undefined, errors: [], wait: undefined }),
    advance: assign((_, { progress, message }: { progress: number; message: string }) => ({
      progress,
      progressMessage: message,
    })),
    /** What a setter sets. */
    set: assign(({ context, event }) => changeOf(context, event)),
    warn: assign(({ context }, { found }: { found: Extracted }) => ({
      warnings: [...context.warnings, ...found.plan.warnings.map((warning) => noteOf(warning, found.at))],
    })),
    keepPlan: assign((_, { found: { plan, key } }: { found: Extracted }) => ({
      making: { plan: { ...plan, warnings: [] }, key },
    })),
    takeTitle: assign(({ context: { untitled } }, { found: { title } }: { found: Extracted }) => ({
      untitled: undefined,
      ...(untitled && title !== undefined && { title }),
    })),
    forgetPlan: assign({ making: undefined, linked: undefined, wait: undefined }),
    /** What was done before is not done again (see `linkHierarchy`). */
    wait: assign(({ context: { wait } }, { error }: { error: unknown }) => {
      const { linked } = (error as Thrown).details ?? {}
      return {
        progressMessage: waitMessage(error as Thrown),
        wait: { ms: waitIn(error) ?? 0, times: (wait?.times ?? 0) + 1 },
        ...(linked !== undefined && { linked }),
      }
    }),
    keepResult: assign((_, { result }: { result: PlanningSessionResult }) => ({ result })),
    fail: assign(({ context }, { step, error }: { step: string; error: unknown }) => ({
      errors: [...context.errors, failureOf(step, error)],
    })),
  },
})

/** Where a setter's status leads; `processing` from outside never leads to the steps. */
const targets = [
  { guard: { type: 'asksFor', params: { status: 'pending' } }, target: '.pending', actions: 'set' },
  { guard: { type: 'asksFor', params: { status: 'processing' } }, target: '.processing.driven', actions: 'set' },
  { guard: { type: 'asksFor', params: { status: 'completed' } }, target: '.completed', actions: 'set' },
  { guard: { type: 'asksFor', params: { status: 'failed' } }, target: '.failed', actions: 'set' },
] as const

/** Already there: whatever runs goes on. */
const alreadyProcessing = { guard: { type: 'asksFor', params: { status: 'processing' } }, actions: 'set' } as const

const at = (progress: number, message: string) => ({ type: 'advance', params: { progress, message } }) as const

const thrown = ({ event }: { event: { error: unknown } }) => ({ error: event.error })

const failedIn = (step: string) =>
  [
    { guard: { type: 'isToldToWait', params: thrown }, target: 'waiting', actions: { type: 'wait', params: thrown } },
    {
      target: '#planning.failed',
      actions: { type: 'fail', params: ({ event }: { event: { error: unknown } }) => ({ step, error: event.error }) },
    },
  ] as const

/** The statechart. Its input is checked by `input.ts`, its events by `events.ts`. */
export const planningMachine: PlanningMachine = parts.createMachine({
  id: 'planning',
  context: ({ input }) => contextOf(input),
  initial: 'pending',
  on: {
    setProgress: { actions: 'set' },
    setStatus: targets,
    addError: { target: '.failed', actions: 'set' },
    addWarning: { actions: 'set' },
    setResult: { target: '.completed', actions: 'set' },
    updateState: [...targets, { actions: 'set' }],
  },
  states: {
    pending: {
      on: {
        start: [
          { guard: 'isMaking', target: 'processing.working.creatingIssues', actions: 'begin' },
          { target: 'processing', actions: 'begin' },
        ],
      },
    },
    processing: {
      initial: 'working',
      on: { setStatus: alreadyProcessing, updateState: alreadyProcessing },
      states: {
        working: {
          initial: 'fetching',
          states: {
            fetching: {
              entry: at(10, 'Fetching the document'),
              invoke: {
                id: 'fetch',
                src: 'fetch',
                input: ({ context: { source, baseDir, allowHosts = [] } }) => ({ source, baseDir, allowHosts }),
                onDone: 'parsing',
                onError: failedIn('fetch'),
              },
            },
            parsing: {
              entry: at(20, 'Parsing the document'),
              invoke: {
                id: 'parse',
                src: 'parse',
                input: ({ event }) => {
                  const { text, format = 'markdown', title } = outputIn<Fetched>(event)
                  return { text, format, ...(title !== undefined && { title }) }
                },
                onDone: 'extracting',
                onError: failedIn('parse'),
              },
            },
            extracting: {
              entry: at(40, 'Extracting epics, features, stories and enablers'),
              invoke: {
                id: 'extract',
                src: 'extract',
                input: ({ event, context: { extractor } }) => ({
                  document: outputIn<Parsed>(event),
                  ...(extractor && { extractor }),
                }),
                onDone: {
                  target: 'creatingIssues',
                  actions: [
                    { type: 'warn', params: ({ event }) => ({ found: event.output }) },
                    { type: 'takeTitle', params: ({ event }) => ({ found: event.output }) },
                    { type: 'keepPlan', params: ({ event }) => ({ found: event.output }) },
                  ],
                },
                onError: failedIn('extract'),
              },
            },
            creatingIssues: {
              entry: at(60, 'Creating issues'),
              invoke: {
                id: 'createIssues',
                src: 'createIssues',
                input: ({ context: { making, tracker, pace } }) => ({ ...(making as Making), tracker, pace }),
                onDone: {
                  target: 'linkingHierarchy',
                  actions: { type: 'keepResult', params: ({ event }) => ({ result: event.output.result }) },
                },
                onError: failedIn('createIssues'),
              },
            },
            linkingHierarchy: {
              entry: at(80, 'Linking epics, features, stories and enablers'),
              invoke: {
                id: 'linkHierarchy',
                src: 'linkHierarchy',
                input: ({ event, context: { tracker, pace, linked = 0 } }) => {
                  return { links: outputIn<Issued>(event).links, linked, tracker, pace }
                },
                onDone: { target: '#planning.completed', actions: at(100, 'Planning completed') },
                onError: failedIn('linkHierarchy'),
              },
            },
            waiting: {
              after: { asTold: [{ guard: 'isMaking', target: 'creatingIssues' }, { target: 'fetching' }] },
            },
          },
        },
        driven: {},
      },
    },
    completed: { entry: 'forgetPlan' },
    failed: {},
  },
})

/** XState types the event of an invoke's input as one from outside; here it is the end of the step before. */
const outputIn = <T>(event: unknown): T => (event as { readonly output: T }).output

/** The door has filled in what was left out; these stand in where a machine is run without one. */
const contextOf = (input: PlanningInput): PlanningContext => ({
  title: input.title ?? nameOf(input.source),
  ...(input.title === undefined && { untitled: true }),
  source: input.source,
  organizationId: input.organizationId ?? '',
  baseDir: input.baseDir ?? '.',
  ...(input.allowHosts && { allowHosts: input.allowHosts }),
  tracker:
    input.tracker === 'linear'
      ? { kind: 'linear', teamId: input.teamId ?? '' }
      : { kind: 'local', file: input.trackerFile ?? 'tracker.json' },
  ...(input.extractor && { extractor: input.extractor }),
  pace: input.pace ?? null,
  progress: 0,
  errors: [],
  warnings: [],
})

/** `checkout` of `docs/checkout.md`. */
const nameOf = (source: string): string =>
  source
    .replace(/[\\/]+$/, '')
    .replace(/^.*[\\/]/, '')
    .replace(/(?<=.)\.[^.]*$/, '') || source

function changeOf(context: PlanningContext, event: PlanningEvent): Partial<PlanningContext> {
  switch (event.type) {
    case 'start':
    case 'setStatus':
      return {}
    case 'setProgress':
      return { progress: event.progress, progressMessage: event.message }
    case 'addError':
      return { errors: [...context.errors, noteOf(event, event.at)] }
    case 'addWarning':
      return { warnings: [...context.warnings, noteOf(event, event.at)] }
    case 'setResult':
      return { result: event.result, progress: 100 }
    case 'updateState':
      return updateOf(event, event.at)
  }
}

/** Exactly the fields that the update has. */
function updateOf({ progress, progressMessage, errors, warnings, result }: UpdateFields, at: string | undefined) {
  return {
    ...(progress !== undefined && { progress }),
    ...(progressMessage !== undefined && { progressMessage }),
    ...(errors && { errors: errors.map((note) => noteOf(note, note.timestamp ?? at)) }),
    ...(warnings && { warnings: warnings.map((note) => noteOf(note, note.timestamp ?? at)) }),
    ...(result && { result }),
  }
}

function noteOf({ message, code, details }: NoteFields | PlanningWarning, timestamp: string | undefined): PlanningNote {
  return {
    message,
    ...(code !== undefined && { code }),
    ...(details !== undefined && { details }),
    ...(timestamp !== undefined && { timestamp }),
  }
}

/** A step's error as it arrives: JSON, with what the step put into it. */
interface Thrown {
  readonly message: string
  readonly code?: string | number
  readonly details?: { readonly waitMs?: number; readonly linked?: number }
  readonly at?: string
}

/** How long an error says to wait, in ms. */
function waitIn(error: unknown): number | undefined {
  const waitMs = (error as Partial<Thrown> | undefined)?.details?.waitMs
  return typeof waitMs === 'number' ? waitMs : undefined
}

function waitMessage({ message, at, details: { waitMs = 0 } = {} }: Thrown): string {
  return at === undefined ? message : `${message}: waiting until ${new Date(Date.parse(at) + waitMs).toISOString()}`
}

function failureOf(step: string, error: unknown): PlanningNote {
  const { message, code, details, at } = error as Thrown
  return noteOf({ message, ...(code !== undefined && { code: String(code) }), details: { ...details, step } }, at)
}
