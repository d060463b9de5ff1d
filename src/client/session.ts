// A session of a server, as its users hold it: the same verbs as of the embedded runtime, each of which is a request, so that
// what is given at once there is a promise here. It keeps no state.

import { refuseAborted } from '../abort.js'
import type { AnyMachine, KindEvent, KindOutput } from '../define.js'
import type { SessionDiff } from '../diff.js'
import {
  CALL_OPTIONS,
  CANCEL_OPTIONS,
  type CallOptions,
  type CancelOptions,
  FORK_OPTIONS,
  type ForkOptions,
  HISTORY_OPTIONS,
  type HistoryOptions,
  type LiveOptions,
  SEND_OPTIONS,
  type SendOptions,
  type SessionSnapshot,
  type SessionTransition,
  type TransitionsOptions,
  WAIT_OPTIONS,
  type WaitOptions,
  type Wanted,
} from '../handle.js'
import type { SessionEntry } from '../listing.js'
import { admitOptions } from '../options.js'
import { endedFirst, resultOf } from '../outcome.js'
import type { RecordedEvent } from '../record.js'
import type { SessionState } from '../state.js'
import type { StepUpdate } from '../step-runner.js'
import type { Stream, StreamHost } from '../stream.js'
import type { DeadLetter } from '../trouble.js'
import { notInTime, testOf } from '../wanted.js'
import { type Feed, follow } from './follow.js'
import { newKey } from './platform.js'
import type { Request, Requests } from './requests.js'

/** Of a history, this many transitions are asked for at a time. */
const PAGE = 1000

export class RemoteSession<TMachine extends AnyMachine = AnyMachine> {
  readonly id: string
  readonly kind: string
  readonly #requests: Requests
  readonly #host: StreamHost

  constructor(requests: Requests, host: StreamHost, id: string, kind: string) {
    this.#requests = requests
    this.#host = host
    this.id = id
    this.kind = kind
  }

  /**
   * Sends an event; resolves with the transition once it is durable. Without an `id` it is given one, so that it is sent
   * again while the server cannot be reached, and happens once. Rejects as the embedded `send` does.
   */
  send(event: KindEvent<TMachine>, options: SendOptions = {}): Promise<SessionTransition<TMachine>> {
    return this.#send('send', event, options)
  }

  /** Sends several events as one, all or none; as `send` else. */
  sendBatch(events: readonly KindEvent<TMachine>[], options: SendOptions = {}): Promise<SessionTransition<TMachine>> {
    return this.#send('sendBatch', events, options)
  }

  /** The last durable state. */
  snapshot(options: CallOptions = {}): Promise<SessionSnapshot<TMachine>> {
    return this.#call('snapshot', { method: 'GET', path: '' }, options)
  }

  /** Whether an event would be taken now. */
  async can(event: KindEvent<TMachine>, options: CallOptions = {}): Promise<boolean> {
    const request = { method: 'POST', path: '/can', body: event } as const
    return (await this.#call<{ readonly can: boolean }>('can', request, options)).can
  }

  /** As the embedded `until`: what a function says is asked of each state that is seen, the last one always among them. */
  async until(wanted: Wanted<TMachine>, options: WaitOptions = {}): Promise<SessionSnapshot<TMachine>> {
    admitOptions('options of until', options, WAIT_OPTIONS)
    const { signal, timeoutMs } = options
    const { clock } = this.#requests.server
    if (timeoutMs === undefined) return this.#until(testOf(wanted as Wanted), signal)
    const late = new AbortController()
    const disarm = clock.setTimeout(() => late.abort(), timeoutMs)
    try {
      return await this.#until(testOf(wanted as Wanted), signal ? AbortSignal.any([signal, late.signal]) : late.signal)
    } catch (error) {
      if (!late.signal.aborted || signal?.aborted) throw error
      throw notInTime(this.id, wanted as Wanted, timeoutMs)
    } finally {
      disarm()
    }
  }

  /** Resolves with the machine's output when it is done; rejects with SESSION_FAILED (its `cause` is what failed). */
  async result(options: WaitOptions = {}): Promise<KindOutput<TMachine>> {
    admitOptions('options of result', options, WAIT_OPTIONS)
    return resultOf(await this.until(({ status }) => status !== 'active', options)) as KindOutput<TMachine>
  }

  /** Its durable transitions: replayed from `from`, then live, without gap or duplicate, whatever the connection does. */
  transitions$(options: TransitionsOptions = {}): Stream<SessionTransition<TMachine>> {
    return this.#follow('transition', options)
  }

  /** Progress, chunks and logs of its running steps: live only; what is said while the connection is lost is missed. */
  progress$(options: LiveOptions = {}): Stream<StepUpdate> {
    return this.#follow('step', options)
  }

  /** Events that the machine emits: live only; what is emitted while the connection is lost is missed. */
  emitted$(options: LiveOptions = {}): Stream<RecordedEvent> {
    return this.#follow('emitted', options)
  }

  /** Its durable transitions in order, asked for page by page. */
  async *history(options: HistoryOptions = {}): AsyncGenerator<SessionTransition<TMachine>> {
    admitOptions('options of history', options, HISTORY_OPTIONS)
    const { from = 1, to } = options
    for (let next: number | undefined = from; next !== undefined; ) {
      const query = { from: next, ...(to !== undefined && { to }), limit: PAGE }
      const page: HistoryPage = await this.#ask({ method: 'GET', path: '/history', query })
      yield* page.transitions as SessionTransition<TMachine>[]
      next = page.next
    }
  }

  /** What it was right after its transition `seq`. */
  at(seq: number, options: CallOptions = {}): Promise<SessionSnapshot<TMachine>> {
    return this.#call('at', { method: 'GET', path: `/at/${seq}` }, options)
  }

  /** The whole durable state: children, timers and trouble, too. At `seq`, or now. */
  state(seq?: number, options: CallOptions = {}): Promise<SessionState> {
    return this.#call('state', { method: 'GET', path: '/state', query: { at: seq } }, options)
  }

  /** What changed between two of its transitions, in either direction. */
  diff(from: number, to: number, options: CallOptions = {}): Promise<SessionDiff> {
    return this.#call('diff', { method: 'GET', path: '/diff', query: { from, to } }, options)
  }

  /** A new session that goes on from this one. Without a key it is given one, so that it is made once. */
  async fork(options: ForkOptions = {}): Promise<RemoteSession<TMachine>> {
    admitOptions('options of fork', options, FORK_OPTIONS)
    const { signal, idempotencyKey = newKey(), ...body } = options
    const { id } = await this.#ask<SessionSnapshot>({ method: 'POST', path: '/fork', body, idempotencyKey, signal })
    return new RemoteSession(this.#requests, this.#host, id, this.kind)
  }

  /** What the registry knows of it. */
  entry(options: CallOptions = {}): Promise<SessionEntry> {
    return this.#call('entry', { method: 'GET', path: '/entry' }, options)
  }

  /** Ends it as `stopped`; resolves when that is durable and nothing of it runs any more. */
  async cancel(options: CancelOptions = {}): Promise<void> {
    admitOptions('options of cancel', options, CANCEL_OPTIONS)
    const { reason, signal } = options
    await this.#ask({ method: 'POST', path: '/cancel', body: { ...(reason !== undefined && { reason }) }, signal })
  }

  /** Lets it run again after it was quarantined. */
  async release(options: CallOptions = {}): Promise<void> {
    await this.#call('release', { method: 'POST', path: '/release' }, options)
  }

  /** Events that were set aside because it crashed on them. */
  deadLetters(options: CallOptions = {}): Promise<readonly DeadLetter[]> {
    return this.#call('deadLetters', { method: 'GET', path: '/dead-letters' }, options)
  }

  /** Has it decide a dead letter after all. */
  resend(letter: number, options: CallOptions = {}): Promise<SessionTransition<TMachine>> {
    return this.#call('resend', { method: 'POST', path: `/dead-letters/${letter}/resend` }, options)
  }

  /** Removes a dead letter for good. */
  async discard(letter: number, options: CallOptions = {}): Promise<void> {
    await this.#call('discard', { method: 'DELETE', path: `/dead-letters/${letter}` }, options)
  }

  /** Stops it and removes it for good. */
  async delete(options: CallOptions = {}): Promise<void> {
    await this.#call('delete', { method: 'DELETE', path: '' }, options)
  }

  async #send<T>(verb: string, body: unknown, options: SendOptions): Promise<T> {
    admitOptions(`options of ${verb}`, options, SEND_OPTIONS)
    const { id = newKey(), signal, ...trace } = options
    return this.#ask({ method: 'POST', path: '/events', body, idempotencyKey: id, trace, signal })
  }

  /** For a verb whose only option is `signal`. */
  async #call<T>(verb: string, request: Request, options: CallOptions): Promise<T> {
    admitOptions(`options of ${verb}`, options, CALL_OPTIONS)
    return this.#ask({ ...request, signal: options.signal })
  }

  #ask<T>(request: Request): Promise<T> {
    return this.#requests.json<T>({ ...request, path: `/v1/sessions/${this.id}${request.path}` })
  }

  #follow<T>(event: Feed['event'], options: TransitionsOptions): Stream<T> {
    const feed: Feed = { path: `/v1/sessions/${this.id}/stream`, event, ofSession: true }
    return follow<T>(this.#requests, feed, options, this.#host)
  }

  /** Looks at the state, and at what each transition from there on led to. */
  async #until(
    test: (snapshot: SessionSnapshot<TMachine>) => boolean,
    signal?: AbortSignal,
  ): Promise<SessionSnapshot<TMachine>> {
    let last = await this.snapshot({ signal })
    if (test(last)) return last
    if (last.status !== 'active') throw endedFirst(this.id, last)
    for await (const { seq, deleted } of this.transitions$({ from: last.seq + 1, signal })) {
      if (deleted) break
      last = await this.at(seq, { signal })
      if (test(last)) return last
    }
    refuseAborted(signal)
    throw endedFirst(this.id, last)
  }
}

interface HistoryPage {
  readonly transitions: readonly SessionTransition[]
  /** Where the next page begins; absent on the last. */
  readonly next?: number
}
