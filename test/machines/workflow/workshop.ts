// A place to run workflows in: a folder with a real repository, and a runtime whose steps are the real ones, in this thread.
// It can be closed and opened again.
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Runtime, Session } from 'holdfast'
import { type SessionConfigInput, SessionManager, type SessionStorage, workflow } from 'holdfast/machines/workflow'
import * as steps from '../../../machines/workflow/steps.js'
import { type House, house } from '../../house.js'
import { repositoryWith } from './repository.js'

type WorkflowSession = Session<typeof workflow.machine>

export class Workshop implements AsyncDisposable {
  readonly folder: string = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-workflow-')))
  readonly project: string
  readonly #house: House = house([workflow], { ...steps } as never)
  #runtime: Runtime | undefined

  constructor(files?: Record<string, string>) {
    this.project = repositoryWith(join(this.folder, 'project'), files)
  }

  async runtime(): Promise<Runtime> {
    this.#runtime ??= await this.#house.open()
    return this.#runtime
  }

  async manager(storage?: SessionStorage): Promise<SessionManager> {
    return new SessionManager(await this.runtime(), storage ? { storage } : {})
  }

  async session(config: Partial<SessionConfigInput>): Promise<WorkflowSession> {
    const whole = { project_path: this.project, workflow: [], max_iterations: 1, ...config }
    return (await this.runtime()).create(workflow, { config: whole })
  }

  /** Starts it, and gives the state that it ends in. */
  async run(config: Partial<SessionConfigInput>) {
    const session = await this.session(config)
    await session.send({ type: 'start' })
    return { session, ...(await ended(session)) }
  }

  async reopened(): Promise<Runtime> {
    await this.#runtime?.close()
    this.#runtime = undefined
    return this.runtime()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#runtime?.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export async function ended(session: WorkflowSession) {
  const { context } = await session.until(({ status }) => status !== 'active')
  return { state: context.state, events: context.log.flat().map(({ event }) => event) }
}
