// A desk for tests: a runtime with agents on virtual time, its façade, and calls that must work.

import type { Runtime } from 'holdfast'
import {
  agent,
  type ConversationInfo,
  Conversations,
  type LlmConfig,
  SessionManager,
  type SessionOptions,
} from 'holdfast/machines/agent'
import { createVirtualClock } from 'holdfast/testing'
import { expect } from 'vitest'
import * as steps from '../../../machines/agent/steps.js'
import { type House, house } from '../../house.js'

export const MINUTE = 60_000

/** What a call gave, which must have worked. */
export async function good<T extends { readonly ok: boolean }>(
  call: T | Promise<T>,
): Promise<Extract<T, { readonly ok: true }>> {
  const result = await call
  expect(result).toMatchObject({ ok: true })
  return result as Extract<T, { readonly ok: true }>
}

export class Desk {
  readonly clock = createVirtualClock(Date.parse('2030-01-01T00:00:00Z'))
  readonly house: House
  runtime!: Runtime
  sessions!: SessionManager
  talks!: Conversations

  constructor(kind: typeof agent = agent, own: object = steps) {
    this.house = house([kind], own as never, undefined, undefined, { clock: this.clock })
  }

  static async open(kind?: typeof agent, own?: object): Promise<Desk> {
    const desk = new Desk(kind, own)
    await desk.open()
    return desk
  }

  async open(): Promise<void> {
    this.runtime = await this.house.open()
    this.sessions = new SessionManager(this.runtime)
    this.talks = new Conversations(this.runtime)
  }

  async reopen(downtimeMs = 0): Promise<void> {
    await this.runtime.close()
    await this.clock.advance(downtimeMs)
    await this.open()
  }

  async create(llm_config: LlmConfig = {}, options: SessionOptions = {}): Promise<string> {
    return (await good(this.sessions.createSession({ ...options, llm_config }))).session_id
  }

  /** Begins a conversation and waits until it has nothing to do. */
  async ask(id: string, text = 'hello'): Promise<ConversationInfo> {
    const { conversation } = await good(this.talks.start(id, text))
    return this.settled(id, conversation)
  }

  async settled(id: string, conversation = 'c1'): Promise<ConversationInfo> {
    return (await good(this.talks.settled(id, conversation))).info
  }

  async talk(id: string, conversation = 'c1'): Promise<ConversationInfo> {
    return (await good(this.talks.get(id, conversation))).info
  }

  async info(id: string) {
    return (await good(this.sessions.getSessionInfo(id))).info
  }

  /** Resolves when a session is at something. */
  phase(id: string, phase: 'working' | 'quiet' | 'paused' | 'parked') {
    return this.runtime.session(id, agent).until({ active: phase })
  }
}

/** Waits for real time, as for a module that is loaded; nothing virtual happens meanwhile. */
export async function eventually(test: () => boolean | Promise<boolean>): Promise<void> {
  for (let turns = 0; !(await test()); turns++) {
    if (turns > 5_000) throw new Error('it did not come to pass')
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** The last thing that was said, as text. */
export function lastText({ messages }: Pick<ConversationInfo, 'messages'>): string {
  const { content = '' } = messages.findLast(({ role }) => role === 'assistant') ?? {}
  if (typeof content === 'string') return content
  return content.map((part) => (part as { text?: string }).text ?? '').join('')
}

/** What tools told the model, in order: the text, or the JSON. */
export const told = ({ messages }: Pick<ConversationInfo, 'messages'>): unknown[] =>
  messages.flatMap((message) =>
    message.role === 'tool' ? message.content.map(({ output }) => ('value' in output ? output.value : output)) : [],
  )
