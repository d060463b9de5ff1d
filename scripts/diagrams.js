// Draws the statecharts of docs/*.md from the machines themselves: between `<!-- statechart: <kind> -->` and
// `<!-- /statechart -->` it writes a Mermaid diagram of that kind and a table of what each state takes. It reads the built
// machines, runs none of them, and changes nothing outside those marks.
//   node scripts/diagrams.js [--check]    with --check it writes nothing, and fails when a page is not what it would write
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const root = join(import.meta.dirname, '..')
const docs = join(root, 'docs')
const check = process.argv.includes('--check')
const marked = /(<!-- statechart: ([\w-]+) -->\n)[\s\S]*?(<!-- \/statechart -->)/g

let drawn = 0
const stale = []
for (const page of existsSync(docs) ? readdirSync(docs).filter((name) => name.endsWith('.md')) : []) {
  const path = join(docs, page)
  const before = readFileSync(path, 'utf8')
  let after = before
  for (const [whole, open, kind, close] of before.matchAll(marked)) {
    drawn++
    const machine = await machineOf(kind)
    after = after.replace(whole, () => `${open}\n${statechart(machine)}\n${close}`)
  }
  if (after === before) continue
  stale.push(`docs/${page}`)
  if (!check) writeFileSync(path, after)
}
console.log(`diagrams: ${drawn} statecharts, ${stale.length} ${check ? 'not as the machine is' : 'written anew'}`)
for (const page of stale) console.log(page)
if (check && stale.length > 0) {
  console.error('write them with: npm run build && node scripts/diagrams.js')
  process.exitCode = 1
}

/** `document` -> the machine of the kind of that name, which one of the folders of `machines/` exports. */
async function machineOf(name) {
  const built = join(root, 'dist', 'machines')
  for (const folder of readdirSync(built)) {
    if (!name.startsWith(folder)) continue
    const module = await import(pathToFileURL(join(built, folder, 'index.js')).href)
    const kind = Object.values(module).find((value) => value?.kind === name && value.machine)
    if (kind) return kind.machine
  }
  throw new Error(`no folder of machines/ exports a session kind named "${name}"`)
}

function statechart({ root: top }) {
  return ['```mermaid', 'stateDiagram-v2', ...inside(top, '  '), ...arrows(top, '  '), '```', '', table(top), ''].join(
    '\n',
  )
}

/** The states of a state, each with those inside it; regions of a parallel one beside each other. */
function inside(node, indent) {
  const lines = []
  const begin = node.type === 'compound' ? node.initial?.target?.[0] : undefined
  if (begin) lines.push(`${indent}[*] --> ${idOf(begin)}`)
  for (const [index, child] of Object.values(node.states).entries()) {
    if (node.type === 'parallel' && index > 0) lines.push(`${indent}--`)
    lines.push(`${indent}state "${nameOf(child)}" as ${idOf(child)}`)
    if (Object.keys(child.states).length > 0) {
      lines.push(`${indent}state ${idOf(child)} {`, ...inside(child, `${indent}  `), `${indent}}`)
    }
    if (child.type === 'final') lines.push(`${indent}${idOf(child)} --> [*]`)
  }
  return lines
}

/** One arrow for each pair of states, with all that leads along it. What the whole machine takes stands in the table only. */
function arrows(top, indent) {
  const labels = new Map()
  for (const node of descendants(top)) {
    for (const { target, label } of transitionsOf(node)) {
      for (const to of target) {
        const arrow = `${idOf(node)} --> ${idOf(to)}`
        labels.set(arrow, [...(labels.get(arrow) ?? []), label])
      }
    }
  }
  return [...labels].map(([arrow, all]) => `${indent}${arrow}: ${[...new Set(all)].join(', ')}`)
}

function table(top) {
  const rows = [top, ...descendants(top)].flatMap((node) => {
    const taken = transitionsOf(node).map(({ target, label }) => {
      const to = target.map((state) => pathOf(state)).join(' and ')
      return to ? `${label} → ${to}` : label
    })
    const runs = node.invoke.map(({ src }) => `runs ${src}`)
    const all = [...new Set([...runs, ...taken])]
    return all.length === 0 ? [] : [[node === top ? 'every state' : `\`${pathOf(node)}\``, all.join('; ')]]
  })
  return aligned([['state', 'takes'], ...rows])
}

/** As the formatter has tables: columns as wide as their widest cell. */
function aligned(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`
  const rule = widths.map((width) => '-'.repeat(width))
  const [head, ...body] = rows
  return [head, rule, ...body].map(line).join('\n')
}

function* descendants(node) {
  for (const child of Object.values(node.states)) {
    yield child
    yield* descendants(child)
  }
}

function transitionsOf(node) {
  const all = [...node.transitions.values()].flat().concat(node.always ?? [])
  return all.map(({ eventType, target = [], guard }) => ({
    target,
    label: `${eventName(eventType)}${guardName(guard)}`,
  }))
}

function eventName(type) {
  if (!type) return 'always'
  const [, after] = /^xstate\.after\.(.*?)\.[^.]*$/.exec(type) ?? []
  if (after) return `after ${/^\d+$/.test(after) ? duration(Number(after)) : after.split('.')[0]}`
  const [, how, what, who] = /^xstate\.(done|error)\.(actor|state)\.(.*)$/.exec(type) ?? []
  if (how) return what === 'state' ? 'done' : `${who} ${how === 'done' ? 'done' : 'failed'}`
  return type
}

function guardName(guard) {
  if (!guard) return ''
  const { type = '', params } = typeof guard === 'string' ? { type: guard } : guard
  const said =
    params && typeof params === 'object' ? Object.values(params).filter((value) => typeof value !== 'object') : []
  const name = typeof guard === 'function' ? guard.name : type
  return name ? ` (${[name, ...said].join(' ')})` : ' (if)'
}

function duration(ms) {
  for (const [unit, size] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1000],
  ]) {
    if (ms >= size && ms % size === 0) return `${ms / size} ${unit}`
  }
  return `${ms} ms`
}

function nameOf({ key, type, history }) {
  return type === 'history' ? `${key} (${history} history)` : key
}

function pathOf({ path }) {
  return path.join('.')
}

function idOf({ path }) {
  return path.join('_').replace(/\W/g, '_')
}
