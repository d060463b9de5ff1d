// `holdfast diff`: what changed in one session between two of its transitions. Reads beside the owner, or asks a
// server; changes nothing.

import type { SessionDiff } from '../diff.js'
import { formatPath } from '../json.js'
import type { Operation } from '../patch.js'
import type { Output } from './output.js'
import { sourceAt, type Where } from './source.js'
import { printable, type Style } from './style.js'
import { table } from './table.js'
import { stateText, valueText } from './values.js'

export interface DiffOptions extends Where {
  readonly from: number
  readonly to: number
}

/** A value is cut off after this many characters; `-o json` has it whole. */
const LONGEST_VALUE = 100

export async function diff(prefix: string, { from, to, ...where }: DiffOptions, output: Output): Promise<number> {
  const source = await sourceAt(where, output)
  try {
    const { id } = await source.find(prefix)
    const found = await source.diff(id, from, to)
    const rows = diffRows(found, output.style)
    output.data(found, () => table(rows).join('\n'))
    if (rows.length === 0) output.note(`session ${id} is the same at ${from} and at ${to}`)
    return 0
  } finally {
    source.close()
  }
}

function diffRows({ patch = [], value, status }: SessionDiff, style: Style): string[][] {
  const [before, after] = [stateText(value.before), stateText(value.after)]
  const rows: string[][] = []
  if (before !== after) rows.push(['state', style.cyan(`${printable(before)} → ${printable(after)}`)])
  if (status.before !== status.after) rows.push(['status', `${status.before} → ${status.after}`])
  return [...rows, ...patch.map((operation) => operationRow(operation))]
}

function operationRow(operation: Operation): string[] {
  const place = printable(formatPath('context', operation[0]))
  if (operation.length === 1) return [place, 'removed']
  if (operation.length === 2) return [place, `= ${valueText(operation[1], LONGEST_VALUE)}`]
  const [, index, removed, ...items] = operation as readonly [unknown, number, number, ...unknown[]]
  const words = [...(removed > 0 ? [`${removed} removed`] : []), ...items.map((item) => valueText(item, LONGEST_VALUE))]
  return [`${place}[${index}]`, words.join(', ')]
}
