// The statechart of an agent's session: initializing → active ⇄ idle → terminating → terminated. It starts one child
// session a conversation, and is the only one to say when a model may be called: no call begins while the budget is spent
// (`paused`), nor before the provider wants to be asked again (`parked`). All of that is `active`: only a session in which
// nothing is under way becomes idle, and an idle one ends when its time is over.
// Pure: no clock, no chance. `initializing` and `terminating` run the hooks of the user's module as steps.

import { step } from 'holdfast'
import {
  type AnyActorRef,
  assign,
  type EventObject,
  emit,
  enqueueActions,
  type MetaObject,
  type ParameterizedObject,
  type ProvidedActor,
  type StateMachine,
  type StateSchema,
  setup,
} from 'xstate'
import { conversationMachine } from './conversation.js'
import type { AgentEvent, ConversationEnd, ConversationReport } from './events.js'
import type { JsonObject } from './json.js'
import { type Budget, type BudgetLevel, type LlmConfig, levelOf, NO_USAGE, sumOf, type Usage } from './llm-config.js'
import type { SessionConfig } from './session-config.js'
import type { start, stop } from './steps.js'

/** What a session is created with; what is left out has the original's defaults. */
export interface AgentInput {
  readonly config?: Partial<SessionConfig>
  readonly llm_config?: LlmConfig
  readonly metadata?: JsonObject
}

export interface AgentContext {
  readonly config: SessionConfig
  readonly llm_config: LlmConfig
  readonly metadata: JsonObject
  /** Those that are open, and what they are at. */
  readonly conversations: { readonly [conversation: string]: ConversationStatus }
  /** How many conversations there ever were. */
  readonly begun: number
  /** Conversations that wait to call their model, in the order of their asking. */
  readonly held: readonly string[]
  readonly used: Usage
  /** Of `llm_config` at first, and then what it was raised to. */
  readonly budget?: Budget
  /** The provider's wish, while it is parked. */
  readonly limit?: { readonly retry_after_ms: number; readonly until: string }
  /** The last thing that went wrong. */
  readonly error?: string
  /** Why it terminated, when somebody said so, or time. */
  readonly reason?: string
}

export type ConversationStatus = 'busy' | 'ready' | 'failed'

export type AgentValue =
  | 'initializing'
  | { readonly active: 'working' | 'quiet' | 'paused' | 'parked' }
  | 'idle'
  | { readonly terminating: 'closing' | 'stopping' }
  | 'terminated'

export interface AgentOutput {
  readonly error?: string
  readonly reason?: string
}

/** Told to observers (`emitted$`) when a budget comes to a new level. */
export interface BudgetEmitted {
  readonly type: 'budget'
  readonly level: BudgetLevel
  readonly used: Usage
  readonly budget: Budget
}

export type AgentMachine = StateMachine<
  AgentContext,
  AgentEvent,
  Record<string, AnyActorRef | undefined>,
  ProvidedActor,
  ParameterizedObject,
  ParameterizedObject,
  string,
  AgentValue,
  string,
  AgentInput,
  AgentOutput,
  EventObject,
  MetaObject,
  StateSchema
>

/** Nothing under way for so long, or half of the timeout if that is less, and an active session is idle. */
const QUIET_MS = 60_000
/** How long conversations have to end before a terminating session stops them. */
const CLOSING_MS = 10_000
const HOOK_MS = 120_000
const HOOK_ATTEMPTS = 3

const quietMs = ({ config }: AgentContext): number => Math.min(QUIET_MS, timeoutMs(config) / 2)
const timeoutMs = ({ timeout_minutes }: SessionConfig): number => timeout_minutes * 60_000

/** The level of its budget. */
export const budgetLevelOf = ({ used, budget, llm_config }: AgentContext): BudgetLevel =>
  levelOf(used, budget, llm_config.price)

const parts = setup({
  types: {} as {
    context: AgentContext
    events: AgentEvent | ConversationReport | ConversationEnd
    input: AgentInput
    output: AgentOutput
    emitted: BudgetEmitted
  },
  actors: {
    conversation: conversationMachine,
    start: step<typeof start>('start', { attempts: HOOK_ATTEMPTS, timeoutMs: HOOK_MS }),
    stop: step<typeof stop>('stop', { attempts: HOOK_ATTEMPTS, timeoutMs: HOOK_MS }),
  },
  delays: {
    quiet: ({ context }) => quietMs(context),
    idle: ({ context }) => timeoutMs(context.config) - quietMs(context),
    limit: ({ context }) => context.limit?.retry_after_ms ?? 0,
    closing: CLOSING_MS,
  },
  guards: {
    isBusy: ({ context }) => busyOf(context).length > 0,
    isQuiet: ({ context }) => busyOf(context).length === 0,
    isSpent: ({ context }) => budgetLevelOf(context) === 'spent',
    isFunded: ({ context }) => budgetLevelOf(context) !== 'spent',
    isLimited: ({ context }) => context.limit !== undefined,
    hasNone: ({ context }) => Object.keys(context.conversations).length === 0,
    mayBegin: ({ context, event }) => {
      const { conversation } = event as Extract<AgentEvent, { type: 'converse' }>
      const open = Object.keys(context.conversations).length
      return open < context.config.max_conversations && statusOf(context, conversation ?? nextId(context)) === undefined
    },
    mayHear: ({ context, event }) => ['ready', 'failed'].includes(statusOf(context, idIn(event)) ?? ''),
    hasFailed: ({ context, event }) => statusOf(context, idIn(event)) === 'failed',
    isOpen: ({ context, event }) => statusOf(context, idIn(event)) !== undefined,
    /** Each limit that is given is above the one before; one that was not there was none, and stays so. */
    raises: ({ context: { budget }, event }) => {
      const { tokens, money } = event as Extract<AgentEvent, { type: 'raiseBudget' }>
      const above = (to: number | undefined, from: number | undefined) => to === undefined || to > (from ?? Infinity)
      return (tokens ?? money) !== undefined && above(tokens, budget?.tokens) && above(money, budget?.money)
    },
    isLater: ({ context, event }) =>
      (event as Extract<ConversationReport, { type: 'conversation.limited' }>).until > (context.limit?.until ?? ''),
  },
  actions: {
    begin: enqueueActions(({ enqueue, context, event }) => {
      const { text, conversation = nextId(context) } = event as Extract<AgentEvent, { type: 'converse' }>
      const { llm_config, metadata } = context
      enqueue.spawnChild('conversation', { id: conversation, input: { conversation, text, llm_config, metadata } })
      enqueue.assign({ conversations: withStatus(context, conversation, 'busy'), begun: context.begun + 1 })
    }),
    /** To a conversation that is ready, or has failed. */
    pass: enqueueActions(({ enqueue, context, event }) => {
      const { conversation, ...rest } = event as Extract<AgentEvent, { type: 'message' | 'retry' }>
      enqueue.sendTo(conversation, rest)
      enqueue.assign({ conversations: withStatus(context, conversation, 'busy') })
    }),
    end: enqueueActions(({ enqueue, event }) => enqueue.sendTo(idIn(event), { type: 'end' })),
    endAll: enqueueActions(({ enqueue, context }) => {
      for (const conversation of Object.keys(context.conversations)) enqueue.sendTo(conversation, { type: 'end' })
    }),
    stopAll: enqueueActions(({ enqueue, context }) => {
      for (const conversation of Object.keys(context.conversations)) enqueue.stopChild(conversation)
      enqueue.assign({ conversations: {}, held: [] })
    }),
    /** A conversation has ended, or was lost. */
    forget: enqueueActions(({ enqueue, context, event }) => {
      const ended = (event as unknown as { actorId: string }).actorId
      enqueue.stopChild(ended)
      enqueue.assign({
        conversations: Object.fromEntries(Object.entries(context.conversations).filter(([id]) => id !== ended)),
        held: context.held.filter((id) => id !== ended),
      })
    }),
    go: enqueueActions(({ enqueue, event }) => enqueue.sendTo(idIn(event), { type: 'go' })),
    hold: assign(({ context, event }) => ({ held: [...context.held.filter((id) => id !== idIn(event)), idIn(event)] })),
    letGo: enqueueActions(({ enqueue, context }) => {
      if (context.limit || budgetLevelOf(context) === 'spent') return
      for (const conversation of context.held) enqueue.sendTo(conversation, { type: 'go' })
      enqueue.assign({ held: [] })
    }),
    count: enqueueActions(({ enqueue, context, event }) => {
      const { input_tokens, output_tokens } = event as Extract<ConversationReport, { type: 'conversation.used' }>
      const used = sumOf(context.used, { input_tokens, output_tokens })
      const level = budgetLevelOf({ ...context, used })
      enqueue.assign({ used })
      const { budget } = context
      if (budget && level !== budgetLevelOf(context)) enqueue.emit({ type: 'budget', level, used, budget })
    }),
    raise: assign(({ context, event }) => {
      const { tokens, money } = event as Extract<AgentEvent, { type: 'raiseBudget' }>
      return {
        budget: { ...context.budget, ...(tokens !== undefined && { tokens }), ...(money !== undefined && { money }) },
      }
    }),
    tellBudget: emit(({ context }) => ({
      ...{ type: 'budget', level: budgetLevelOf(context), used: context.used, budget: context.budget ?? {} },
    })),
    keepLimit: assign(({ event }) => {
      const { retry_after_ms, until } = event as Extract<ConversationReport, { type: 'conversation.limited' }>
      return { limit: { retry_after_ms, until } }
    }),
    dropLimit: assign({ limit: undefined }),
    note: assign(({ context, event }) => {
      const report = event as Extract<ConversationReport, { type: 'conversation.ready' | 'conversation.failed' }>
      const status = report.type === 'conversation.ready' ? 'ready' : 'failed'
      const { conversation } = report
      if (statusOf(context, conversation) === undefined) return {}
      return {
        conversations: withStatus(context, conversation, status),
        held: context.held.filter((id) => id !== conversation),
        ...(report.type === 'conversation.failed' && { error: report.error }),
      }
    }),
    fail: assign((_, { error }: { error: unknown }) => ({ error: String((error as { message?: unknown }).message) })),
    keepReason: assign(({ event }) => ({ reason: (event as { reason?: string }).reason })),
    expire: assign({ reason: 'idle for too long' }),
  },
})

/** Ids of the conversations that are at something: the original's active tasks. */
export const busyOf = ({ conversations }: AgentContext): string[] =>
  Object.entries(conversations).flatMap(([id, status]) => (status === 'busy' ? [id] : []))

const idIn = (event: unknown): string => (event as { conversation: string }).conversation

const nextId = ({ begun }: AgentContext): string => `c${begun + 1}`

const statusOf = ({ conversations }: AgentContext, id: string): ConversationStatus | undefined =>
  Object.hasOwn(conversations, id) ? conversations[id] : undefined

const withStatus = ({ conversations }: AgentContext, id: string, status: ConversationStatus) => ({
  ...conversations,
  [id]: status,
})

const failure = {
  type: 'fail',
  params: ({ event }: { event: { error: unknown } }) => ({ error: event.error }),
} as const

const hooks = ({ context: { config, llm_config, metadata } }: { context: AgentContext }) => ({
  ...{ config, llm_config, metadata },
})

const talk = {
  converse: { guard: 'mayBegin', actions: 'begin' },
  message: { guard: 'mayHear', actions: 'pass' },
  retry: { guard: 'hasFailed', actions: 'pass' },
} as const

/** Talk wakes an idle session. */
const wakingTalk = {
  converse: { ...talk.converse, target: 'active' },
  message: { ...talk.message, target: 'active' },
  retry: { ...talk.retry, target: 'active' },
} as const

/** A conversation has ended, or was lost. */
const ends = { 'xstate.done.actor.*': { actions: 'forget' }, 'xstate.error.actor.*': { actions: 'forget' } } as const

/** What may happen in any session that lives. */
const living = {
  close: { guard: 'isOpen', actions: 'end' },
  raiseBudget: { guard: 'raises', actions: ['raise', 'tellBudget'] },
  terminate: { target: '#agent.terminating', actions: 'keepReason' },
  ...ends,
} as const

const ended = { target: '#agent.terminated' } as const

const machine = parts.createMachine({
  id: 'agent',
  context: ({ input }) => contextOf(input),
  initial: 'initializing',
  states: {
    initializing: {
      invoke: {
        id: 'agent.start',
        src: 'start',
        input: hooks,
        onDone: 'active',
        onError: { ...ended, actions: failure },
      },
    },
    active: {
      initial: 'working',
      on: {
        ...living,
        ...talk,
        'conversation.used': { actions: 'count' },
        'conversation.limited': { guard: 'isLater', actions: 'keepLimit' },
        'conversation.ask': { guard: 'isOpen', actions: 'hold' },
        'conversation.ready': { actions: 'note' },
        'conversation.failed': { actions: 'note' },
      },
      states: {
        working: {
          always: [
            { guard: 'isLimited', target: 'parked' },
            { guard: 'isQuiet', target: 'quiet' },
            { guard: 'isSpent', target: 'paused' },
          ],
          entry: 'letGo',
          on: { 'conversation.ask': { guard: 'isOpen', actions: 'go' } },
        },
        quiet: {
          always: { guard: 'isBusy', target: 'working' },
          after: { quiet: '#agent.idle' },
        },
        /** The budget is spent: whoever asks waits until it is raised. */
        paused: {
          tags: 'waits-for-person',
          always: [
            { guard: 'isLimited', target: 'parked' },
            { guard: 'isQuiet', target: 'quiet' },
            { guard: 'isFunded', target: 'working' },
          ],
        },
        /** The provider wants to be asked later: whoever asks waits until then. */
        parked: {
          after: { limit: { target: 'working', actions: 'dropLimit' } },
          on: { 'conversation.limited': { guard: 'isLater', target: 'parked', reenter: true, actions: 'keepLimit' } },
        },
      },
    },
    idle: {
      on: { ...living, ...wakingTalk },
      after: { idle: { target: 'terminating', actions: 'expire' } },
    },
    terminating: {
      initial: 'closing',
      states: {
        closing: {
          entry: 'endAll',
          always: { guard: 'hasNone', target: 'stopping' },
          on: { ...ends, 'conversation.used': { actions: 'count' } },
          after: { closing: { target: 'stopping', actions: 'stopAll' } },
        },
        stopping: {
          invoke: {
            id: 'agent.stop',
            src: 'stop',
            input: hooks,
            onDone: ended,
            onError: { ...ended, actions: failure },
          },
        },
      },
    },
    terminated: { type: 'final' },
  },
  output: ({ context: { error, reason } }) => ({
    ...(error !== undefined && { error }),
    ...(reason !== undefined && { reason }),
  }),
})

/**
 * The statechart. Its input is checked by `kind.ts`, its events by `events.ts`; to whoever sends it events its type is that
 * of what may come from outside.
 */
export const agentMachine: AgentMachine = machine as unknown as AgentMachine

/** The door has filled in what was left out; these stand in where a machine is run without one. */
const contextOf = ({ config, llm_config = {}, metadata = {} }: AgentInput): AgentContext => ({
  config: {
    ...{ max_conversations: 100, timeout_minutes: 30, persistence_enabled: false, features: [] },
    ...config,
  },
  ...{ llm_config, metadata, conversations: {}, begun: 0, held: [], used: NO_USAGE },
  ...(llm_config.budget && { budget: llm_config.budget }),
})
