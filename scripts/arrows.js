// Draws the rule of the rooms: reads every import under src/ and machines/, and fails with file:line for each arrow that
// points the wrong way and for each circle. `--draw` prints the map that ARCHITECTURE.md holds.
// It reads text, not types: comments, strings and templates are masked first, so that only real imports count.
//   node scripts/arrows.js [--draw] [root]
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'

/** Package -> the files and folders that may import it; `types`: as a type only. A package not named here is free. */
const packages = {
  xstate: {
    values: [
      'src/define.ts',
      'src/actors.ts',
      'src/durable.ts',
      'src/steps.ts',
      'src/machine-snapshot.ts',
      'src/testing/',
      'machines/',
    ],
  },
  rxjs: {
    values: ['src/stream.ts', 'src/observer.ts', 'machines/'],
    types: ['src/session.ts', 'src/runtime.ts', 'src/http/', 'src/client/'],
  },
  '@xstate/store': { values: ['src/watched.ts'] },
  lowdb: { values: ['src/files/'] },
  'fs-native-extensions': { values: ['src/files/', 'machines/planning/steps/tracker-file.ts'] },
  uuidv7: { values: ['src/system/'] },
  piscina: { values: ['src/piscina/'] },
  commander: { values: ['src/cli/'] },
  libsql: { values: ['src/sqlite/', 'machines/execution/'] },
  '@opentelemetry/api': { values: ['src/opentelemetry/'] },
  hono: { values: ['src/http/'] },
  '@hono/node-server': { values: ['src/http/serve.ts'] },
  ws: { values: ['src/http/sockets.ts'] },
  'fast-check': { values: ['src/testing/'] },
}

const args = process.argv.slice(2)
const root = args.find((arg) => !arg.startsWith('--')) ?? join(import.meta.dirname, '..')
const files = ['src', 'machines'].flatMap(sourcesIn)
const arrows = files.flatMap(arrowsOf)

if (args.includes('--draw')) {
  console.log(draw())
} else {
  const faults = [...arrows.flatMap((arrow) => faultOf(arrow) ?? []), ...circles()]
  for (const { arrow, text } of faults) console.error(`${arrow.from}:${arrow.line}: ${arrow.name}: ${text}`)
  console.log(`arrows: ${files.length} files, ${arrows.length} imports, ${faults.length} wrong`)
  process.exitCode = faults.length > 0 ? 1 : 0
}

function sourcesIn(folder) {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = posix.join(folder, entry.name)
      if (entry.isDirectory()) return sourcesIn(path)
      return /\.[cm]?tsx?$/.test(entry.name) ? [path] : []
    })
}

// ---- reading

/** Every import of a file: {from, line, name, to?, kind}; `to` is the source file of a relative one. */
function arrowsOf(from) {
  const text = readFileSync(join(root, from), 'utf8')
  const masked = mask(text)
  return shapes().flatMap(({ kind, shape }) =>
    [...masked.matchAll(shape)].flatMap((found) => {
      const [start, end] = found.indices.groups.name
      const name = text.slice(start, end)
      if (kind === 'url' && !/\.[cm]?[jt]s$/.test(name)) return []
      const line = text.slice(0, start).split('\n').length
      const to = name.startsWith('.') ? posix.join(posix.dirname(from), name).replace(/\.js$/, '.ts') : undefined
      return [{ from, line, name, to, kind: found.groups.type ? 'type' : kind }]
    }),
  )
}

/** What imports look like in masked text, where the content of a string is underscores. */
function shapes() {
  const string = '(?<quote>[\'"`])(?<name>_+)\\k<quote>'
  const names = '(?:[\\w$]+\\s*,?\\s*)?(?:\\*\\s*(?:as\\s+[\\w$]+)?|\\{[^{}]*\\})?'
  const start = '(?<![.\\w$])'
  return [
    [
      'value',
      `${start}(?:import|export)\\b\\s*(?<type>type\\b(?!\\s*(?:from|,)))?\\s*${names}\\s*\\bfrom\\s*${string}`,
    ],
    ['value', `${start}import\\s*${string}`],
    ['lazy', `${start}(?<type>typeof\\s+)?import\\s*\\(\\s*${string}`],
    ['lazy', `${start}(?:require|createRequire\\(\\s*import\\.meta\\.url\\s*\\))\\s*\\(\\s*${string}`],
    ['url', `${start}new\\s+URL\\s*\\(\\s*${string}\\s*,\\s*import\\.meta\\.url`],
  ].map(([kind, shape]) => ({ kind, shape: new RegExp(shape, 'dg') }))
}

/** The text, as long as it was, with comments and regular expressions blank and the content of strings underscored. */
function mask(text) {
  const comment = /\/\/.*|\/\*[\s\S]*?\*\//
  const pattern =
    /(?<=(?:^|[(,=:[!&|?{};+*%~^<>-]|\b(?:return|typeof|case|of|in))\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/[\\\n])+\//
  const string = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/
  const token = new RegExp([comment, pattern, string, /[^'"`/{}]+|[\s\S]/].map((part) => part.source).join('|'), 'y')
  const template = /[`}](?:\\[\s\S]|\$(?!\{)|[^\\`$])*(?:`|\$\{|$)/y // up to its end or its next `${`
  const open = []
  let masked = ''
  while (masked.length < text.length) {
    const at = masked.length
    const inTemplate = text[at] === '`' || (text[at] === '}' && open.pop() === '${')
    const shape = inTemplate ? template : token
    shape.lastIndex = at
    const [found] = shape.exec(text)
    if (found === '{') open.push('{')
    if (inTemplate && found.endsWith('${')) open.push('${')
    if (found.length === 1 || !/['"`/}]/.test(found[0])) masked += found
    else if (found[0] === '/') masked += found.replace(/[^\n]/g, ' ')
    else masked += found[0] + found.slice(1, -1).replace(/[^\n]/g, '_') + found.at(-1)
  }
  return masked
}

// ---- judging

/** A root file's room is `src`; else the folder: `src/files`, `machines/planning`. */
function roomOf(path) {
  const [top, folder, ...rest] = path.split('/')
  return rest.length > 0 ? `${top}/${folder}` : top
}

function faultOf(arrow) {
  const judge = arrow.to ? ruleOfRooms : /^holdfast(\/|$)/.test(arrow.name) ? ruleOfOwnName : ruleOfPackages
  const text = judge(arrow)
  return text && { arrow, text }
}

function ruleOfRooms({ from, to, name }) {
  const [here, there] = [roomOf(from), roomOf(to)]
  if (!name.endsWith('.js')) return 'a relative import ends with `.js`'
  if (here === there) return undefined
  if (here.startsWith('machines') && there === 'machines/services') return undefined
  if (here.startsWith('machines'))
    return 'a machine imports its own folder, `machines/services`, and `holdfast` by name'
  if (there.startsWith('machines')) return 'src/ never imports machines/; cli/ may, as `holdfast/machines/<kind>`'
  if (!there.startsWith('src')) return 'this leaves src/'
  if (there === 'src' || here === 'src/cli' || from === 'src/open.ts') return undefined
  if (here === 'src') return 'the root of src/ imports no folder; open.ts wires the adapters'
  return 'folders of src/ do not import each other; what they share belongs in the root, and cli/ may wire'
}

function ruleOfOwnName({ from, name }) {
  const machine = name.startsWith('holdfast/machines/')
  if (from.startsWith('machines/')) return machine ? 'machines do not import each other' : undefined
  if (!machine) return 'src/ imports its own files by path'
  return from.startsWith('src/cli/') ? undefined : 'src/ never imports machines/; only cli/ may'
}

function ruleOfPackages({ from, name, kind }) {
  const owner = name.split('/', name.startsWith('@') ? 2 : 1).join('/')
  if (!Object.hasOwn(packages, owner)) return undefined
  const { values, types = [] } = packages[owner]
  const within = (places) => places.some((place) => from === place || (place.endsWith('/') && from.startsWith(place)))
  if (within(values) || (kind === 'type' && within(types))) return undefined
  if (within(types)) return `only its types may be imported here: write \`import type\``
  return `${owner} is imported by ${[...values, ...types].join(', ')} only`
}

/** Circles of imports that exist at run time; types are erased, and a lazy import waits. Each is told once. */
function circles() {
  const path = []
  const done = new Set()
  const found = []
  const visit = (file) => {
    path.push(file)
    for (const arrow of arrows.filter((arrow) => arrow.from === file && arrow.kind === 'value' && arrow.to)) {
      const start = path.indexOf(arrow.to)
      if (start >= 0) found.push({ arrow, text: `a circle: ${[...path.slice(start), arrow.to].join(' → ')}` })
      else if (!done.has(arrow.to)) visit(arrow.to)
    }
    done.add(path.pop())
  }
  for (const file of files) if (!done.has(file)) visit(file)
  return found
}

// ---- drawing

/** Who imports whom, a room a line; open.ts is told apart from the root that knows no folder. */
function draw() {
  const drawn = (path) => (path === 'src/open.ts' ? path : roomOf(path))
  const map = new Map()
  for (const { from, to, name } of arrows) {
    const [here, there] = [drawn(from), to ? drawn(to) : name.split('/', name.startsWith('@') ? 2 : 1).join('/')]
    if (here !== there && !there.startsWith('node:')) map.set(here, (map.get(here) ?? new Set()).add(there))
  }
  const rooms = [...map.keys()].sort()
  const width = Math.max(0, ...rooms.map((room) => room.length))
  const inOrder = (names) => [...names].sort((a, b) => b.startsWith('src') - a.startsWith('src') || (a < b ? -1 : 1))
  return rooms.map((room) => `${room.padEnd(width)}  →  ${inOrder(map.get(room)).join(', ')}`).join('\n')
}
