// How text looks on a terminal: colours when they are wanted, and nothing that a terminal would obey.
// Whatever comes from a document or a session goes through `printable` before it reaches a terminal.

import { styleText } from 'node:util'

type Format = Parameters<typeof styleText>[0]
export type Environment = Readonly<Record<string, string | undefined>>

export interface Style {
  bold(text: string): string
  dim(text: string): string
  red(text: string): string
  green(text: string): string
  yellow(text: string): string
  cyan(text: string): string
}

/** FORCE_COLOR, then NO_COLOR, then TERM=dumb, then whether it is a terminal: the order that Node itself follows. */
export function wantsColour(isTerminal: boolean, env: Environment): boolean {
  const { FORCE_COLOR: force, NO_COLOR: no, TERM: term } = env
  if (force !== undefined) return force !== '0' && force !== 'false'
  if (no !== undefined && no !== '') return false
  return isTerminal && term !== 'dumb'
}

export function styleOf(coloured: boolean): Style {
  const as =
    (format: Format) =>
    (text: string): string =>
      coloured && text !== '' ? styleText(format, text, { validateStream: false }) : text
  return {
    bold: as('bold'),
    dim: as('dim'),
    red: as('red'),
    green: as('green'),
    yellow: as('yellow'),
    cyan: as('cyan'),
  }
}

/** C0 and C1 control characters, but for newline and tab; marks that turn the direction of text around. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
const UNPRINTABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g

/** Text that a terminal shows and does not obey. */
export const printable = (text: string): string =>
  text.replace(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** Text as one printable line of at most `length` characters. */
export function oneLine(text: string, length: number = Number.POSITIVE_INFINITY): string {
  const line = printable(text.replace(/\s+/g, ' ').trim())
  if (line.length <= length) return line
  return length < 1 ? '' : `${line.slice(0, length - 1)}…`
}
