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

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB']

/** `12 B`, `3.4 kB`, `56 MB`. */
export function bytesText(bytes: number): string {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1)
  const scaled = bytes / 1000 ** power
  return `${power > 0 && scaled < 10 ? scaled.toFixed(1) : Math.round(scaled)} ${UNITS[power]}`
}

const MS: { readonly [unit: string]: number } = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 }

/** Milliseconds of `30d`, `12h`, `45m`; undefined for what is no duration. */
export function durationOf(text: string): number | undefined {
  const [, number, unit] = /^(\d{1,6})([smhdw])$/.exec(text) ?? []
  return number === undefined ? undefined : Number(number) * (MS[unit as string] as number)
}

/** Those that have a value. */
export const attributesText = (attributes: Attributes): string =>
  Object.entries(attributes)
    .filter(([, value]) => value !== '' && value !== null)
    .map(([name, value]) => `${name}=${oneLine(String(value), 40)}`)
    .join(' ')

/** A value in one line of at most `length` characters. */
export const valueText = (value: unknown, length: number): string =>
  oneLine(typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined'), length)
