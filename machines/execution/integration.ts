// The original's integration: an execution session with its plans in Linear and its announcements in Slack, from its creation to its
// end. It keeps keys and nothing else; what is asked of the services are steps of the sessions, so it is done exactly once,
// whatever happens to this process.

import { HoldfastError, type SessionSnapshot, type TraceContext } from 'holdfast'
import type { ChannelConfig } from './channel.js'
import { keepKeys } from './connections.js'
import type { ModificationAction } from './fields.js'
import type { ExecutionMachine, ExecutionStatus, ExecutionValue } from './machine.js'
import { env, slackBotToken } from './places.js'
import type { ProcessOptions } from './processing.js'
import type { SessionStats } from './reports.js'
import { createSessionManagementService, type SessionManagementService } from './service.js'
import type { SessionManagementConfig } from './service-config.js'
import type { ExecutionSession } from './session.js'
import { statusOf } from './session.js'
import { type SlackRequest, slackActionOf } from './slack-request.js'
import type { TrackerConfig } from './tracker.js'
import type { CleanedUp } from './upkeep.js'

export interface IntegrationConfig {
  /** How sessions are kept, or the service that keeps them. */
  readonly sessionManagement?: SessionManagementConfig | SessionManagementService
  /** Default: `LINEAR_API_KEY`, `LINEAR_TEAM_ID`; without a key, a file of tickets. */
  readonly linear?: { readonly apiKey?: string; readonly teamId?: string; readonly apiUrl?: string }
  /** Default: `SLACK_BOT_TOKEN`, `SLACK_SIGNING_SECRET`, `SLACK_CHANNEL`; without a bot's token, a log. */
  readonly slack?: {
    readonly botToken?: string
    /** Default: `SLACK_APP_TOKEN`. Of Slack's socket mode, which this does not use: it is held apart from the bot's, and kept nowhere. */
    readonly appToken?: string
    readonly signingSecret?: string
    /** The id or the name of a channel. Default: `general`. */
    readonly channel?: string
    readonly apiUrl?: string
    /** Slack's id of somebody -> who they are here. Default: the same. */
    readonly userOf?: (slackUserId: string) => string | Promise<string>
  }
}

export interface ExecutionResult {
  readonly sessionId: string
  readonly status: ExecutionStatus
  readonly planCount: number
  readonly modificationCount: number
  readonly processedModifications: number
  readonly errors: readonly string[]
}

const TIMEOUT_MS = 30_000

/** Throws INVALID_ARGUMENT for tokens of Slack that are in each other's place. */
export const createExecutionSessionIntegration = (config: IntegrationConfig = {}): ExecutionSessionIntegration =>
  new ExecutionSessionIntegration(config)

export class ExecutionSessionIntegration {
  readonly sessions: SessionManagementService
  readonly #tracker: TrackerConfig | undefined
  readonly #channel: ChannelConfig | undefined
  readonly #signingSecret: string
  readonly #userOf: (slackUserId: string) => string | Promise<string>
  readonly #config: IntegrationConfig
  readonly #owned: boolean

  /** `view`: the service as somebody calls it. */
  constructor(config: IntegrationConfig, view?: SessionManagementService) {
    const { sessionManagement = {}, linear = {}, slack = {} } = config
    this.#config = config
    this.#owned = view === undefined && !('database' in sessionManagement)
    const given = 'database' in sessionManagement ? sessionManagement : undefined
    this.sessions = view ?? given ?? createSessionManagementService(sessionManagement as SessionManagementConfig)
    const connection = this.sessions.organizationId || 'default'
    const { apiKey = env('LINEAR_API_KEY'), teamId = env('LINEAR_TEAM_ID'), apiUrl } = linear
    const { channel = env('SLACK_CHANNEL') || 'general' } = slack
    const botToken = slackBotToken(slack)
    this.#tracker = apiKey ? { kind: 'linear', teamId, connection } : undefined
    this.#channel = botToken ? { kind: 'slack', channel, connection } : undefined
    this.#signingSecret = slack.signingSecret ?? env('SLACK_SIGNING_SECRET')
    this.#userOf = slack.userOf ?? ((id) => id)
    keepKeys(connection, {
      ...(apiKey && { LINEAR_API_KEY: apiKey }),
      ...(apiUrl && { LINEAR_API_URL: apiUrl }),
      ...(botToken && { SLACK_BOT_TOKEN: botToken }),
      ...(slack.apiUrl && { SLACK_API_URL: slack.apiUrl }),
    })
  }

  /** The same, as somebody calls it: what they may not do is refused with NOT_ALLOWED. */
  as(userId: string): ExecutionSessionIntegration {
    return new ExecutionSessionIntegration(this.#config, this.sessions.as(userId))
  }

  /** The same, within a trace: what is changed here belongs to it, and so does what Linear and Slack are asked for then. */
  within(trace: TraceContext | undefined): ExecutionSessionIntegration {
    return new ExecutionSessionIntegration(this.#config, this.sessions.within(trace))
  }

  /**
   * Creates a session: the team's open tickets become a plan for each person, stored in the tracker and announced. Resolves
   * when that is done, or the channel asks to wait, or after `timeoutMs` (30,000) with what there is by then; it goes on all the same.
   */
  async createExecutionSession(
    adminUserId: string,
    teamId: string,
    options: ProcessOptions = {},
  ): Promise<ExecutionResult> {
    const { id } = await this.sessions.createExecutionSession({
      ...{ adminUserId, teamId, plan: true },
      ...(this.#tracker && { tracker: this.#tracker }),
      ...(this.#channel && { channel: this.#channel }),
    })
    await this.#wait(id, (snapshot) => snapshot.context.planning === undefined && isSaid(snapshot), options)
    return this.#result(id)
  }

  /** Applies a modification to its ticket; resolves when that is done, or after `timeoutMs`; it goes on all the same. */
  async processUserModification(
    sessionId: string,
    userId: string,
    ticketId: string,
    action: ModificationAction,
    value: string,
    options: ProcessOptions = {},
  ): Promise<ExecutionResult> {
    const added = await this.sessions.addPlanModification(
      { sessionId, userId, ticketId, action, value },
      { process: true },
    )
    const number = Number(added.id.split('_').at(-1))
    await this.#wait(sessionId, ({ context }) => context.modifications[number - 1]?.processed !== false, options)
    return this.#result(sessionId)
  }

  /** Confirms a session and applies everything that is not processed; resolves as `processUserModification`. */
  async confirmSession(sessionId: string, options: ProcessOptions = {}): Promise<ExecutionResult> {
    await this.sessions.confirmSession(sessionId, { process: true })
    await this.#wait(sessionId, ({ context: { counts } }) => counts.queued === 0, options)
    return this.#result(sessionId)
  }

  /** Completes a session, and announces that when everything that waits is applied; resolves as `createExecutionSession`. */
  async completeSession(sessionId: string, options: ProcessOptions = {}): Promise<ExecutionResult> {
    await this.sessions.completeSession(sessionId)
    await this.#wait(sessionId, isSaid, options)
    return this.#result(sessionId)
  }

  /** Cancels a session, and announces that; resolves as `createExecutionSession`. */
  async cancelSession(sessionId: string, reason?: string, options: ProcessOptions = {}): Promise<ExecutionResult> {
    await this.sessions.cancelSession(sessionId, reason)
    await this.#wait(sessionId, isSaid, options)
    return this.#result(sessionId)
  }

  /** Rejects with SESSION_NOT_FOUND. */
  async getSessionStatus(sessionId: string): Promise<ExecutionResult> {
    if (await this.sessions.getSession(sessionId)) return this.#result(sessionId)
    throw new HoldfastError('SESSION_NOT_FOUND', `there is no execution session ${sessionId}`)
  }

  getActiveSessions(): Promise<ExecutionSession[]> {
    return this.sessions.getActiveSessions()
  }

  getSessionStats(): Promise<SessionStats> {
    return this.sessions.getSessionStats()
  }

  cleanupOldSessions(days?: number): Promise<CleanedUp> {
    return this.sessions.cleanupOldSessions(days)
  }

  /**
   * A button that somebody pressed in Slack: `confirm`, `complete` or `cancel` with the session's id as its value, done as
   * whoever pressed it. Rejects with NOT_ALLOWED for a request that Slack has not signed, or whoever may not do it.
   */
  async receiveSlackAction(request: SlackRequest, options: ProcessOptions = {}): Promise<ExecutionResult> {
    // biome-ignore lint/plugin/clock: when a request came is known outside of every session
    const { userId, action, value } = slackActionOf(request, this.#signingSecret, Date.now())
    const pressed = this.as(await this.#userOf(userId))
    switch (action) {
      case 'confirm':
        return pressed.confirmSession(value, options)
      case 'complete':
        return pressed.completeSession(value, options)
      case 'cancel':
        return pressed.cancelSession(value, undefined, options)
      default:
        throw new HoldfastError('INVALID_ARGUMENT', `there is no action "${action}", only confirm, complete and cancel`)
    }
  }

  /** Closes the service, unless it was given. */
  async close(): Promise<void> {
    if (this.#owned) await this.sessions.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Until the session is so, has ended, or the time is over. */
  async #wait(
    id: string,
    isSo: (snapshot: SessionSnapshot<ExecutionMachine>) => boolean,
    { timeoutMs = TIMEOUT_MS, signal }: ProcessOptions,
  ): Promise<void> {
    const session = await this.sessions.database.session(id)
    const ended = ['TIMEOUT', 'SESSION_ENDED']
    await session.until(isSo, { timeoutMs, ...(signal && { signal }) }).catch((error: { code?: string }) => {
      if (!ended.includes(error.code ?? '')) throw error
    })
  }

  async #result(sessionId: string): Promise<ExecutionResult> {
    const snapshot = (await this.sessions.database.session(sessionId)).snapshot()
    const { planCount, modifications, counts, problems } = snapshot.context
    const failed = modifications.flatMap(({ ticketId, error }) =>
      error === undefined ? [] : [`${ticketId}: ${error}`],
    )
    return {
      ...{ sessionId, status: statusOf(snapshot), planCount, modificationCount: modifications.length },
      processedModifications: counts.processed - counts.errors,
      errors: [...problems.map(({ step, message }) => `${step}: ${message}`), ...failed],
    }
  }
}

/** Everything is announced, or will be when the channel wants to hear more. */
const isSaid = ({ context, value }: SessionSnapshot<ExecutionMachine>): boolean =>
  context.news.length === 0 || (value as ExecutionValue).news === 'waiting'
