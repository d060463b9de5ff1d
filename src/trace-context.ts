// A trace context, as W3C Trace Context has it (https://www.w3.org/TR/trace-context/): which trace a call belongs to, and
// under which span of it. What comes from outside is checked and bounded here; what is not of that form is nothing at all,
// and never a reason to refuse what it came with.

/** Two headers of that name. */
export interface TraceContext {
  /** As `00-<trace id>-<span id>-<flags>`. */
  readonly traceparent: string
  /** What vendors add, handed on as it is. */
  readonly tracestate?: string
}

/** What a caller may say of the trace that a call belongs to; either may be the value of a header, or null. */
export interface TraceHeaders {
  readonly traceparent?: string | null
  readonly tracestate?: string | null
}

const PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
/** Flags that are known; a later version may have others. */
const SAMPLED = 1

/** The trace context that headers tell; undefined when `traceparent` is absent or not of its form. Never throws. */
export function traceContextOf({ traceparent, tracestate }: TraceHeaders): TraceContext | undefined {
  if (typeof traceparent !== 'string') return undefined
  const parent = parentOf(traceparent)
  if (parent === undefined) return undefined
  const state = typeof tracestate === 'string' ? stateOf(tracestate) : undefined
  return Object.freeze({ traceparent: parent, ...(state !== undefined && { tracestate: state }) })
}

/** One of a later version is read as far as this one goes, and written in this one. */
function parentOf(header: string): string | undefined {
  const [, version, trace, span, flags, more] = PARENT.exec(header.trim()) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (/^0+$/.test(trace as string) || /^0+$/.test(span as string)) return undefined
  if (version === '00') return `00-${trace}-${span}-${flags}`
  return `00-${trace}-${span}-0${Number.parseInt(flags as string, 16) & SAMPLED}`
}

/** As many characters as everybody has to hand on; a longer one is left out whole. */
const LONGEST_STATE = 512
const MOST_MEMBERS = 32
const KEY = /^(?:[a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/
const VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

function stateOf(header: string): string | undefined {
  if (header.length > LONGEST_STATE) return undefined
  const members = header.split(',').flatMap((member) => member.trim() || [])
  if (members.length === 0 || members.length > MOST_MEMBERS) return undefined
  const keys = new Set<string>()
  for (const member of members) {
    const equals = member.indexOf('=')
    const [key, value] = [member.slice(0, equals), member.slice(equals + 1)]
    if (equals < 0 || !KEY.test(key) || !VALUE.test(value) || keys.has(key)) return undefined
    keys.add(key)
  }
  return members.join(',')
}
