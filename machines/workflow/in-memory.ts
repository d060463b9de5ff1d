// A manager whose sessions live as long as it does: a runtime of its own, without a disk. With a storage, what
// `saveCheckpoint` has kept there can be restored by any other manager.

import { openRuntime, type Runtime } from 'holdfast'
import { workflow } from './kind.js'
import { type ManagerOptions, SessionManager } from './manager.js'

/**
 *     await using sessions = new InMemorySessionManager({ storage: new FileSessionStorage('kept') })
 */
export class InMemorySessionManager extends SessionManager implements AsyncDisposable {
  readonly #opened: () => Promise<Runtime>
  #closed = false

  constructor(options: ManagerOptions = {}) {
    let opening: Promise<Runtime> | undefined
    const opened = (): Promise<Runtime> => (opening ??= openRuntime({ storage: 'memory', kinds: [workflow] }))
    super(opened, options)
    this.#opened = opened
  }

  /** Its sessions are gone; what runs is ended. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await (await this.#opened()).close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
