// The statechart of an execution session, in three regions. `status` is what people see and decide: pending → confirmed →
// completed, and cancelled from the first two; `tickets` makes plans and applies modifications; `news` tells the channel.
// It promises that modifications of a ticket are applied in their order, that nothing runs for one that was cancelled but what
// was on its way, and that a session ends when everything that it still has to do is done. It is pure: events bring their
// time, steps stamp what they find.

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
import {
  cancelled,
  changeOf,
  chosen,
  completed,
  confirmed,
  contextOf,
  type ExecutionContext,
  failed,
  isProcessed,
  markOf,
  type News,
  unrequested,
  withModifications,
  withProblem,
  withRequests,
  withResults,
} from './context.js'
import { waitIn } from './errors.js'
import type { ExecutionEvent } from './events.js'
import type { ExecutionInput } from './input.js'
import type { announce, apply, gather, look, store } from './steps.js'

export type ExecutionStatus = 'pending' | 'confirmed' | 'completed' | 'cancelled'

export interface ExecutionValue {
  readonly status: ExecutionStatus
  readonly tickets: 'resting' | 'gathering' | 'storing' | 'looking' | 'applying' | 'waiting' | 'done'
  readonly news: 'resting' | 'announcing' | 'waiting' | 'done'
}

export type ExecutionMachine = StateMachine<
  ExecutionContext,
  ExecutionEvent,
  Record<string, AnyActorRef | undefined>,
  ProvidedActor,
  ParameterizedObject,
  ParameterizedObject,
  string,
  // biome-ignore lint/suspicious/noExplicitAny: XState's own type of a value is an object of its regions; `ExecutionValue` is ours
  any,
  string,
  ExecutionInput,
  unknown,
  EventObject,
  MetaObject,
  StateSchema
>

/** What is away may be back a moment later, or in an hour: it is tried until it is. What is refused is final at once. */
const RETRIES = {
  attempts: Number.POSITIVE_INFINITY,
  backoffMs: 500,
  maxBackoffMs: 60_000,
  timeoutMs: 300_000,
} as const

type Of<T extends ExecutionEvent['type']> = Extract<ExecutionEvent, { type: T }>
type Waiting = Pick<Awaited<ReturnType<typeof apply>>, 'waitMs' | 'untried'>

const parts = setup({
  types: {} as { context: ExecutionContext; events: ExecutionEvent; input: ExecutionInput },
  actors: {
    gather: step<typeof gather>('gather', RETRIES),
    store: step<typeof store>('store', RETRIES),
    look: step<typeof look>('look', RETRIES),
    apply: step<typeof apply>('apply', RETRIES),
    announce: step<typeof announce>('announce', RETRIES),
  },
  delays: {
    ticketsSay: ({ context: { waitMs } }) => waitMs.tickets,
    newsSay: ({ context: { waitMs } }) => waitMs.news,
  },
  guards: {
    isUnrequested: ({ context, event }) => unrequested(context, (event as Of<'process'>).numbers).length > 0,
    isUnprocessed: ({ context, event }) => !isProcessed(context, (event as Of<'markProcessed'>).number),
    isToGather: ({ context: { planning } }) => planning === 'wanted',
    isToStore: ({ context: { planning } }) => planning === 'gathered',
    isMarked: ({ context: { current } }) => current.length > 0,
    isQueued: ({ context: { counts, cancelledAt } }) => counts.queued > 0 && cancelledAt === undefined,
    isOver: ({ context: { completedAt, cancelledAt } }) => (completedAt ?? cancelledAt) !== undefined,
    /** That it is completed is told when it is. */
    hasNews: ({ context: { news, planning, counts } }) => {
      return news.length > 0 && (news[0]?.kind !== 'completed' || (planning === undefined && counts.queued === 0))
    },
    isSaid: ({ context: { completedAt, cancelledAt, planning, news } }) =>
      (completedAt ?? cancelledAt) !== undefined && planning === undefined && news.length === 0,
    isToldToWait: (_, { error }: { error: unknown }) => waitIn(error) !== undefined,
  },
  actions: {
    modify: assign(({ context, event }) => withModifications(context, event as Of<'modify'>)),
    request: assign(({ context, event }) => withRequests(context, (event as Of<'process'>).numbers)),
    /** Of one that is on its way, what it comes to is not heeded any more. */
    markProcessed: assign(({ context, event }) => withResults(context, [markOf(event as Of<'markProcessed'>)])),
    countPlans: assign(({ event }) => ({ planCount: (event as Of<'updatePlanCount'>).planCount })),
    confirm: assign(({ context, event }) => confirmed(context, event as Of<'confirm'>)),
    complete: assign(({ context, event }) => completed(context, event as Of<'complete'>)),
    cancel: assign(({ context, event }) => cancelled(context, event as Of<'cancel'>)),
    keepPlans: assign(({ context }, { plans }: { plans: ExecutionContext['plans'] }) => ({
      plans,
      planCount: plans.length,
      planning: context.cancelledAt === undefined ? ('gathered' as const) : undefined,
    })),
    keepStored: assign(
      ({ context: { plans, news, cancelledAt } }, stored: { issueIds: readonly string[]; at: string }) => ({
        plans: plans.map((plan, index) => ({ ...plan, issueId: stored.issueIds[index] as string })),
        planning: undefined,
        ...(cancelledAt === undefined && { news: [{ kind: 'created' as const, at: stored.at }, ...news] }),
      }),
    ),
    giveUpPlans: assign(({ context }, { step, error }: { step: string; error: unknown }) => ({
      planning: undefined,
      problems: withProblem(context, step, error),
    })),
    choose: assign(({ context }) => ({ current: chosen(context) })),
    keepMarks: assign(({ context }, found: Awaited<ReturnType<typeof look>>) => ({
      ...withResults(context, found.results),
      // Of one that was cancelled meanwhile nothing is begun.
      current:
        context.cancelledAt === undefined ? found.marks.filter(({ number }) => !isProcessed(context, number)) : [],
    })),
    keepResults: assign(({ context }, { results }: Awaited<ReturnType<typeof apply>>) => withResults(context, results)),
    /** Whoever has to wait may have been applied already, but for what was not begun. */
    waitToApply: assign(({ context: { waitMs, current } }, { waitMs: tickets, untried = [] }: Waiting) => ({
      waitMs: { ...waitMs, tickets },
      current: current.map((each) => (untried.includes(each.number) ? each : { ...each, again: true as const })),
    })),
    dropUnbegun: assign(({ context: { current, cancelledAt } }) => ({
      current: cancelledAt === undefined ? current : current.filter(({ again }) => again),
    })),
    fail: assign(({ context }, { error }: { error: unknown }) => failed(context, error)),
    forget: assign({ current: [] }),
    waitForTracker: assign(({ context: { waitMs } }, { waitMs: tickets }: { waitMs: number }) => ({
      waitMs: { ...waitMs, tickets },
    })),
    /** Whoever has to wait may have been heard already. */
    waitForChannel: assign(({ context: { waitMs, news } }, { waitMs: ms }: { waitMs: number }) => ({
      waitMs: { ...waitMs, news: ms },
      news: news.map((each, index) => (index === 0 ? { ...each, again: true as const } : each)),
    })),
    keepSaid: assign(({ context: { news, announced } }) => ({ news: news.slice(1), announced: announced + 1 })),
    giveUpNews: assign(({ context }, { error }: { error: unknown }) => ({
      news: context.news.slice(1),
      problems: withProblem(context, 'announce', error),
    })),
  },
})

interface Failed {
  readonly event: { readonly error: unknown }
}

const errorOf = ({ event }: Failed): { error: unknown } => ({ error: event.error })
const waitOf = ({ event }: Failed): { waitMs: number } => ({ waitMs: waitIn(event.error) ?? 0 })

const told = (action: 'waitForTracker' | 'waitForChannel') =>
  ({
    guard: { type: 'isToldToWait', params: errorOf },
    target: 'waiting',
    actions: { type: action, params: waitOf },
  }) as const

const noPlans = (step: string) =>
  ({
    target: 'resting',
    actions: { type: 'giveUpPlans', params: ({ event }: Failed) => ({ step, error: event.error }) },
  }) as const

/** What may be done to a session that is not over. */
const changes = {
  modify: { actions: 'modify' },
  process: { guard: 'isUnrequested', actions: 'request' },
  markProcessed: { guard: 'isUnprocessed', actions: 'markProcessed' },
  updatePlanCount: { actions: 'countPlans' },
  cancel: { target: 'cancelled', actions: 'cancel' },
} as const

/** The statechart. Its input is checked by `input.ts`, its events by `events.ts`. */
export const executionMachine: ExecutionMachine = parts.createMachine({
  id: 'execution',
  context: ({ input }) => contextOf(input),
  type: 'parallel',
  states: {
    status: {
      initial: 'pending',
      states: {
        pending: { tags: 'waits-for-person', on: { ...changes, confirm: { target: 'confirmed', actions: 'confirm' } } },
        confirmed: { on: { ...changes, complete: { target: 'completed', actions: 'complete' } } },
        completed: { type: 'final' },
        cancelled: { type: 'final' },
      },
    },
    tickets: {
      initial: 'resting',
      states: {
        resting: {
          always: [
            { guard: 'isMarked', target: 'applying' },
            { guard: 'isToGather', target: 'gathering' },
            { guard: 'isToStore', target: 'storing' },
            { guard: 'isQueued', target: 'looking', actions: 'choose' },
            { guard: 'isOver', target: 'done' },
          ],
        },
        gathering: {
          invoke: {
            id: 'gather',
            src: 'gather',
            input: ({ context: { tracker, teamId } }) => ({ tracker, teamId }),
            onDone: {
              target: 'resting',
              actions: { type: 'keepPlans', params: ({ event }) => ({ plans: event.output.plans }) },
            },
            onError: [told('waitForTracker'), noPlans('gather')],
          },
        },
        storing: {
          invoke: {
            id: 'store',
            src: 'store',
            input: ({ context: { id, tracker, teamId, plans, generatedAt } }) => {
              return { id, tracker, teamId, plans, day: generatedAt.slice(0, 10) }
            },
            onDone: { target: 'resting', actions: { type: 'keepStored', params: ({ event }) => event.output } },
            onError: [told('waitForTracker'), noPlans('store')],
          },
        },
        looking: {
          invoke: {
            id: 'look',
            src: 'look',
            input: ({ context }) => ({
              tracker: context.tracker,
              changes: context.current.map(({ number }) => changeOf(context, number)),
            }),
            onDone: { target: 'resting', actions: { type: 'keepMarks', params: ({ event }) => event.output } },
            onError: [
              { ...told('waitForTracker'), actions: ['forget', told('waitForTracker').actions] },
              { target: 'resting', actions: { type: 'fail', params: errorOf } },
            ],
          },
        },
        applying: {
          invoke: {
            id: 'apply',
            src: 'apply',
            input: ({ context }) => ({
              tracker: context.tracker,
              changes: context.current.map(({ number, ...known }) => ({ ...changeOf(context, number), ...known })),
            }),
            onDone: [
              {
                guard: ({ event }) => event.output.waitMs > 0,
                target: 'waiting',
                actions: [
                  { type: 'keepResults', params: ({ event }) => event.output },
                  { type: 'waitToApply', params: ({ event }) => event.output },
                ],
              },
              { target: 'resting', actions: { type: 'keepResults', params: ({ event }) => event.output } },
            ],
            onError: { target: 'resting', actions: { type: 'fail', params: errorOf } },
          },
        },
        waiting: { after: { ticketsSay: { target: 'resting', actions: 'dropUnbegun' } } },
        done: { type: 'final' },
      },
    },
    news: {
      initial: 'resting',
      states: {
        resting: {
          always: [
            { guard: 'hasNews', target: 'announcing' },
            { guard: 'isSaid', target: 'done' },
          ],
        },
        announcing: {
          invoke: {
            id: 'announce',
            src: 'announce',
            input: ({ context }) => {
              const { id, channel, teamId, adminUserId, plans, planCount, counts, reason } = context
              const about = { id, teamId, adminUserId, planCount, counts, ...(reason !== undefined && { reason }) }
              const lines = plans.map(({ assignee, tickets }) => ({ name: assignee.name, tickets: tickets.length }))
              return { channel, news: context.news[0] as News, about: { ...about, plans: lines } }
            },
            onDone: { target: 'resting', actions: 'keepSaid' },
            onError: [told('waitForChannel'), { target: 'resting', actions: { type: 'giveUpNews', params: errorOf } }],
          },
        },
        waiting: { after: { newsSay: 'resting' } },
        done: { type: 'final' },
      },
    },
  },
})
