// The content of a document in all of its versions: a text, and the edits since. Nothing is stored twice, so a thousand
// versions of a large document take little more than one of them; the cost of an update follows the edit.
// After many edits a page is turned: the next one begins with the whole text, so that no version is far from a whole one.
// Pure; part of the session's context.

import { applyEdit, type Edit, editBetween, piecesOf } from './text.js'

export interface Page {
  /** The text at the beginning of the page. */
  readonly content: string
  /** Since then, one after the other. */
  readonly edits: readonly Edit[]
}

/** The pages of a document, oldest first; none while it has had no content. */
export type Pages = readonly Page[]

/** Edits of a page at most: what it takes to read a version that is not at hand stays near to what a whole text takes. */
export const PAGE_EDITS = 512

/** Revisions are counted from 1: the first content, then one for each edit. 0: no content yet. */
export const revisionOf = (pages: Pages): number => pages.reduce((sum, { edits }) => sum + edits.length + 1, 0)

/** The last revision in pieces, of pages that somebody holds: a session that goes on does not read its page again. */
const known: WeakMap<Pages, readonly string[]> = new WeakMap()

/** The text in pieces at a revision, the last one by default. */
export function piecesAt(pages: Pages, revision: number = revisionOf(pages)): readonly string[] {
  if (revision !== revisionOf(pages)) return read(pages, revision)
  const pieces = known.get(pages) ?? read(pages, revision)
  known.set(pages, pieces)
  return pieces
}

function read(pages: Pages, revision: number): string[] {
  let first = 1
  for (const { content, edits } of pages) {
    const beyond = first + edits.length + 1
    if (revision < beyond) {
      const pieces = piecesOf(content)
      for (const edit of edits.slice(0, Math.max(0, revision - first))) applyEdit(pieces, edit)
      return pieces
    }
    first = beyond
  }
  return []
}

export const contentAt = (pages: Pages, revision?: number): string => piecesAt(pages, revision).join('')

/** The pages with one revision more. */
export function withEdit(pages: Pages, edit: Edit): Pages {
  const pieces = [...piecesAt(pages)]
  applyEdit(pieces, edit)
  const page = pages.at(-1)
  const next =
    page && page.edits.length < PAGE_EDITS
      ? [...pages.slice(0, -1), { content: page.content, edits: [...page.edits, edit] }]
      : [...pages, { content: pieces.join(''), edits: [] }]
  known.set(next, pieces)
  return next
}

/** The edit that leads from the last revision to a content; undefined when that is the content already. */
export function editTo(pages: Pages, content: string): Edit | undefined {
  const edit = editBetween(piecesAt(pages), piecesOf(content))
  return edit.length > 0 ? edit : undefined
}
