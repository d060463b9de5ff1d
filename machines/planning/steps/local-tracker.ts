// The tracker in a JSON file, so that everything runs with no account: the default.
// It promises what the port does, to any number of threads and processes on one file, whoever of them dies when.
// Calls that come while the file is being written share the next writing of it: a thousand issues cost a few dozen syncs.

import type { Issue, NewIssue, Tracker } from '../tracker.js'
import { Book } from './tracker-book.js'
import { TrackerFile, type TrackerFileOptions } from './tracker-file.js'

/** One call on its way: what it does to the book, and whoever waits for it. */
interface Call {
  run(book: Book): void
  resolve(): void
  reject(error: unknown): void
}

/** How many calls may share one writing; bounds what is under way at a time. */
const PARALLEL = 128

/** The tracker in the JSON file at `path`, which is made with its first issue. */
export function openLocalTracker(path: string, options: TrackerFileOptions = {}): LocalTracker {
  return new LocalTracker(new TrackerFile(path, options))
}

export class LocalTracker implements Tracker {
  readonly parallel: number = PARALLEL
  readonly #file: TrackerFile
  #waiting: Call[] = []
  #writing = false

  constructor(file: TrackerFile) {
    this.#file = file
  }

  async find(clientIds: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const wanted = new Set(clientIds)
    const issues = await this.list()
    return new Map(issues.flatMap(({ clientId, id }) => (wanted.has(clientId) ? [[clientId, id]] : [])))
  }

  create(issue: NewIssue): Promise<{ readonly id: string }> {
    return this.#call((book) => book.add(issue))
  }

  link(childId: string, parentId: string): Promise<void> {
    return this.#call((book) => book.link(childId, parentId))
  }

  depend(waitingId: string, onId: string): Promise<void> {
    return this.#call((book) => book.depend(waitingId, onId))
  }

  /** Every issue, in the order of creation. */
  async list(): Promise<readonly Issue[]> {
    return Book.read(await this.#file.read(), this.#file.path).issues
  }

  #call<T>(run: (book: Book) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      let output: T
      this.#waiting.push({
        run: (book) => {
          output = run(book)
        },
        resolve: () => resolve(output),
        reject,
      })
      if (!this.#writing) void this.#writeAll()
    })
  }

  async #writeAll(): Promise<void> {
    this.#writing = true
    await undefined // calls of the same turn come first
    while (this.#waiting.length > 0) await this.#write(this.#waiting.splice(0))
    this.#writing = false
  }

  /** A call that is refused changes nothing, and the others go on; when the file fails, all of them do. */
  async #write(calls: readonly Call[]): Promise<void> {
    const taken: Call[] = []
    try {
      await this.#file.change((content) => {
        const book = Book.read(content, this.#file.path)
        for (const call of calls) if (attempt(call, book)) taken.push(call)
        return book.changed ? book.text() : undefined
      })
      for (const call of taken) call.resolve()
    } catch (error) {
      for (const call of calls) call.reject(error)
    }
  }
}

function attempt(call: Call, book: Book): boolean {
  try {
    call.run(book)
    return true
  } catch (error) {
    call.reject(error)
    return false
  }
}
