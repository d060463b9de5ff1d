// Tool calls of a reply, until each has come to something: pure functions from one list to the next, and the window of
// messages that a model is shown. Calls are worked off in the order in which the model made them.

import type { Message, ProposedCall, ToolMessage, ToolOutput } from './model.js'

export interface ToolCall {
  readonly id: string
  readonly tool: string
  readonly input: unknown
  /** `needed`: it waits for a person. */
  readonly approval: 'none' | 'needed' | 'approved'
  readonly output?: ToolOutput
}

export interface Decision {
  readonly decision: 'approve' | 'deny'
  /** Absent when nobody said who they are, or when it was time that decided. */
  readonly by?: string
  /** Why not. */
  readonly reason?: string
}

type Calls = readonly ToolCall[]

export const callOf = ({ id, tool, input, approval, output }: ProposedCall): ToolCall => ({
  ...{ id, tool, input, approval: approval ? 'needed' : 'none' },
  ...(output && { output }),
})

export const waitsForPerson = ({ approval, output }: ToolCall): boolean => approval === 'needed' && !output

/** The one to work on next, once no call waits for a person. */
export const nextOf = (calls: Calls): ToolCall | undefined => calls.find(({ output }) => !output)

/** The calls after a decision on some of them. */
export const decidedOn = (
  calls: Calls,
  ids: readonly string[],
  { decision, reason = 'a person said no' }: Decision,
): Calls =>
  calls.map((call) => {
    if (!ids.includes(call.id) || !waitsForPerson(call)) return call
    if (decision === 'approve') return { ...call, approval: 'approved' }
    return { ...call, output: { type: 'execution-denied', reason } }
  })

/** The calls once the next of them has come to something. */
export const withOutput = (calls: Calls, output: ToolOutput): Calls => {
  const next = nextOf(calls)
  return calls.map((call) => (call === next ? { ...call, output } : call))
}

/** The calls when the answer is cut short: a model wants to hear of each call that it made. */
export const interrupted = (calls: Calls): Calls =>
  calls.map((call) => (call.output ? call : { ...call, output: INTERRUPTED }))

const INTERRUPTED: ToolOutput = Object.freeze({ type: 'error-text', value: 'interrupted by the user' })

/** The message that tells the model what its calls came to. */
export const reportOf = (calls: Calls): ToolMessage => ({
  role: 'tool',
  content: calls.map(({ id, tool, output = INTERRUPTED }) => ({
    ...{ type: 'tool-result', toolCallId: id, toolName: tool, output },
  })),
})

/** At most the latest so many, from a message of the user on: a call is never shown without what it came to. */
export function shownOf(messages: readonly Message[], most: number): readonly Message[] {
  if (messages.length <= most) return messages
  const from = messages.findIndex(({ role }, index) => role === 'user' && index >= messages.length - most)
  return messages.slice(from >= 0 ? from : messages.findLastIndex(({ role }) => role === 'user'))
}
