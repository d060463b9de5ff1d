// What the tests of the façade stand on: a runtime with the steps in this thread, and tables in a folder of its own.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, openRuntime, type Runtime } from 'holdfast'
import {
  createSessionManagementService,
  execution,
  executionCleanup,
  type SessionManagementConfig,
  type SessionManagementService,
} from 'holdfast/machines/execution'
import Database from 'libsql'
import * as steps from '../../../machines/execution/steps.js'
import { createInlinePool } from '../../../src/inline/pool.js'
import { systemClock } from '../../../src/system/clock.js'

export class House {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'holdfast-execution-'))
  readonly databasePath: string = join(this.dir, 'sessions.db')
  readonly data: string = join(this.dir, 'data')
  runtime!: Runtime
  service!: SessionManagementService

  async open(config: SessionManagementConfig = {}, clock: Clock = systemClock): Promise<SessionManagementService> {
    const pool = createInlinePool({ clock, load: async () => ({ ...steps }) })
    this.runtime = await openRuntime({ dir: this.data, kinds: [execution, executionCleanup], pool, clock })
    this.service = this.with(config)
    return this.service
  }

  /** Another service on the same runtime. */
  with(config: SessionManagementConfig): SessionManagementService {
    return createSessionManagementService({ runtime: this.runtime, databasePath: this.databasePath, ...config })
  }

  async close(): Promise<void> {
    await this.service?.close()
    await this.runtime?.close()
  }

  async remove(): Promise<void> {
    await this.close()
    rmSync(this.dir, { recursive: true, force: true })
  }

  /** As a tool from outside asks. */
  ask(sql: string, ...parameters: unknown[]): Record<string, unknown>[] {
    const database = new Database(this.databasePath)
    try {
      return database.prepare(sql).all(...parameters) as Record<string, unknown>[]
    } finally {
      database.close()
    }
  }
}
