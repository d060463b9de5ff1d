// The statechart of a workflow session: created → running ⇄ paused, → completed | failed | cancelled. While it runs, one
// step follows the other: prepare the place, run the commands, survey what an iteration has changed, finish. A session
// without commands is driven from outside. Who is to stop does so at the next boundary between commands; cancelling and
// failing go through `stopping`, which ends when no process of the session is left.
// It promises that every transition of the session's state is one of its events, and that its state is what they add up to.
// It is pure: no clock (events bring their time, steps stamp what they find), no git, no processes.

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
import { commandOf, executedOf, failureOf, handlerOf, nameOf, policyOf, runOf } from './commands.js'
import type { AdmittedInput, Command, WorkflowInput } from './config.js'
import {
  contextOf,
  type Ending,
  endingOf,
  follows,
  isDriven,
  lastTime,
  reasonOf,
  stopReasonOf,
  timeOf,
  told,
  type WorkflowContext,
  withCheckpoint,
} from './context.js'
import type { WorkflowEvent } from './events.js'
import type {
  CommandOutput,
  Finished,
  finish,
  Mark,
  Place,
  Prepared,
  prepare,
  runCommand,
  Surveyed,
  survey,
  sweep,
} from './steps.js'
import { commandsIn, iterationIn, type SessionState } from './story.js'

export type WorkingValue = 'preparing' | 'command' | 'handling' | 'surveying' | 'finishing'

export type WorkflowValue =
  | 'created'
  | { readonly running: 'driven' | { readonly working: WorkingValue } }
  | 'paused'
  | 'stopping'
  | 'completed'
  | 'failed'
  | 'cancelled'

export type WorkflowMachine = StateMachine<
  WorkflowContext,
  WorkflowEvent,
  Record<string, AnyActorRef | undefined>,
  ProvidedActor,
  ParameterizedObject,
  ParameterizedObject,
  string,
  WorkflowValue,
  string,
  WorkflowInput,
  SessionState,
  EventObject,
  MetaObject,
  StateSchema
>

/** Git is busy now and then: somebody else holds one of its locks. Other errors are final, and say so. */
const GIT = { attempts: 5, backoffMs: 500, timeoutMs: 1_800_000 } as const
/** Its processes have their own grace; this is how long the thread waits for that. An attempt is lost when a thread dies. */
const COMMAND = { attempts: 3, graceMs: 60_000 } as const

type Of<TType extends WorkflowEvent['type']> = Extract<WorkflowEvent, { type: TType }>

const parts = setup({
  types: {} as {
    context: WorkflowContext
    events: WorkflowEvent
    input: AdmittedInput
    output: SessionState
  },
  actors: {
    prepare: step<typeof prepare>('prepare', GIT),
    runCommand: step<typeof runCommand>('runCommand', COMMAND),
    survey: step<typeof survey>('survey', GIT),
    finish: step<typeof finish>('finish', GIT),
    // Cancelled is told when no process is left, and not before: what cannot be ended now is tried again.
    sweep: step<typeof sweep>('sweep', { ...COMMAND, attempts: Number.POSITIVE_INFINITY }),
  },
  guards: {
    stateWas: ({ context }, { type }: { type: SessionState['type'] }) => context.state.type === type,
    isDriven: ({ context }) => isDriven(context),
    /** It was cancelled, or failed, while it was finishing; what is in the project already cannot be taken back. */
    isTakenBack: ({ context }, { output }: { output: Finished }) =>
      context.ending !== undefined && output.merge?.status !== 'merged',
    isEnding: ({ context }) => context.ending !== undefined,
    isCancelled: ({ context }) => context.ending?.cancelled === true,
    isAnalysis: ({ event }) => (event as Of<'record'>).event.type === 'AnalysisCompleted',
    follows: ({ context, event }) => follows(context, (event as Of<'record'>).event),
    isFree: ({ context }) => context.wish === undefined,
    mayComplete: ({ context }) => context.wish?.type !== 'complete',
    isToPause: ({ context }) => context.wish?.type === 'pause',
    isToFinish: ({ context }) => !iterationIn(context.log).begun && stopReasonOf(context) !== undefined,
    isToRun: ({ context }) => context.wish === undefined && commandOf(context) !== undefined,
    isToAsk: (_, { output }: { output: CommandOutput }) => output.ask === true,
    goesOn: ({ context }, { output }: { output: CommandOutput }) => output.success || policyOf(context) === 'continue',
    isHandled: ({ context }) => handlerOf(context) !== undefined && policyOf(context) === 'handle',
    isRetried: ({ context }, { output }: { output: CommandOutput }) =>
      output.success && handlerOf(context)?.next === 'retry',
    isSkipped: ({ context }, { output }: { output: CommandOutput }) =>
      output.success && handlerOf(context)?.next === 'continue',
  },
  actions: {
    start: assign(({ context, event }) => {
      const { config } = context
      const at = timeOf(event)
      const started = told(context, at, { type: 'Started', config })
      return { ...started, checkpoints: withCheckpoint({ ...context, ...started }, at, true) }
    }),
    record: assign(({ context, event }) => told(context, timeOf(event), (event as Of<'record'>).event)),
    checkpoint: assign(({ context, event }, { resumable }: { resumable: boolean }) => ({
      checkpoints: withCheckpoint(context, timeOf(event), resumable && !iterationIn(context.log).begun),
    })),
    wishPause: assign(({ event }) => ({ wish: { type: 'pause' as const, reason: reasonOf(event) } })),
    wishComplete: assign({ wish: { type: 'complete' as const } }),
    pause: assign(({ context, event }) => told(context, timeOf(event), { type: 'Paused', reason: reasonOf(event) })),
    resume: assign(({ context, event }) => told(context, timeOf(event), { type: 'Resumed' })),
    complete: assign(({ context, event }) =>
      told(context, timeOf(event), { type: 'Completed', stopped_because: 'asked' }),
    ),
    /** At once, where nothing runs. */
    end: assign(({ context, event }) => told(context, timeOf(event), { type: 'Failed', ...endingOf(event) })),
    noteEnding: assign(({ event }) => ({ ending: endingOf(event) })),
    noteFailure: assign((_, { what, error }: { what: string; error: unknown }) => ({
      ending: { error: `${what}: ${String((error as { message?: unknown }).message)}` },
    })),
    noteFailedCommand: assign((_, { output }: { output: CommandOutput }) => ({ ending: { error: failureOf(output) } })),
    noteHandled: assign(({ context }, { output }: { output: CommandOutput }) => ({
      ending: {
        error: output.success
          ? `"${nameOf(commandOf(context) as Command)}" failed; what it has for that case was run`
          : failureOf(output),
      },
    })),
    place: assign((_, { output: { place, mark } }: { output: Prepared }) => ({ place, mark })),
    // Within a transition nobody tells the time; it is that of the step whose end led here.
    pauseHere: assign(({ context, event }) => {
      const { wish } = context
      const reason = wish?.type === 'pause' ? wish.reason : ''
      return { ...told(context, timeOf(event), { type: 'Paused', reason }), wish: undefined }
    }),
    beginIteration: assign(({ context, event }) => {
      const { number, begun } = iterationIn(context.log)
      return begun ? {} : told(context, timeOf(event), { type: 'IterationStarted', number: number + 1 })
    }),
    tellCommand: assign(({ context }, { output, handler }: { output: CommandOutput; handler: boolean }) => {
      const { at, analysis } = output
      const executed = executedOf(context, output, handler)
      return analysis === undefined
        ? told(context, at, executed)
        : told(context, at, executed, { type: 'AnalysisCompleted', results: analysis })
    }),
    ask: assign(({ context }, { output: { command, at } }: { output: CommandOutput }) => {
      const reason = `"${command}" was interrupted by a crash; resume to run it again`
      return { ...told(context, at, { type: 'Paused', reason }), wish: undefined }
    }),
    next: assign(({ context }) => ({ index: context.index + 1, retries: 0 })),
    retry: assign(({ context }) => ({ retries: context.retries + 1 })),
    completeIteration: assign(({ context }, { output }: { output: Surveyed }) => {
      const { at, mark, changes } = output
      const after = told(context, at, {
        type: 'IterationCompleted',
        changes: { ...changes, commands_run: commandsIn(context.log) },
      })
      const checkpoints = withCheckpoint({ ...context, ...after, mark }, at, true)
      return { ...after, mark, index: 0, retries: 0, checkpoints }
    }),
    finish: assign(({ context }, { output: { at, merge } }: { output: Finished }) => {
      const stopped_because = stopReasonOf(context) ?? 'asked'
      return told(context, at, { type: 'Completed', stopped_because, ...(merge && { merge }) })
    }),
    stop: assign(({ context }, { at }: { at: string | undefined }) =>
      told(context, at ?? lastTime(context), { type: 'Failed', ...(context.ending as Ending) }),
    ),
  },
})

const wishes = {
  pause: { guard: 'isFree', actions: 'wishPause' },
  complete: { guard: 'mayComplete', actions: 'wishComplete' },
} as const

const stops = {
  cancel: { target: '#workflow.stopping', actions: 'noteEnding' },
  fail: { target: '#workflow.stopping', actions: 'noteEnding' },
} as const

/** What is under way goes on to its end, and then it is seen. */
const endings = { cancel: { actions: 'noteEnding' }, fail: { actions: 'noteEnding' } } as const

const checkpointOf = (resumable: boolean) =>
  ({ checkpoint: { actions: { type: 'checkpoint', params: { resumable } } } }) as const

const keptAnalysis = { guard: 'isAnalysis', actions: 'record' } as const

type DoneOf<T> = { event: { output: T } }
const output = <T>({ event }: DoneOf<T>) => ({ output: event.output })

const failing = (what: string) =>
  ({
    target: '#workflow.stopping',
    actions: {
      type: 'noteFailure',
      params: ({ event }: { event: { error: unknown } }) => ({ what, error: event.error }),
    },
  }) as const

function tells(handler: boolean) {
  const params = ({ event }: DoneOf<CommandOutput>) => ({ output: event.output, handler })
  return { type: 'tellCommand', params } as const
}

function stopped<TEvent>(params: (args: { event: TEvent }) => { at: string | undefined }) {
  const actions = { type: 'stop', params } as const
  return [
    { guard: 'isCancelled', target: '#workflow.cancelled', actions },
    { target: '#workflow.failed', actions },
  ] as const
}

/** The statechart. Its input is checked by `config.ts`, its events by `events.ts`. */
export const workflowMachine: WorkflowMachine = parts.createMachine({
  id: 'workflow',
  context: ({ input }) => contextOf(input),
  initial: 'entering',
  states: {
    /** Where a session that was kept somewhere else had been; a new one was created. */
    entering: {
      always: [
        { guard: { type: 'stateWas', params: { type: 'Created' } }, target: 'created' },
        { guard: { type: 'stateWas', params: { type: 'Paused' } }, target: 'paused' },
        { guard: { type: 'stateWas', params: { type: 'Completed' } }, target: 'completed' },
        { guard: { type: 'stateWas', params: { type: 'Failed' } }, target: 'failed' },
        { guard: { type: 'stateWas', params: { type: 'Cancelled' } }, target: 'cancelled' },
        { target: 'running' },
      ],
    },
    created: {
      on: {
        start: { target: 'running', actions: 'start' },
        cancel: { target: 'cancelled', actions: 'end' },
        ...checkpointOf(true),
      },
    },
    running: {
      initial: 'choosing',
      states: {
        choosing: { always: [{ guard: 'isDriven', target: 'driven' }, { target: 'working' }] },
        /** There are no commands: somebody outside does the work, and tells. */
        driven: {
          on: {
            record: [keptAnalysis, { guard: 'follows', actions: 'record' }],
            pause: { target: '#workflow.paused', actions: 'pause' },
            complete: { target: '#workflow.completed', actions: 'complete' },
            cancel: { target: '#workflow.cancelled', actions: 'end' },
            fail: { target: '#workflow.failed', actions: 'end' },
            ...checkpointOf(true),
          },
        },
        working: {
          initial: 'preparing',
          on: { record: keptAnalysis, ...checkpointOf(false) },
          states: {
            preparing: {
              on: { ...wishes, ...stops },
              invoke: {
                id: 'prepare',
                src: 'prepare',
                input: ({ context: { config, place, mark } }) => ({
                  ...{ project: config.project_path, mode: config.execution_mode },
                  ...(place && { place }),
                  ...(mark && { mark }),
                }),
                onDone: { target: 'boundary', actions: { type: 'place', params: output<Prepared> } },
                onError: failing('the place could not be prepared'),
              },
            },
            boundary: {
              always: [
                { guard: 'isToPause', target: '#workflow.paused', actions: 'pauseHere' },
                { guard: 'isToFinish', target: 'finishing' },
                { guard: 'isToRun', target: 'command', actions: 'beginIteration' },
                { target: 'surveying' },
              ],
            },
            command: {
              on: { ...wishes, ...stops },
              invoke: {
                id: 'command',
                src: 'runCommand',
                input: ({ context }) => runOf(context, commandOf(context) as Command),
                onDone: [
                  {
                    guard: { type: 'isToAsk', params: output<CommandOutput> },
                    target: '#workflow.paused',
                    actions: { type: 'ask', params: output<CommandOutput> },
                  },
                  {
                    guard: { type: 'goesOn', params: output<CommandOutput> },
                    target: 'boundary',
                    actions: [tells(false), 'next'],
                  },
                  { guard: 'isHandled', target: 'handling', actions: tells(false) },
                  {
                    target: '#workflow.stopping',
                    actions: [tells(false), { type: 'noteFailedCommand', params: output<CommandOutput> }],
                  },
                ],
                onError: failing('the command could not be run'),
              },
            },
            /** What a failed command has for that case. */
            handling: {
              on: { ...wishes, ...stops },
              invoke: {
                id: 'handler',
                src: 'runCommand',
                input: ({ context }) => runOf(context, { shell: handlerOf(context)?.shell ?? '', on_crash: 'rerun' }),
                onDone: [
                  {
                    guard: { type: 'isRetried', params: output<CommandOutput> },
                    target: 'boundary',
                    actions: [tells(true), 'retry'],
                  },
                  {
                    guard: { type: 'isSkipped', params: output<CommandOutput> },
                    target: 'boundary',
                    actions: [tells(true), 'next'],
                  },
                  {
                    target: '#workflow.stopping',
                    actions: [tells(true), { type: 'noteHandled', params: output<CommandOutput> }],
                  },
                ],
                onError: failing('the command could not be run'),
              },
            },
            surveying: {
              on: { ...wishes, ...stops },
              invoke: {
                id: 'survey',
                src: 'survey',
                input: ({ context: { place, mark } }) => ({ place: place as Place, mark: mark as Mark }),
                onDone: { target: 'preparing', actions: { type: 'completeIteration', params: output<Surveyed> } },
                onError: failing('what the iteration has changed could not be told'),
              },
            },
            /** Half a merge would be left in the project: nothing here is cut off. */
            finishing: {
              on: endings,
              invoke: {
                id: 'finish',
                src: 'finish',
                input: ({ context: { config, place } }) => ({
                  ...{ place: place as Place, merge: config.options.auto_merge },
                }),
                onDone: [
                  { guard: { type: 'isTakenBack', params: output<Finished> }, target: '#workflow.stopping' },
                  { target: '#workflow.completed', actions: { type: 'finish', params: output<Finished> } },
                ],
                onError: [{ guard: 'isEnding', target: '#workflow.stopping' }, failing('it could not be finished')],
              },
            },
          },
        },
      },
    },
    paused: {
      tags: 'waits-for-person',
      on: {
        resume: { target: 'running', actions: 'resume' },
        complete: [
          { guard: 'isDriven', target: 'completed', actions: 'complete' },
          { target: 'running', actions: ['resume', 'wishComplete'] },
        ],
        cancel: [{ guard: 'isDriven', target: 'cancelled', actions: 'end' }, stops.cancel],
        fail: [{ guard: 'isDriven', target: 'failed', actions: 'end' }, stops.fail],
        record: keptAnalysis,
        ...checkpointOf(true),
      },
    },
    /** Until no process of it is left. */
    stopping: {
      invoke: {
        id: 'sweep',
        src: 'sweep',
        input: ({ context: { config, place } }) => ({ project: config.project_path, ...(place && { place }) }),
        onDone: stopped(({ event }) => ({ at: event.output.at })),
        onError: stopped(() => ({ at: undefined })),
      },
    },
    completed: { type: 'final' },
    failed: { type: 'final' },
    cancelled: { type: 'final' },
  },
  output: ({ context }) => context.state,
}) as unknown as WorkflowMachine
