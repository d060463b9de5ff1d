// Text as pieces, and edits from one text to the next: what a version keeps instead of its whole content.
// Pure. An edit is small where the change is small, wherever in the text that is; applying it gives the text to the letter.

import { diffArrays } from 'diff'

/** At the piece `at`, `removed` pieces are replaced by those of `text`. */
export type Splice = readonly [at: number, removed: number, text: string]

/** From one text to the next: splices in rising order, each counted in the pieces of the text before. */
export type Edit = readonly Splice[]

/**
 * A piece ends with its line, or within a line with a sentence: what ends a piece is told by the two characters before it
 * alone, so an edit moves no boundary but its own, also in a text that is all one line.
 */
const BOUNDARY = /(?<=\n|[.!?;:] )/

/** Beyond this many differing pieces the whole stretch between the first and the last is replaced. */
const MAX_DIFFERENCES = 500

/** `text` in pieces, which joined are `text`. */
export const piecesOf = (text: string): string[] => (text === '' ? [] : text.split(BOUNDARY))

/** The edit that turns one text into another; empty when they are equal. Both are given in pieces. */
export function editBetween(before: readonly string[], after: readonly string[]): Edit {
  const shorter = Math.min(before.length, after.length)
  let head = 0
  while (head < shorter && before[head] === after[head]) head++
  let tail = 0
  while (tail < shorter - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++
  const [old, now] = [before.slice(head, before.length - tail), after.slice(head, after.length - tail)]
  if (old.length + now.length === 0) return []
  const changes = diffArrays(old, now, { maxEditLength: MAX_DIFFERENCES })
  return changes ? splicesOf(changes, head) : [[head, old.length, now.join('')]]
}

function splicesOf(changes: NonNullable<ReturnType<typeof diffArrays<string>>>, begin: number): Splice[] {
  const splices: [number, number, string][] = []
  let at = begin
  let open: [number, number, string] | undefined
  for (const { added, removed, value } of changes) {
    if (!added && !removed) {
      open = undefined
      at += value.length
      continue
    }
    if (!open) {
      open = [at, 0, '']
      splices.push(open)
    }
    if (added) open[2] += value.join('')
    else {
      open[1] += value.length
      at += value.length
    }
  }
  return splices
}

/** Applies an edit to pieces, in place. */
export function applyEdit(pieces: string[], edit: Edit): void {
  for (let index = edit.length - 1; index >= 0; index--) {
    const [at, removed, text] = edit[index] as Splice
    replace(pieces, at, removed, piecesOf(text))
  }
}

/** A call takes only so many arguments. */
const ITEMS_AT_ONCE = 10_000

function replace(pieces: string[], at: number, removed: number, items: readonly string[]): void {
  pieces.splice(at, removed, ...items.slice(0, ITEMS_AT_ONCE))
  for (let from = ITEMS_AT_ONCE; from < items.length; from += ITEMS_AT_ONCE) {
    pieces.splice(at + from, 0, ...items.slice(from, from + ITEMS_AT_ONCE))
  }
}

/** True when an edit, given by anybody, can be applied to a text of so many pieces. */
export function fits(edit: Edit, pieces: number): boolean {
  let end = 0
  for (const [at, removed] of edit) {
    if (at < end || at + removed > pieces) return false
    end = at + removed
  }
  return true
}
