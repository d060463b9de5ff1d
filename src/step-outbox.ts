// What a running step says (progress, chunks, log lines) on its way to whoever listens.
// Promises: one batch is under way at a time, progress is coalesced to the latest, and what waits is bounded, so a step
// that floods costs a fixed amount of memory on both sides. What does not fit is dropped and counted, in a log line.
// Never delivers anything that is said after the step's end.

import { encodeError } from './envelope.js'
import { HoldfastError } from './errors.js'
import { copyJson, isJson } from './json.js'
import type { TaskListener } from './pool.js'

/** How many chunks and log lines wait while a batch is under way; later ones are dropped until there is room. */
export const OUTBOX_ITEMS = 1000
/** How many characters of JSON wait, for the same reason; also the most that one chunk may have. */
export const OUTBOX_CHARS: number = 4 * 1024 * 1024
/** A longer progress message is cut to this: the last one is kept with the step's record. */
export const PROGRESS_MESSAGE_CHARS = 1000

/** One thing a step said. Values are JSON text: taken down at once, whatever the step does to them later. */
export type Said =
  | { readonly kind: 'progress'; readonly percent: number; readonly message: string | undefined }
  | { readonly kind: 'chunk'; readonly json: string }
  | { readonly kind: 'log'; readonly message: string; readonly json: string | undefined }
  | { readonly kind: 'dropped'; readonly count: number }

export interface Outbox {
  progress(percent: number, message: string | undefined): void
  emit(chunk: unknown): void
  log(message: string, data: unknown): void
  /** The batch under way has arrived: the next may go. */
  acknowledged(): void
  /** Ends it: gives what had not been posted yet, and ignores whatever is said from now on. */
  end(): readonly Said[]
}

export interface OutboxRoutes {
  /** Sends a batch; `acknowledged` must follow. */
  post(batch: readonly Said[]): void
  /** Takes in what has come meanwhile (an acknowledgement, an abort), for a step that never yields to the event loop. */
  poll(): void
}

export function createOutbox({ post, poll }: OutboxRoutes): Outbox {
  let latest: Said | undefined
  let items: Said[] = []
  let chars = 0
  let dropped = 0
  let underWay = false
  let ended = false

  function drain(): readonly Said[] {
    const batch = items
    if (dropped > 0) batch.push({ kind: 'dropped', count: dropped })
    if (latest) batch.push(latest)
    ;[latest, items, chars, dropped] = [undefined, [], 0, 0]
    return batch
  }

  function flush(): void {
    if (underWay || ended) return
    const batch = drain()
    if (batch.length === 0) return
    underWay = true
    post(batch)
  }

  function put(item: Said, size: number): void {
    poll()
    if (items.length >= OUTBOX_ITEMS || chars + size > OUTBOX_CHARS) {
      dropped++
    } else {
      items.push(item)
      chars += size
    }
    flush()
  }

  return {
    progress(percent, message) {
      if (ended) return
      poll()
      latest = { kind: 'progress', percent: checkedPercent(percent), message: shortened(message) }
      flush()
    },
    emit(chunk) {
      if (ended) return
      const json = JSON.stringify(copyJson(chunk, 'chunk'))
      if (json.length > OUTBOX_CHARS) throw chunkTooLarge(json.length)
      put({ kind: 'chunk', json }, json.length)
    },
    log(message, data) {
      if (ended) return
      const [text, json] = [String(message), loggedJson(data)]
      put({ kind: 'log', message: text, json }, text.length + (json?.length ?? 0))
    },
    acknowledged() {
      underWay = false
      flush()
    },
    end() {
      ended = true
      return drain()
    },
  }
}

/** Tells a listener what a step said. */
export function deliver(batch: readonly Said[], listener: TaskListener): void {
  for (const said of batch) {
    if (said.kind === 'progress') listener.progress(said.percent, said.message)
    else if (said.kind === 'chunk') listener.chunk(JSON.parse(said.json))
    else if (said.kind === 'log')
      listener.log(said.message, said.json === undefined ? undefined : JSON.parse(said.json))
    else listener.log(droppedMessage(said.count), { dropped: said.count })
  }
}

const droppedMessage = (count: number): string =>
  `${count} chunks or log lines were dropped: the step says more than can be delivered; say less, or await between them`

function checkedPercent(percent: number): number {
  if (typeof percent === 'number' && Number.isFinite(percent)) return Math.min(Math.max(percent, 0), 100)
  throw new HoldfastError('INVALID_ARGUMENT', `progress takes a number from 0 to 100, not ${String(percent)}`)
}

function shortened(message: unknown): string | undefined {
  if (message === undefined) return undefined
  const text = String(message)
  return text.length <= PROGRESS_MESSAGE_CHARS ? text : `${text.slice(0, PROGRESS_MESSAGE_CHARS - 1)}…`
}

/** A log line never fails a step: what is not JSON is described instead. */
function loggedJson(data: unknown): string | undefined {
  if (data === undefined) return undefined
  try {
    return JSON.stringify(data instanceof Error || !isJson(data) ? encodeError(data) : data)
  } catch {
    return JSON.stringify(`[${typeof data} that cannot be described]`)
  }
}

const chunkTooLarge = (chars: number): HoldfastError =>
  new HoldfastError(
    'INVALID_ARGUMENT',
    `a chunk of ${chars} characters of JSON is over the limit of ${OUTBOX_CHARS}; write it to a file and emit its path`,
    { details: { chars, limit: OUTBOX_CHARS } },
  )
