// Markdown to sections: what a reader sees, where it stands, and that any text and any size goes through.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Block, List, Paragraph, Table } from '../../../machines/planning/blocks.js'
import { PlanningError } from '../../../machines/planning/errors.js'
import { type ParsedDocument, parseMarkdown, type Section } from '../../../machines/planning/parse.js'
import { property } from '../../property.js'

const sectionOf = (markdown: string, title: string): Section => {
  const section = parseMarkdown(markdown).sections.find((each) => each.title === title)
  if (section === undefined) throw new Error(`no section ${title}`)
  return section
}

const firstBlock = <T extends Block>(markdown: string): T => parseMarkdown(markdown).sections[0]!.blocks[0] as T

describe('sections', () => {
  test('every heading opens one, with its depth and its blocks, in document order', () => {
    const { sections } = parseMarkdown('before\n\n# One\n\na\n\n### Two\n\nThree\n---\n\nb\n')
    expect(sections.map(({ depth, title, blocks }) => [depth, title, blocks.length])).toEqual([
      [0, '', 1],
      [1, 'One', 1],
      [3, 'Two', 0],
      [2, 'Three', 1],
    ])
  })

  test('a heading is what a reader sees of it: no emphasis, links, code marks or struck text', () => {
    const [section] = parseMarkdown('## **Epic** [`E1`](#e1): ~~Old~~ *New* &amp; better').sections
    expect(section!.title).toBe('Epic E1: New & better')
  })

  test('a heading inside a fence or a comment is none', () => {
    const markdown = '# One\n\n```md\n# not this\n```\n\n<!--\n# nor this\n-->\n\n# Two\n'
    expect(parseMarkdown(markdown).sections.map(({ title }) => title)).toEqual(['One', 'Two'])
  })

  test('the title of the front matter counts, whatever its quotes', () => {
    expect(parseMarkdown('---\ntitle: "A plan: first part"\nowner: x\n---\n\n# One').title).toBe('A plan: first part')
    expect(parseMarkdown("---\nowner: x\ntitle: 'Plan'\n---\n").title).toBe('Plan')
    expect(parseMarkdown('# One\n\n---\ntitle: no\n---\n').title).toBe('')
  })

  test('Windows line ends and a byte order mark change nothing', () => {
    const markdown = '# One\n\n- a\n- b\n\ntext\n'
    expect(parseMarkdown(`\uFEFF${markdown.replaceAll('\n', '\r\n')}`)).toEqual(parseMarkdown(markdown))
  })
})

describe('blocks', () => {
  test('a line knows what it says, what leads it in bold, and how it was written', () => {
    const { lines } = firstBlock<Paragraph>('**Story 3:** *Sign* up [here](https://x.y)\nSecond line')
    expect(lines).toEqual([
      {
        text: 'Story 3: Sign up here',
        strong: 'Story 3:',
        markdown: '**Story 3:** *Sign* up [here](https://x.y)',
        anchor: false,
      },
      { text: 'Second line', strong: '', markdown: 'Second line', anchor: false },
    ])
  })

  test('a line that goes on in lower case is one with the line before; a lower-case field is not', () => {
    const { lines } = firstBlock<Paragraph>('As a buyer, I want to\npay at once\npoints: 5')
    expect(lines.map(({ text }) => text)).toEqual(['As a buyer, I want to pay at once', 'points: 5'])
  })

  test('a line of a table of contents is known by its link', () => {
    const list = firstBlock<List>('- [One](#one)\n- [Two](https://x.y)')
    expect(list.items.map(({ blocks }) => (blocks[0] as Paragraph).lines[0]!.anchor)).toEqual([true, false])
  })

  test('checkboxes, order and nesting of lists are kept', () => {
    const list = firstBlock<List>('1. [x] done\n2. [ ] open\n   - nested')
    expect(list).toMatchObject({ ordered: true, items: [{ checked: true }, { checked: false }] })
    expect(list.items[1]!.blocks[1]).toMatchObject({ type: 'list', ordered: false, items: [{ checked: null }] })
  })

  test('a table gives its cells as text, with their line breaks', () => {
    const table = firstBlock<Table>('| ID | Story |\n|----|-------|\n| US-1 | **Pay**<br>at *once* |')
    expect(table).toMatchObject({ header: ['ID', 'Story'], rows: [['US-1', 'Pay\nat once']] })
  })

  test('what stands in a quote stands where the quote stood', () => {
    const { blocks } = sectionOf('# One\n\n> As a cook,\n> I want\n>\n> - a list\n', 'One')
    expect(blocks).toMatchObject([
      { type: 'paragraph', lines: [{ text: 'As a cook,' }, { text: 'I want' }] },
      { type: 'list' },
    ])
    expect((blocks[0] as Paragraph).lines[1]!.markdown).toBe('I want')
  })

  test('a placeholder in angle brackets is text, a tag that dresses text is not', () => {
    const { lines } = firstBlock<Paragraph>('As a <role>, I want <b>this</b>')
    expect(lines[0]!.text).toBe('As a <role>, I want this')
  })
})

describe('bounds', () => {
  test('an empty document is refused, and so is one of blanks', () => {
    for (const markdown of ['', ' \n\t\n', '\uFEFF']) {
      expect(() => parseMarkdown(markdown)).toThrowError(expect.objectContaining({ code: 'EMPTY_DOCUMENT' }))
    }
  })

  test('a document read in pieces is the document: fences, lists and comments are not cut', () => {
    const filler = (from: number, count: number): string =>
      Array.from(
        { length: count },
        (_, index) => `Line ${from + index} of a fence\n\n# no heading ${from + index}\n\n`,
      ).join('')
    const bullets = Array.from({ length: 2_000 }, (_, index) => `- bullet ${index}`).join('\n')
    const markdown = `# One\n\n\`\`\`\n${filler(0, 800)}\`\`\`\n\n# Two\n\n${bullets}\n\n<!--\n${filler(0, 400)}-->\n\n# Three\n`
    const { sections } = parseMarkdown(markdown)
    expect(sections.map(({ title }) => title)).toEqual(['One', 'Two', 'Three'])
    expect(sections[0]!.blocks).toHaveLength(1)
    expect(sections[1]!.blocks).toHaveLength(1)
    expect((sections[1]!.blocks[0] as List).items).toHaveLength(2_000)
  })

  test('nesting without end is kept as text, or refused as unreadable', () => {
    for (const markdown of ['> '.repeat(500), '- '.repeat(300), '*a '.repeat(2_000)].map((each) => `${each}x`)) {
      try {
        expect(JSON.stringify(parseMarkdown(markdown)).length).toBeGreaterThan(0)
      } catch (error) {
        expect(error).toMatchObject({ code: 'UNREADABLE_DOCUMENT' })
      }
    }
  })

  property(
    [
      fc
        .array(
          fc.oneof(
            fc.string(),
            fc.constantFrom('\n', '\n\n', '# ', '- ', '> ', '```\n', '| a |\n|---|\n', '**', '<!--'),
          ),
        )
        .map((parts) => parts.join('')),
    ],
    { numRuns: 300 },
  )('any text parses to plain JSON, the same each time, or is refused with a code', (markdown) => {
    const attempt = (): ParsedDocument | string => {
      try {
        return parseMarkdown(markdown)
      } catch (error) {
        expect(error).toBeInstanceOf(PlanningError)
        return (error as PlanningError).code
      }
    }
    const parsed = attempt()
    expect(JSON.parse(JSON.stringify(parsed))).toEqual(parsed)
    expect(attempt()).toEqual(parsed)
  })
})
