// When a provider wants to be asked again, read from what it threw: the status 429, or 503 and 529 that name a time, and the
// headers that providers use. By shape, so that no package is needed to understand its error.

import type { Answer } from '../model.js'

/** A rate limit as a model of one's own throws it. */
export class RateLimited extends Error {
  override readonly name = 'RateLimited'
  readonly statusCode = 429
  readonly responseHeaders: { readonly [name: string]: string }

  constructor(retryAfterMs: number) {
    super(`the provider wants to be asked again in ${retryAfterMs} ms`)
    this.responseHeaders = { 'retry-after-ms': String(retryAfterMs) }
  }
}

/** What is waited when the provider does not say. */
const UNSAID_MS = 60_000
/** A provider that names a later time is not believed. */
const LONGEST_MS = 7 * 86_400_000
/** Overloaded, at some providers; they mean to be asked later if they say when. */
const BUSY = [503, 529]

/** The answer that a rate limit is, or undefined for any other error. */
export function limitOf(error: unknown, nowMs: number): Extract<Answer, { kind: 'limited' }> | undefined {
  const { statusCode, responseHeaders } = httpOf(error)
  const askedMs = waitIn(lowerCased(responseHeaders), nowMs)
  if (statusCode !== 429 && !(BUSY.includes(statusCode ?? 0) && askedMs !== undefined)) return undefined
  const waitMs = Math.min(Math.max(Math.ceil(askedMs ?? UNSAID_MS), 1), LONGEST_MS)
  return { kind: 'limited', retry_after_ms: waitMs, until: new Date(nowMs + waitMs).toISOString() }
}

interface HttpError {
  readonly statusCode?: number
  readonly responseHeaders?: { readonly [name: string]: string }
}

/** The error itself, or the last one of several attempts. */
function httpOf(error: unknown): HttpError {
  const { statusCode, lastError, cause } = (error ?? {}) as HttpError & { lastError?: unknown; cause?: unknown }
  if (typeof statusCode === 'number') return error as HttpError
  if (lastError !== undefined) return httpOf(lastError)
  return cause === undefined || cause === error ? {} : httpOf(cause)
}

const lowerCased = (headers: HttpError['responseHeaders'] = {}): { [name: string]: string } =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

/** How long the headers ask to wait, in ms. */
function waitIn(headers: { readonly [name: string]: string }, nowMs: number): number | undefined {
  const ms = Number.parseFloat(headers['retry-after-ms'] ?? '')
  if (ms >= 0) return ms
  return waitOf(headers['retry-after'], nowMs) ?? resetIn(headers, nowMs)
}

/** Seconds, or a date. */
function waitOf(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined
  if (/^\s*\d+(\.\d+)?\s*$/.test(text)) return Number(text) * 1000
  const atMs = Date.parse(text)
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs)
}

/** `x-ratelimit-reset-tokens: 6m0s`, `anthropic-ratelimit-requests-reset: 2026-01-01T00:00:00Z`: of those whose rest is 0. */
function resetIn(headers: { readonly [name: string]: string }, nowMs: number): number | undefined {
  const waits = Object.entries(headers).flatMap(([name, value]) => {
    if (!/ratelimit/.test(name) || !/reset/.test(name)) return []
    if (headers[name.replace('reset', 'remaining')] !== '0') return []
    return durationOf(value) ?? waitOf(value, nowMs) ?? []
  })
  return waits.length > 0 ? Math.max(...waits) : undefined
}

const UNITS: { readonly [unit: string]: number } = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `1h2m3.5s`. */
function durationOf(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|[smhd]))+$/.test(text)) return undefined
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)]
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (UNITS[unit as string] as number), 0)
}
