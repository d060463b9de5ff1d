// Acceptance criteria from what stands under their label: bullets, checkboxes, paragraphs, Gherkin.
// One criterion is one line of text; the steps of a scenario (Given, When, Then) are one criterion together.

import type { Block, List, ListItem, Paragraph } from '../blocks.js'

/** Criteria from a label's own value and the blocks under it. */
export function criteriaIn(value: string, blocks: readonly Block[]): string[] {
  return scenarios([...cellCriteria(value), ...blocks.flatMap(linesIn)].map(tidied).filter((line) => line !== ''))
}

/** "AC1: … AC2: …", "a; b; c", "- a<br>- b": the parts of a value in one line or cell. */
function cellCriteria(value: string): string[] {
  const lines = value.split(/\n|\s*•\s*|(?<=[.;\s])(?=AC[- ]?\d{1,3}\s*[:.)])|\s+(?=\(\d{1,2}\)\s)/)
  return lines.flatMap((line) => (line.length < 600 && /;\s.*;\s/.test(line) ? line.split(/;\s+/) : [line]))
}

function linesIn(block: Block): string[] {
  if (block.type === 'list') return block.items.map(itemText)
  if (block.type === 'paragraph') return block.lines.map((line) => line.text)
  if (block.type === 'table') return block.rows.map((row) => row.join(' — '))
  return isGherkin(block.text) ? block.text.split('\n').filter((line) => !/^\s*(?:#|@|\||Feature:|$)/.test(line)) : []
}

/** An item and what is nested in it, as one line. */
export function itemText(item: ListItem): string {
  const own = item.blocks.filter((block): block is Paragraph => block.type === 'paragraph')
  const text = own.flatMap((paragraph) => paragraph.lines.map((line) => line.text)).join(' ')
  const nested = item.blocks
    .filter((block): block is List => block.type === 'list')
    .flatMap((list) => list.items.map(itemText))
  if (nested.length === 0) return text
  const steps = nested.some(isStep)
  return `${text.replace(/[:：]\s*$/, '')}${text === '' ? '' : ': '}${nested.join(steps ? ' ' : '; ')}`
}

const tidied = (line: string): string =>
  line
    .trim()
    .replace(/^[-*•☐☑✅✔✓]+\s*/u, '')
    .replace(/^\(?AC[- ]?\d{0,3}(?:\.\d+)*\)?\s*[:.)–—-]\s*/i, '')
    .replace(/^(?:scenario(?: outline)?|example)(?: \d+)?\s*[:–—-]\s*/i, 'Scenario: ')
    .replace(/;$/, '')
    .trim()

const isStep = (line: string): boolean => /^(?:given|when|then|and|but)\b/i.test(line)

/** True for a line that opens a scenario, with or without a label above it. */
export const opensScenario = (text: string): boolean =>
  /^(?:given\b|scenario(?: outline)?(?: \d+)?\s*[:–—-])/i.test(text)

/** True for a line that goes on with a scenario. */
export const isScenarioStep = (text: string): boolean => opensScenario(text) || /^(?:when|then|and|but)\b/i.test(text)

/** True for "AC1: …", which needs no label above it. */
export const isNumberedCriterion = (text: string): boolean => /^AC[- ]?\d{1,3}(?:\.\d+)*\s*[:.)–—-]\s*\S/.test(text)

export const isGherkin = (text: string): boolean => /^\s*(?:scenario|given|feature|background)\b/im.test(text)

/** Joins the steps of one scenario. */
function scenarios(lines: readonly string[]): string[] {
  const joined: string[] = []
  for (const line of lines) {
    const last = joined.at(-1)
    const open =
      last !== undefined && (/^given\b/i.test(last) || last.startsWith('Scenario: ') || /^when\b/i.test(last))
    const follows = /^(?:then|and|but)\b/i.test(line) || (/^when\b/i.test(line) && !/\bthen\b/i.test(last ?? ''))
    const firstStep = last?.startsWith('Scenario: ') === true && isStep(line) && !/\b(?:given|when|then)\b/i.test(last)
    if (open && (follows || firstStep)) joined[joined.length - 1] = `${last} ${line}`
    else joined.push(line)
  }
  return joined.map((line) => line.replace(/^Scenario: /, ''))
}
