// Habits: what a document does so often that it means something, though a single line could not say it.
// Bare numbers behind titles ("Pay by card [5]") are story points when several titles have one, and no year, version or
// count otherwise. Decided once for the whole document, after it was read.

import type { Draft } from './drafts.js'
import { plainTitle } from './names.js'

const BARE_NUMBER = /\s*[([](\d{1,2}|100)[)\]]$/
const HABIT = 3

/** Takes bare numbers for points where the document makes a habit of them. */
export function readHabits(drafts: readonly Draft[]): void {
  const numbered = drafts.filter(({ title }) => BARE_NUMBER.test(title))
  const titles = new Set(numbered.map(({ title }) => plainTitle(title.replace(BARE_NUMBER, ''))))
  // "Part (1)", "Part (2)" count parts: then the titles without their numbers are one.
  if (numbered.length < HABIT || titles.size < numbered.length) return
  for (const draft of numbered) {
    draft.points ??= Number(BARE_NUMBER.exec(draft.title)?.[1])
    draft.title = draft.title.replace(BARE_NUMBER, '')
  }
}
