// Rows of text in columns as wide as their widest cell. Pure; cells are printable already, and may be coloured.

import { stripVTControlCharacters } from 'node:util'

/** Lines without trailing spaces. */
export function table(rows: readonly (readonly string[])[], indent = ''): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, widthOf(cell))
  }
  return rows.map((row) => {
    const cells = row.map((cell, column) => cell + ' '.repeat((widths[column] as number) - widthOf(cell)))
    return `${indent}${cells.join('  ')}`.trimEnd()
  })
}

const widthOf = (cell: string): number => stripVTControlCharacters(cell).length
