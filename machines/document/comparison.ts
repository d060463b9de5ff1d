// What changed between two versions, by lines, as a unified diff has it. Pure.

import { structuredPatch } from 'diff'

export interface VersionComparison {
  readonly lines_added: number
  readonly lines_removed: number
  readonly hunks: readonly Hunk[]
}

export interface Hunk {
  /** Line numbers from 1. */
  readonly old_start: number
  readonly old_lines: number
  readonly new_start: number
  readonly new_lines: number
  /** Each begins with `+`, `-` or a space. */
  readonly lines: readonly string[]
}

/** Texts that differ in more lines than this are shown as one replaced by the other: to find the least would take long. */
const MAX_DIFFERENCES = 5_000
const CONTEXT_LINES = 3

export function compared(before: string, after: string): VersionComparison {
  const options = { context: CONTEXT_LINES, maxEditLength: MAX_DIFFERENCES }
  const patch = structuredPatch('', '', before, after, undefined, undefined, options)
  const hunks = patch
    ? patch.hunks.map(({ oldStart, oldLines, newStart, newLines, lines }) => ({
        ...{ old_start: oldStart, old_lines: oldLines, new_start: newStart, new_lines: newLines, lines },
      }))
    : [replaced(linesOf(before), linesOf(after))]
  const all = hunks.flatMap(({ lines }) => lines)
  const count = (sign: string): number => all.filter((line) => line.startsWith(sign)).length
  return { lines_added: count('+'), lines_removed: count('-'), hunks }
}

const linesOf = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'))

const replaced = (old: readonly string[], now: readonly string[]): Hunk => ({
  ...{ old_start: old.length > 0 ? 1 : 0, old_lines: old.length },
  ...{ new_start: now.length > 0 ? 1 : 0, new_lines: now.length },
  lines: [...old.map((line) => `-${line}`), ...now.map((line) => `+${line}`)],
})
