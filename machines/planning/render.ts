// Blocks back to Markdown: what is left of an item when its fields and the items it holds are taken out.
// It writes each line as its writer wrote it; only lists are put together anew.

import type { Block, List } from './blocks.js'

/** Markdown of blocks, with a blank line between them. */
export const render = (blocks: readonly Block[]): string => blocks.map(renderBlock).join('\n\n').trim()

function renderBlock(block: Block): string {
  if (block.type === 'paragraph') return block.lines.map((line) => line.markdown).join('\n')
  return block.type === 'list' ? renderList(block) : block.markdown
}

/** A list directly under the line that introduces it; anything else after a blank line. */
const joined = (blocks: readonly Block[]): string =>
  blocks
    .map((block, index) => `${index === 0 ? '' : block.type === 'list' ? '\n' : '\n\n'}${renderBlock(block)}`)
    .join('')

function renderList(list: List): string {
  return list.items
    .map((item, index) => {
      const bullet = list.ordered ? `${index + 1}. ` : '- '
      const box = item.checked === null ? '' : item.checked ? '[x] ' : '[ ] '
      const body = joined(item.blocks).replace(/\n(?=[^\n])/g, `\n${' '.repeat(bullet.length)}`)
      return `${bullet}${box}${body}`
    })
    .join('\n')
}
