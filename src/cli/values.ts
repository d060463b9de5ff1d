// Values of sessions as words for people: states, times, attributes, contexts. Pure; everything comes out printable.

import type { Attributes, StateValue } from '../state.js'
import { oneLine } from './style.js'

/** `processing.fetch`, or `left.a | right.b` for regions side by side. */
export function stateText(value: StateValue): string {
  if (typeof value === 'string') return value
  return Object.entries(value)
    .map(([region, inner]) => {
      const text = stateText(inner)
      return text === '' ? region : `${region}.${text}`
    })
    .join(' | ')
}

/** Seconds are enough for people; the whole time is in `-o json`. */
export const timeText = (iso: string): string => iso.replace('T', ' ').replace(/\.\d+Z$/, 'Z')

/** Those that have a value. */
export const attributesText = (attributes: Attributes): string =>
  Object.entries(attributes)
    .filter(([, value]) => value !== '' && value !== null)
    .map(([name, value]) => `${name}=${oneLine(String(value), 40)}`)
    .join(' ')

/** A value in one line of at most `length` characters. */
export const valueText = (value: unknown, length: number): string =>
  oneLine(typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined'), length)
