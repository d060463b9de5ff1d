// HTML and Confluence's storage format to sections: the same structure as Markdown gives, whatever boxes the text stands in.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Block } from '../../../machines/planning/blocks.js'
import { extractPlan } from '../../../machines/planning/extract.js'
import { parseHtml } from '../../../machines/planning/html.js'
import { parseMarkdown } from '../../../machines/planning/parse.js'
import { render } from '../../../machines/planning/render.js'
import { handed, received } from '../../../machines/planning/steps/handover.js'
import { property } from '../../property.js'

const blocksOf = (html: string): Block[] => parseHtml(html).sections.flatMap(({ blocks }) => blocks)
const outline = (html: string): [number, string][] => parseHtml(html).sections.map(({ depth, title }) => [depth, title])
const linesOf = (html: string): string[] =>
  blocksOf(html).flatMap((block) => (block.type === 'paragraph' ? block.lines.map(({ text }) => text) : []))
const markdownOf = (html: string): string => render(blocksOf(html))

describe('the same as Markdown', () => {
  test.each([
    ['headings', '# A\n\n## B\n\ntext\n', '<h1>A</h1><h2>B</h2><p>text</p>'],
    ['lists in lists', '- a\n  - b\n- c\n', '<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>'],
    ['numbered lists', '1. a\n2. b\n', '<ol><li>a</li><li><p>b</p></li></ol>'],
    [
      'checkboxes',
      '- [x] a\n- [ ] b\n',
      '<ul><li><input type="checkbox" checked> a</li><li><input type=checkbox>b</li></ul>',
    ],
    ['what leads in bold', '**Epic:** Pay\n', '<p><b>Epic:</b> Pay</p>'],
    ['lines', 'A\\\nB\n', '<p>A<br>B</p>'],
    ['quotes', '> As a user\n', '<blockquote><p>As a user</p></blockquote>'],
    [
      'tables',
      '| A | B |\n| --- | --- |\n| 1 | 2 |\n',
      '<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>',
    ],
    ['links to a place in it', '[Epic](#e)\n', '<p><a href="#e">Epic</a></p>'],
  ])('%s', (_, markdown, html) => {
    const same = (document: ReturnType<typeof parseHtml>): unknown =>
      JSON.parse(JSON.stringify(document, (key, value) => (key === 'markdown' ? undefined : value)))
    expect(same(parseHtml(html))).toEqual(same(parseMarkdown(markdown)))
  })

  test.each([
    '<h2>Epic: Pay</h2><h3>Story: Card (5 points)</h3><ul><li>Priority: high</li><li>depends on Refund</li></ul><h3>Story: Refund</h3>',
    '<p><strong>Story 1:</strong> Pay by card</p><p>Acceptance criteria:</p><ul><li>fast</li></ul>',
  ])('so that a plan comes of it: %s', (html) => {
    const { epics, stories } = extractPlan(parseHtml(html))
    expect(stories[0]).toMatchObject({ title: expect.stringMatching(/Card|Pay by card/) })
    if (epics.length > 0)
      expect(stories[0]).toMatchObject({ parent: 'epic-1', storyPoints: 5, priority: 'high', dependsOn: ['story-2'] })
    else expect(stories[0]?.acceptanceCriteria).toEqual(['fast'])
  })
})

describe('a page', () => {
  test('is read through the boxes that arrange it', () => {
    expect(
      outline('<div><header><h1>A</h1></header><main><section><span><h2>B</h2></span></section></main></div>'),
    ).toEqual([
      [1, 'A'],
      [2, 'B'],
    ])
    expect(outline('<table><tr><td><h2>Left</h2></td><td><h2>Right</h2></td></tr></table>')).toEqual([
      [2, 'Left'],
      [2, 'Right'],
    ])
  })

  test('is read without what no reader sees, is struck out, or belongs to the site', () => {
    const unseen =
      '<script>Epic: a</script><style>Epic: b</style><nav>Epic: c</nav><footer>Epic: d</footer><p hidden>Epic: e</p>' +
      '<p style="display: none">Epic: f</p><del>Epic: g</del><!-- Epic: h --><svg><text>Epic: i</text></svg><template><p>Epic: j</p></template>'
    expect(linesOf(`<p>Seen</p>${unseen}`)).toEqual(['Seen'])
  })

  test('has the title of its first heading, or else of its tab', () => {
    expect(parseHtml('<title>Shop – Wiki</title><h1>Shop</h1>').title).toBe('')
    expect(parseHtml('<title>Shop – Wiki</title><p>x</p>').title).toBe('Shop – Wiki')
  })

  test('whose title stands outside of its text has it above all', () => {
    expect(parseHtml('<p>intro</p><h1>A</h1><h6>B</h6>', 'Epic: Pay').sections).toMatchObject([
      { depth: 1, title: 'Epic: Pay', blocks: [{ type: 'paragraph' }] },
      { depth: 2, title: 'A' },
      { depth: 6, title: 'B' },
    ])
  })

  test.each(['', ' \n', '<p></p>', '<script>x</script>', '<!-- x -->', '<p hidden>x</p>', '<br><hr>'])(
    '%j has nothing in it',
    (html) => {
      expect(() => parseHtml(html)).toThrow(expect.objectContaining({ code: 'EMPTY_DOCUMENT' }))
    },
  )

  test('unpacks a `<details>`: its summary is a heading above those in it, or else a line in bold', () => {
    expect(outline('<h2>X</h2><details><summary>Epic: Pay</summary><h4>Story: Card</h4></details>')).toEqual([
      [2, 'X'],
      [3, 'Epic: Pay'],
      [4, 'Story: Card'],
    ])
    expect(markdownOf('<details><summary>Acceptance criteria</summary><ul><li>a</li></ul></details>')).toBe(
      '**Acceptance criteria**\n\n- a',
    )
  })

  test('gives terms and what is said of them as a list', () => {
    expect(markdownOf('<dl><dt>Epic: Pay</dt><dd>By card.</dd><dd>Or cash.</dd><dt>Epic: Refund</dt></dl>')).toBe(
      '- Epic: Pay\n\n  By card.\n\n  Or cash.\n- Epic: Refund',
    )
  })
})

describe('a table', () => {
  const tableIn = (html: string) => blocksOf(html).find((block) => block.type === 'table')

  test('repeats what spans rows and columns', () => {
    const html =
      '<table><tr><th>Epic</th><th colspan=2>Story</th></tr><tr><td rowspan="2">Pay</td><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>'
    expect(tableIn(html)).toMatchObject({
      header: ['Epic', 'Story', 'Story'],
      rows: [
        ['Pay', 'a', 'b'],
        ['Pay', 'c', 'd'],
      ],
    })
  })

  test('cannot ask for more than there is room for', () => {
    const html = '<table><tr><td colspan=1000000 rowspan=1000000000>x</td></tr><tr><td>y</td></tr></table>'
    expect(tableIn(html)?.type === 'table' && tableIn(html)).toMatchObject({ rows: [expect.arrayContaining(['x'])] })
    expect(JSON.stringify(tableIn(html)).length).toBeLessThan(10_000)
  })

  test('has the lines and list items of a cell below one another, and escapes what it must in Markdown', () => {
    const html = '<table><tr><th>AC</th></tr><tr><td><p>a|b</p><ul><li>c</li><li>d</li></ul>e<br>f</td></tr></table>'
    expect(tableIn(html)).toMatchObject({
      rows: [['a|b\nc\nd\ne\nf']],
      markdown: '| AC |\n| --- |\n| a\\|b<br>c<br>d<br>e<br>f |',
    })
  })

  test('of two columns, the first of which heads it, is a list of fields', () => {
    const html =
      '<table><tr><th>Priority</th><td>high</td></tr><tr><th>Acceptance criteria</th><td><ul><li>a</li></ul></td></tr></table>'
    expect(markdownOf(html)).toBe('**Priority:** high\n\n**Acceptance criteria:**\n\n- a')
  })
})

describe('Markdown of a line', () => {
  test.each([
    ['<p>a <b>bold </b>word</p>', 'a **bold** word'],
    ['<p><em>x</em> <code>y*z</code> <a href="https://a.b/c d">l</a></p>', '*x* `y*z` [l](<https://a.b/c%20d>)'],
    ['<p>2 * 3 and a_b _c_ &lt;role&gt;</p>', '2 \\* 3 and a_b \\_c\\_ \\<role>'],
    ['<p># no heading</p>', '\\# no heading'],
    ['<p>1. no item</p>', '1\\. no item'],
    ['<p>- no item</p>', '\\- no item'],
    ['<p><a href="javascript:x()">click</a></p>', 'click'],
  ])('%s', (html, markdown) => {
    expect(markdownOf(html)).toBe(markdown)
  })

  property([fc.string({ minLength: 1, maxLength: 30 })], { numRuns: Number(process.env.HOLDFAST_RUNS ?? 300) })(
    'reads as the text that it was made of',
    (text) => {
      const written = text.replace(/[<&]/g, (each) => `&#${each.charCodeAt(0)};`)
      const [line] = linesOf(`<p>x ${written}</p>`)
      const [again] = parseMarkdown(markdownOf(`<p>x ${written}</p>`)).sections.flatMap(({ blocks }) => blocks)
      if (again?.type !== 'paragraph') throw new Error(`not a paragraph: ${JSON.stringify(again)}`)
      expect(again.lines.map((each) => each.text).join(' ')).toBe(line)
    },
  )
})

describe("Confluence's storage format", () => {
  const macro = (name: string, body: string, title = ''): string =>
    `<ac:structured-macro ac:name="${name}">${title && `<ac:parameter ac:name="title">${title}</ac:parameter>`}` +
    `<ac:rich-text-body>${body}</ac:rich-text-body></ac:structured-macro>`

  test.each(['info', 'note', 'tip', 'warning', 'panel', 'expand', 'excerpt', 'details'])(
    'a %s is opened, its title first',
    (name) => {
      expect(linesOf(macro(name, '<p>inside</p>', 'Acceptance criteria'))).toEqual(['Acceptance criteria', 'inside'])
      expect(outline(macro(name, '<h3>Story: a</h3>', 'Epic: Pay'))).toEqual([
        [2, 'Epic: Pay'],
        [3, 'Story: a'],
      ])
    },
  )

  test('tasks are a list with checkboxes', () => {
    const task = (status: string, body: string): string =>
      `<ac:task><ac:task-id>1</ac:task-id><ac:task-status>${status}</ac:task-status><ac:task-body><span>${body}</span></ac:task-body></ac:task>`
    expect(markdownOf(`<ac:task-list>${task('complete', 'a')}${task('incomplete', 'b')}</ac:task-list>`)).toBe(
      '- [x] a\n- [ ] b',
    )
  })

  test('code is kept as it is, and is no text', () => {
    const code =
      '<ac:structured-macro ac:name="code"><ac:parameter ac:name="language">md</ac:parameter><ac:plain-text-body><![CDATA[# Epic: no\n<b>&amp;]]></ac:plain-text-body></ac:structured-macro>'
    expect(blocksOf(code)).toEqual([
      { type: 'verbatim', kind: 'code', text: '# Epic: no\n<b>&amp;', markdown: '```\n# Epic: no\n<b>&amp;\n```' },
    ])
  })

  test('a status reads as its title, an issue as its key, a link as its text, a person and a table of contents as nothing', () => {
    const status =
      '<ac:structured-macro ac:name="status"><ac:parameter ac:name="colour">Red</ac:parameter><ac:parameter ac:name="title">HIGH</ac:parameter></ac:structured-macro>'
    const jira =
      '<ac:structured-macro ac:name="jira"><ac:parameter ac:name="server">S</ac:parameter><ac:parameter ac:name="key">SHOP-7</ac:parameter></ac:structured-macro>'
    const page = '<ac:link><ri:page ri:content-title="Rules" /></ac:link>'
    const named =
      '<ac:link><ri:page ri:content-title="Rules" /><ac:plain-text-link-body><![CDATA[the rules]]></ac:plain-text-link-body></ac:link>'
    const person = '<ac:link><ri:user ri:account-id="1" /></ac:link>'
    const toc = '<ac:structured-macro ac:name="toc" />'
    expect(
      linesOf(`<p>Priority: ${status} ${jira} ${page}, ${named}${person}${toc}<ac:emoticon ac:name="tick" /></p>`),
    ).toEqual(['Priority: HIGH SHOP-7 Rules, the rules'])
  })

  test('columns are read one after the other, and a paragraph around a panel is opened', () => {
    const cell = (html: string): string => `<ac:layout-cell>${html}</ac:layout-cell>`
    expect(
      outline(
        `<ac:layout><ac:layout-section>${cell('<h2>A</h2>')}${cell('<h2>B</h2>')}</ac:layout-section></ac:layout>`,
      ),
    ).toHaveLength(2)
    expect(linesOf(`<p>before ${macro('panel', '<p>inside</p>')} after</p>`)).toEqual(['before', 'inside', 'after'])
  })

  test('an element of the new editor is read by what it brings for older readers', () => {
    const extension =
      '<ac:adf-extension><ac:adf-node type="panel"><ac:adf-attribute key="type">x</ac:adf-attribute></ac:adf-node><ac:adf-fallback><p>Story: a</p></ac:adf-fallback></ac:adf-extension>'
    expect(linesOf(extension)).toEqual(['Story: a'])
  })
})

describe('any page at all', () => {
  const piece: fc.Arbitrary<string> = fc.oneof(
    fc.constantFrom(
      ...[
        '<h1>',
        '</h1>',
        '<h3>Epic: A</h3>',
        '<p>',
        '</p>',
        '<ul>',
        '<li>',
        '</ul>',
        '<table>',
        '<tr>',
        '<td rowspan=3>',
        '<th>',
        '</table>',
      ],
      ...[
        '<b>',
        '</b>',
        '<br>',
        '<details><summary>',
        '<ac:structured-macro ac:name="panel">',
        '<ac:rich-text-body>',
        '<ac:task-list><ac:task>',
      ],
      ...[
        '<![CDATA[',
        ']]>',
        '<!--',
        '-->',
        '<input type=checkbox>',
        '<dl><dt>',
        '<dd>',
        '&amp;',
        '&#0;',
        '<script>',
        '<pre>',
        'Story: B',
        'As a user, I want x',
      ],
    ),
    fc.string({ maxLength: 12 }),
  )

  property([fc.array(piece, { maxLength: 40 })], { numRuns: Number(process.env.HOLDFAST_RUNS ?? 300) })(
    'is parsed, survives its journey between the steps, and gives a plan or a clear failure',
    (pieces) => {
      try {
        const document = parseHtml(pieces.join(''))
        expect(received(JSON.parse(JSON.stringify(handed(document))))).toEqual(document)
        const { epics, features, stories, enablers } = extractPlan(document)
        expect(epics.length + features.length + stories.length + enablers.length).toBeGreaterThan(0)
      } catch (error) {
        expect(['EMPTY_DOCUMENT', 'NO_ITEMS_FOUND']).toContain((error as { code?: string }).code)
      }
    },
  )

  test.each([
    ['a thousand elements deep', `${'<div>'.repeat(1_000)}<h1>Epic: Pay</h1>`],
    ['a thousand lists deep', `${'<ul><li>'.repeat(900)}Epic: Pay`],
    ['a thousand bold letters deep', `${'<b>'.repeat(1_900)}Epic: Pay`],
  ])('%s still has its text', (_, html) => {
    expect(JSON.stringify(parseHtml(html))).toContain('Epic: Pay')
  })

  test('more than two thousand open elements are refused, not waited for', () => {
    expect(() => parseHtml(`${'<i>'.repeat(100_000)}x${'</b>'.repeat(100_000)}`)).toThrow(
      expect.objectContaining({ code: 'UNREADABLE_DOCUMENT' }),
    )
  })
})
