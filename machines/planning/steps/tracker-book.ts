// What the local tracker's file holds, and the two ways to change it: from a text to the next text, without a disk.
// Issues are numbered from 1 in the order of their creation, and a number is never given twice, also not when somebody
// removes an issue from the file by hand. A text that is not a whole, consistent book is refused, never repaired.

import { type Issue, type NewIssue, TrackerError } from '../tracker.js'

type Entry = { -readonly [K in keyof Issue]: Issue[K] }

interface Content {
  readonly tracker: 'holdfast-local'
  readonly version: number
  /** The number of the next issue. */
  readonly next: number
  readonly issues: readonly Entry[]
}

const VERSION = 1

export class Book {
  /** True when `text` would give something else than was read. */
  changed = false
  #next: number
  readonly #issues: Entry[]
  readonly #byId: Map<string, Entry>
  readonly #byClient: Map<string, Entry>

  private constructor({ next, issues }: Content) {
    this.#next = next
    this.#issues = [...issues]
    this.#byId = new Map(issues.map((issue) => [issue.id, issue]))
    this.#byClient = new Map(issues.map((issue) => [issue.clientId, issue]))
  }

  /** From the text of the file, an empty book when there is none. Throws TRACKER_CORRUPT or TRACKER_NEWER. */
  static read(text: string | undefined, file: string): Book {
    if (text === undefined) return new Book({ tracker: 'holdfast-local', version: VERSION, next: 1, issues: [] })
    return new Book(contentOf(text, file))
  }

  get issues(): readonly Issue[] {
    return this.#issues
  }

  text(): string {
    const content: Content = { tracker: 'holdfast-local', version: VERSION, next: this.#next, issues: this.#issues }
    return `${JSON.stringify(content, null, 2)}\n`
  }

  /** The issue with this `clientId`; a new one when there is none. */
  add(issue: NewIssue): { readonly id: string } {
    const known = this.#byClient.get(issue.clientId)
    if (known) return { id: known.id }
    const entry: Entry = { id: `LOCAL-${this.#next++}`, ...issue }
    this.#issues.push(entry)
    this.#byId.set(entry.id, entry)
    this.#byClient.set(entry.clientId, entry)
    this.changed = true
    return { id: entry.id }
  }

  /** Throws UNKNOWN_ISSUE or INVALID_LINK. */
  link(childId: string, parentId: string): void {
    const child = this.#known(childId)
    this.#known(parentId)
    if (child.parentId === parentId) return
    for (let above: string | undefined = parentId; above !== undefined; above = this.#byId.get(above)?.parentId) {
      if (above === childId) throw circle(childId, parentId)
    }
    child.parentId = parentId
    this.changed = true
  }

  /** Throws UNKNOWN_ISSUE. */
  depend(waitingId: string, onId: string): void {
    const waiting = this.#known(waitingId)
    const { dependsOn = [] } = waiting
    if (dependsOn.includes(this.#known(onId).id)) return
    waiting.dependsOn = [...dependsOn, onId]
    this.changed = true
  }

  #known(id: string): Entry {
    const issue = this.#byId.get(id)
    if (issue) return issue
    throw new TrackerError('UNKNOWN_ISSUE', `the tracker has no issue ${id}`, { details: { id } })
  }
}

function contentOf(text: string, file: string): Content {
  let content: Partial<Content>
  try {
    content = JSON.parse(text) as Partial<Content>
  } catch (cause) {
    throw corrupt(file, 'is not JSON', cause)
  }
  if (content?.tracker !== 'holdfast-local') throw corrupt(file, 'is not the file of a local tracker')
  if (!Number.isSafeInteger(content.version)) throw corrupt(file, 'does not say its version')
  if ((content.version as number) > VERSION) throw newer(file, content.version as number)
  const fault = faultIn(content)
  if (fault) throw corrupt(file, fault)
  return content as Content
}

/** What makes a book inconsistent; a number that could be given again counts. */
function faultIn({ next, issues }: Partial<Content>): string | undefined {
  if (!Number.isSafeInteger(next) || (next as number) < 1) return 'does not say the number of its next issue'
  if (!Array.isArray(issues)) return 'has no list of issues'
  const seen = new Set<string>()
  for (const [index, issue] of issues.entries()) {
    const { id, clientId, parentId = '', dependsOn = [] } = (issue ?? {}) as Partial<Issue>
    const number = typeof id === 'string' ? /^LOCAL-([1-9]\d*)$/.exec(id)?.[1] : undefined
    if (number === undefined) return `has an issue without an id (number ${index + 1} in the list)`
    if (typeof clientId !== 'string' || clientId === '') return `has an issue without a clientId (${id})`
    if (typeof parentId !== 'string') return `has an issue whose parentId is not a text (${id})`
    if (!Array.isArray(dependsOn)) return `has an issue whose dependsOn is not a list (${id})`
    if (Number(number) >= (next as number)) return `says that the next issue is ${next}, and has ${id}`
    if (seen.has(`id ${id}`) || seen.has(`client ${clientId}`)) return `has an issue twice (${id})`
    seen.add(`id ${id}`).add(`client ${clientId}`)
  }
  return undefined
}

const corrupt = (file: string, what: string, cause?: unknown): TrackerError =>
  new TrackerError('TRACKER_CORRUPT', `${file} ${what}: mend it, or move it away to begin with an empty tracker`, {
    ...(cause !== undefined && { cause }),
    details: { file },
  })

const newer = (file: string, version: number): TrackerError =>
  new TrackerError('TRACKER_NEWER', `${file} has version ${version}, and this Holdfast reads ${VERSION}`, {
    details: { file, version: String(version) },
  })

const circle = (childId: string, parentId: string): TrackerError =>
  new TrackerError('INVALID_LINK', `${childId} cannot be under ${parentId}, which is under it`, {
    details: { child: childId, parent: parentId },
  })
