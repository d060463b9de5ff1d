// Edits and pages: the text at every revision, to the letter, whatever was done to it.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { contentAt, editTo, PAGE_EDITS, type Pages, revisionOf, withEdit } from '../../../machines/document/contents.js'
import { applyEdit, editBetween, fits, piecesOf } from '../../../machines/document/text.js'
import { property } from '../../property.js'

const words = fc.constantFrom('a', 'b. ', '\n', 'The end. ', '? ', 'ü', '😀', ' ', '')
const text = fc.oneof(
  fc.array(words, { maxLength: 40 }).map((all) => all.join('')),
  fc.string({ maxLength: 60 }),
)

property([text])('the pieces of a text are the text', (whole) => {
  expect(piecesOf(whole).join('')).toBe(whole)
  expect(piecesOf(whole)).not.toContain('')
})

property([text, text])('an edit leads from one text to the other, and fits', (before, after) => {
  const pieces = piecesOf(before)
  const edit = editBetween(pieces, piecesOf(after))
  expect(fits(edit, pieces.length)).toBe(true)
  applyEdit(pieces, edit)
  expect(pieces.join('')).toBe(after)
  if (before === after) expect(edit).toEqual([])
})

property([fc.array(text, { maxLength: 12 })])('every revision of a text can be read again', (texts) => {
  const kept: string[] = []
  let pages: Pages = []
  for (const next of texts) {
    const edit = editTo(pages, next)
    expect(edit === undefined).toBe(next === (kept.at(-1) ?? ''))
    if (!edit) continue
    pages = withEdit(pages, edit)
    kept.push(next)
  }
  expect(revisionOf(pages)).toBe(kept.length)
  for (const [index, content] of kept.entries()) expect(contentAt(pages, index + 1)).toBe(content)
})

test('beyond a page the next one begins, and every revision is still there', () => {
  let pages: Pages = []
  const revisions = 2 * PAGE_EDITS + 10
  for (let n = 1; n <= revisions; n++) pages = withEdit(pages, editTo(pages, `line ${n}\nthe rest\n`) ?? [])
  expect(pages).toHaveLength(3)
  for (const n of [1, PAGE_EDITS, PAGE_EDITS + 1, PAGE_EDITS + 2, 2 * PAGE_EDITS + 2, revisions]) {
    expect(contentAt(pages, n)).toBe(`line ${n}\nthe rest\n`)
  }
})

describe('what an edit takes', () => {
  const lines = Array.from({ length: 2000 }, (_, n) => `Requirement ${n}: the system does thing ${n}.`)

  test('two small changes far apart take about as much as the two', () => {
    const after = lines.with(3, 'changed').with(1990, 'changed, too').join('\n')
    const edit = editBetween(piecesOf(lines.join('\n')), piecesOf(after))
    expect(edit).toHaveLength(2)
    expect(JSON.stringify(edit).length).toBeLessThan(100)
  })

  test('so does a change in a text that is all one line', () => {
    const after = lines.with(1000, 'Requirement: changed.').join(' ')
    expect(JSON.stringify(editBetween(piecesOf(lines.join(' ')), piecesOf(after))).length).toBeLessThan(150)
  })

  test('a text that is another altogether is one replacement', () => {
    const after = lines.map((_, n) => `something else ${n}`).join('\n')
    expect(editBetween(piecesOf(lines.join('\n')), piecesOf(after))).toHaveLength(1)
  })
})

test.each([
  ['behind the end', [[3, 1, 'x']], 3],
  ['longer than the text', [[0, 4, '']], 3],
  [
    'going back',
    [
      [2, 1, 'x'],
      [0, 1, 'y'],
    ],
    3,
  ],
  [
    'overlapping',
    [
      [0, 2, 'x'],
      [1, 1, 'y'],
    ],
    3,
  ],
] as const)('an edit that is %s does not fit', (_, edit, pieces) => {
  expect(fits(edit, pieces)).toBe(false)
})
