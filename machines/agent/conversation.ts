// The statechart of one conversation: asking → responding → (waiting →) acting → asking … → ready. It is a session of its
// own, a child of the agent's session, which says when a model may be called (`go`): so budget and rate limit are kept in
// one place. Each call of a model and of a tool is a step, so what was recorded is never asked or done again; a call that
// needs a person waits here, across restarts. Pure: no clock, no chance. It ends when its session says so, never by itself.

import { step } from 'holdfast'
import {
  type AnyActorRef,
  assign,
  type EventObject,
  type MetaObject,
  not,
  type ParameterizedObject,
  type ProvidedActor,
  type StateMachine,
  type StateSchema,
  sendParent,
  setup,
} from 'xstate'
import {
  callOf,
  type Decision,
  decidedOn,
  interrupted,
  nextOf,
  reportOf,
  shownOf,
  type ToolCall,
  waitsForPerson,
  withOutput,
} from './calls.js'
import type { ConversationEvent, DecisionEvent, SessionOrder } from './events.js'
import type { JsonObject } from './json.js'
import { contextMessagesOf, type LlmConfig, NO_USAGE, sumOf, turnsOf, type Usage } from './llm-config.js'
import type { Answer, Message, ToolOutput } from './model.js'
import type { respond, useTool } from './steps.js'

export interface ConversationInput {
  /** Its id within the session. */
  readonly conversation: string
  /** The first message. */
  readonly text: string
  readonly llm_config: LlmConfig
  readonly metadata: JsonObject
}

export interface ConversationContext {
  readonly conversation: string
  readonly llm_config: LlmConfig
  readonly metadata: JsonObject
  readonly messages: readonly Message[]
  /** Those of the last reply, until all have come to something. */
  readonly calls: readonly ToolCall[]
  /** Call -> what was decided on it, by a person or by time: a decision may come twice. */
  readonly decided: { readonly [call: string]: Decision }
  /** How many answers there were, those of a provider that wants to be asked later included. */
  readonly answers: number
  /** How many replies since the last message of the user. */
  readonly turns: number
  readonly used: Usage
  /** Why it failed, while it is failed. */
  readonly error?: string
}

export type ConversationValue =
  | 'asking'
  | 'responding'
  | 'deciding'
  | { readonly waiting: 'choosing' | 'open' | 'expiring' }
  | 'acting'
  | 'ready'
  | 'failed'
  | 'ended'

export interface ConversationOutput {
  readonly messages: number
  readonly used: Usage
}

export type ConversationMachine = StateMachine<
  ConversationContext,
  ConversationEvent,
  Record<string, AnyActorRef | undefined>,
  ProvidedActor,
  ParameterizedObject,
  ParameterizedObject,
  string,
  ConversationValue,
  string,
  ConversationInput,
  ConversationOutput,
  EventObject,
  MetaObject,
  StateSchema
>

/** With more messages than this it is time for another conversation. */
const MOST_MESSAGES = 10_000
/** A worker may die, and a provider be away for a moment; a tool is given the same key each time. */
const ATTEMPTS = 4
const FIRST_PAUSE_MS = 1_000
const LONGEST_ANSWER_MS = 1_800_000
/** A tool is shown the last of what was said: its input stands in the record of each call. */
const MESSAGES_FOR_TOOLS = 10

const parts = setup({
  types: {} as {
    context: ConversationContext
    events: ConversationEvent | SessionOrder
    input: ConversationInput
    output: ConversationOutput
  },
  actors: {
    respond: step<typeof respond>('respond', {
      attempts: ATTEMPTS,
      backoffMs: FIRST_PAUSE_MS,
      timeoutMs: LONGEST_ANSWER_MS,
    }),
    useTool: step<typeof useTool>('useTool', { attempts: ATTEMPTS, backoffMs: FIRST_PAUSE_MS }),
  },
  delays: {
    expiry: ({ context: { llm_config } }) => (llm_config.approval?.expires_minutes ?? 0) * 60_000,
  },
  guards: {
    isFull: ({ context }) => context.messages.length >= MOST_MESSAGES,
    needsPerson: ({ context }) => context.calls.some(waitsForPerson),
    hasWork: ({ context }) => nextOf(context.calls) !== undefined,
    hasCalls: ({ context }) => context.calls.length > 0,
    isOutOfTurns: ({ context }) => context.calls.length > 0 && context.turns >= turnsOf(context.llm_config),
    expires: ({ context }) => context.llm_config.approval !== undefined,
    isOpen: ({ context, event }) => {
      const { call } = event as DecisionEvent
      return context.calls.some((open) => open.id === call && waitsForPerson(open))
    },
    /** It was decided like that before: nothing changes. */
    isRepeated: ({ context, event }) => {
      const { call, type } = event as DecisionEvent
      return Object.hasOwn(context.decided, call) && context.decided[call]?.decision === type
    },
    isLimit: (_, { answer }: { answer: Answer }) => answer.kind === 'limited',
  },
  actions: {
    hear: assign(({ context, event }) => {
      const { text } = event as Extract<SessionOrder, { type: 'message' }>
      return { messages: [...context.messages, { role: 'user' as const, content: text }] }
    }),
    /** A new message, or another try, has turns of its own. */
    beginAgain: assign({ turns: 0, error: undefined }),
    ask: sendParent(({ context: { conversation } }) => ({ type: 'conversation.ask', conversation })),
    tellAnswer: sendParent(({ context: { conversation } }, { answer }: { answer: Answer }) => {
      if (answer.kind === 'reply') return { type: 'conversation.used', conversation, ...answer.used }
      const { retry_after_ms, until } = answer
      return { type: 'conversation.limited', conversation, retry_after_ms, until }
    }),
    tellReady: sendParent(({ context: { conversation } }) => ({ type: 'conversation.ready', conversation })),
    tellFailed: sendParent(({ context: { conversation, error } }) => ({
      ...{ type: 'conversation.failed', conversation, error },
    })),
    keepAnswer: assign(({ context }, { answer }: { answer: Answer }) => {
      const answers = context.answers + 1
      if (answer.kind !== 'reply') return { answers }
      return {
        ...{ answers, turns: context.turns + 1 },
        messages: [...context.messages, answer.message],
        calls: answer.calls.map(callOf),
        used: sumOf(context.used, answer.used),
      }
    }),
    decide: assign(({ context, event }) => {
      const { call, type, by, reason } = event as DecisionEvent
      return decided(context, [call], { decision: type, ...(by && { by }), ...(reason && { reason }) })
    }),
    /** Nobody has decided in time. */
    decideByTime: assign(({ context }) => {
      const decision = context.llm_config.approval?.default ?? 'deny'
      const open = context.calls.filter(waitsForPerson).map(({ id }) => id)
      return decided(context, open, { decision, reason: IN_TIME })
    }),
    keepOutput: assign(({ context }, { output }: { output: ToolOutput }) => ({
      calls: withOutput(context.calls, output),
    })),
    interrupt: assign(({ context }) => ({ calls: interrupted(context.calls) })),
    /** What the calls came to is the next message. */
    report: assign(({ context }) =>
      context.calls.length === 0 ? {} : { messages: [...context.messages, reportOf(context.calls)], calls: [] },
    ),
    fail: assign((_, { error }: { error: unknown }) => ({ error: messageOf(error) })),
    /** A transition that has no action is none, and would be refused. */
    changeNothing: assign({}),
  },
})

const IN_TIME = 'nobody approved it in time'
const FULL = `this conversation has its ${MOST_MESSAGES} messages: begin another one`

const messageOf = (error: unknown): string =>
  typeof error === 'string' ? error : String((error as { message?: unknown }).message)

const decided = ({ calls, decided: before }: ConversationContext, ids: readonly string[], decision: Decision) => ({
  calls: decidedOn(calls, ids, decision),
  decided: { ...before, ...Object.fromEntries(ids.map((id) => [id, decision])) },
})

const answer = ({ event }: { event: { output: unknown } }) => ({ answer: event.output as Answer })

/** The user has had enough of this answer. */
const stop = { target: '#conversation.ready', actions: ['interrupt', 'report'] } as const
const full = {
  guard: 'isFull',
  target: 'failed',
  reenter: true,
  actions: { type: 'fail', params: { error: FULL } },
} as const
const heard = { target: 'asking', actions: ['hear', 'beginAgain'] } as const

const machine = parts.createMachine({
  id: 'conversation',
  context: ({ input: { conversation, text, llm_config, metadata } }) => ({
    ...{ conversation, llm_config, metadata },
    messages: [{ role: 'user', content: text }],
    ...{ calls: [], decided: {}, answers: 0, turns: 0, used: NO_USAGE },
  }),
  initial: 'asking',
  on: {
    end: '.ended',
    approve: { guard: 'isRepeated', actions: 'changeNothing' },
    deny: { guard: 'isRepeated', actions: 'changeNothing' },
  },
  states: {
    /** Its session says when: not while the budget is spent, nor before the provider wants to be asked again. */
    asking: {
      entry: 'ask',
      on: { go: 'responding', stop },
    },
    responding: {
      invoke: {
        id: 'respond',
        src: 'respond',
        input: ({ context: { llm_config, metadata, messages, answers } }) => ({
          ...{ llm_config, metadata, turn: answers },
          messages: shownOf(messages, contextMessagesOf(llm_config)),
        }),
        onDone: [
          {
            guard: { type: 'isLimit', params: answer },
            target: 'asking',
            actions: [
              { type: 'keepAnswer', params: answer },
              { type: 'tellAnswer', params: answer },
            ],
          },
          {
            target: 'deciding',
            actions: [
              { type: 'keepAnswer', params: answer },
              { type: 'tellAnswer', params: answer },
            ],
          },
        ],
        onError: { target: 'failed', actions: { type: 'fail', params: ({ event }) => ({ error: event.error }) } },
      },
      on: { stop },
    },
    /** What comes next follows from the calls alone. */
    deciding: {
      always: [
        { guard: 'needsPerson', target: 'waiting' },
        { guard: 'hasWork', target: 'acting' },
        {
          guard: 'isOutOfTurns',
          target: 'failed',
          actions: [
            'report',
            {
              type: 'fail',
              params: ({ context }) => ({
                error: `stopped after ${turnsOf(context.llm_config)} replies: retry to go on`,
              }),
            },
          ],
        },
        { guard: 'hasCalls', target: 'asking', actions: 'report' },
        { target: 'ready' },
      ],
    },
    waiting: {
      tags: 'waits-for-person',
      initial: 'choosing',
      on: {
        approve: { guard: 'isOpen', actions: 'decide' },
        deny: { guard: 'isOpen', actions: 'decide' },
        stop,
      },
      always: { guard: not('needsPerson'), target: 'deciding' },
      states: {
        choosing: { always: [{ guard: 'expires', target: 'expiring' }, { target: 'open' }] },
        open: {},
        expiring: { after: { expiry: { actions: 'decideByTime' } } },
      },
    },
    acting: {
      invoke: {
        id: 'useTool',
        src: 'useTool',
        input: ({ context: { llm_config, metadata, messages, calls } }) => {
          const { id, tool, input } = nextOf(calls) as ToolCall
          return { llm_config, metadata, call: { id, tool, input }, messages: shownOf(messages, MESSAGES_FOR_TOOLS) }
        },
        onDone: {
          target: 'deciding',
          actions: { type: 'keepOutput', params: ({ event }) => ({ output: event.output }) },
        },
        onError: {
          target: 'deciding',
          actions: {
            type: 'keepOutput',
            params: ({ event }) => ({ output: { type: 'error-text' as const, value: messageOf(event.error) } }),
          },
        },
      },
      on: { stop },
    },
    ready: {
      entry: 'tellReady',
      on: { message: [full, heard] },
    },
    failed: {
      entry: 'tellFailed',
      on: { message: [full, heard], retry: [full, { target: 'asking', actions: 'beginAgain' }] },
    },
    ended: { type: 'final' },
  },
  output: ({ context: { messages, used } }) => ({ messages: messages.length, used }),
})

/** The statechart. Its input comes from `machine.ts`; to whoever sends it events its type is that of what may come from outside. */
export const conversationMachine: ConversationMachine = machine as unknown as ConversationMachine
