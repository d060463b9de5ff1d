// Progress on stderr: a bar on a terminal, lines everywhere else; and how text is made fit for a terminal.
import { describe, expect, test } from 'vitest'
import { type Channel, Output } from '../../src/cli/output.js'
import { drawsBars, progressOn } from '../../src/cli/progress.js'
import { oneLine, printable, wantsColour } from '../../src/cli/style.js'
import { table } from '../../src/cli/table.js'
import { treeLines } from '../../src/cli/tree.js'
import { stateText } from '../../src/cli/values.js'
import { createVirtualClock } from '../../src/testing/clock.js'

const CLEAR = '\r\u001b[2K'

function channel(isTTY: boolean, columns = 80): Channel & { readonly written: string[] } {
  const written: string[] = []
  return { isTTY, columns, written, write: (text) => written.push(text), on: () => {} }
}

function progress(isTTY: boolean, env: Record<string, string> = {}, columns?: number) {
  const err = channel(isTTY, columns)
  const clock = createVirtualClock()
  const output = new Output({ format: 'text', dir: '.holdfast' }, channel(false), err, env)
  return { err, clock, output, progress: progressOn(output, clock) }
}

describe('where a bar is drawn', () => {
  test.each([
    [true, {}, true],
    [false, {}, false],
    [true, { CI: 'true' }, false],
    [true, { CI: 'false' }, true],
    [true, { TERM: 'dumb' }, false],
    [true, { NO_COLOR: '1' }, false],
    [true, { NO_COLOR: '' }, true],
  ])('terminal %s with %j: %s', (isTTY, env, drawn) => {
    expect(drawsBars(channel(isTTY), env)).toBe(drawn)
  })

  test('it is drawn anew at a steady pace, on one line, and wiped away at the end', async () => {
    const { err, clock, progress: bar } = progress(true, { FORCE_COLOR: '0' })
    bar.show(40, 'Extracting', '3 items')
    await clock.advance(1000)
    expect(err.written.length).toBeGreaterThan(5)
    for (const frame of err.written) expect(frame.startsWith(CLEAR)).toBe(true)
    expect(err.written.at(-1)).toContain('██████████░░░░░░░░░░░░░░  40%  Extracting  3 items')
    bar.end()
    expect(err.written.at(-1)).toBe(CLEAR)
    const { length } = err.written
    await clock.advance(1000)
    expect(err.written).toHaveLength(length)
  })

  test('a line of text wipes the bar away first, and never wraps it', async () => {
    const { err, clock, output, progress: bar } = progress(true, {}, 60)
    bar.show(40, 'A step with a very long name that does not fit at all', 'and a message')
    await clock.advance(200)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal does not show
    const visible = (err.written.at(-1) as string).replace(/\r|\u001b\[\d*[a-zA-Z]/g, '')
    expect(visible.length).toBeLessThan(60)
    output.note('by the way')
    expect(err.written.slice(-2)).toEqual([CLEAR, 'by the way\n'])
    bar.end()
  })

  test('elsewhere a line is written when the step changes or has come on', () => {
    const { err, progress: lines } = progress(false)
    lines.show(10, 'Fetching', '')
    lines.show(10, 'Fetching', '')
    lines.show(60, 'Creating', '')
    for (let percent = 60; percent <= 70; percent++) lines.show(percent, 'Creating', `${percent - 60} of 10`)
    lines.end()
    expect(err.written).toEqual([
      ' 10%  Fetching\n',
      ' 60%  Creating\n',
      ' 65%  Creating  5 of 10\n',
      ' 70%  Creating  10 of 10\n',
    ])
  })
})

test.each([
  [true, {}, true],
  [false, {}, false],
  [false, { FORCE_COLOR: '1' }, true],
  [false, { FORCE_COLOR: '' }, true],
  [true, { FORCE_COLOR: '0' }, false],
  [true, { NO_COLOR: '1' }, false],
  [true, { NO_COLOR: '' }, true],
  [true, { NO_COLOR: '1', FORCE_COLOR: '1' }, true],
  [true, { TERM: 'dumb' }, false],
])('colours: terminal %s with %j: %s', (isTTY, env, coloured) => {
  expect(wantsColour(isTTY, env)).toBe(coloured)
})

test('what a terminal would obey is spelled out', () => {
  expect(printable('a\u001b[2Jb\u0007\u009bc\u202ed\r\n\te')).toBe('a\\u001b[2Jb\\u0007\\u009bc\\u202ed\\u000d\n\te')
  expect(oneLine('  two\n lines  ')).toBe('two lines')
  expect(oneLine('abcdef', 4)).toBe('abc…')
  expect(oneLine('abcdef', 0)).toBe('')
})

test('a table is as wide as its widest cells, colours not counted', () => {
  expect(table([['a', 'b'], ['\u001b[1mccc\u001b[22m', 'd', ''], []])).toEqual([
    'a    b',
    '\u001b[1mccc\u001b[22m  d',
    '',
  ])
})

test('a tree', () => {
  const leaf = (label: string) => ({ label, branches: [] })
  const lines = treeLines([{ label: 'a', branches: [{ label: 'b', branches: [leaf('c')] }, leaf('d')] }, leaf('e')])
  expect(lines).toEqual(['a', '├─ b', '│  └─ c', '└─ d', 'e'])
})

test('states, nested and side by side', () => {
  expect(stateText('idle')).toBe('idle')
  expect(stateText({ a: { b: 'c' } })).toBe('a.b.c')
  expect(stateText({ left: 'x', right: { y: 'z' }, empty: {} })).toBe('left.x | right.y.z | empty')
})
