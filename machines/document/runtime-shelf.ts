// Documents as sessions of the runtime. It keeps nothing: every call is a query of the runtime or an event to a session.
// An update tells the change only, from the revision that it was made on; when another one came first, it is made again on
// what is there now.

import { HoldfastError, isHoldfastError, type Runtime, type Session, type SessionEntry } from 'holdfast'
import { contentAt, editTo, revisionOf } from './contents.js'
import type { DocumentEvent, UpdateEvent } from './events.js'
import { LONGEST_TEXT } from './fields.js'
import type { DocumentInput } from './input.js'
import { document } from './kind.js'
import type { DocumentContext, DocumentMachine, DocumentStatus } from './machine.js'
import { type PlanningSession, type PlanningVersion, sessionOf, versionOf } from './session.js'
import {
  type Counts,
  changedFields,
  creditsOf,
  notAccepted,
  notFound,
  type Page,
  type Shelf,
  type Update,
  versionNotFound,
} from './shelf.js'
import { matches, type SessionFilters } from './storage.js'
import { applyEdit, piecesOf } from './text.js'

/** How often an update is made anew because another came first. */
const TRIES = 20
const PAGE = 500
const STATUSES: readonly DocumentStatus[] = ['active', 'paused', 'converted', 'archived']

export class RuntimeShelf implements Shelf {
  readonly #runtime: () => Promise<Runtime>

  constructor(runtime: () => Promise<Runtime>) {
    this.#runtime = runtime
  }

  async create(input: DocumentInput): Promise<PlanningSession> {
    const runtime = await this.#runtime()
    return sessionOf((await runtime.create(document, input)).snapshot())
  }

  async get(id: string): Promise<PlanningSession> {
    return sessionOf((await this.#session(id)).snapshot())
  }

  async send(id: string, event: DocumentEvent): Promise<PlanningSession> {
    const session = await this.#session(id)
    await session.send(event).catch((error: unknown) => {
      throw refusalOf(session, event, error)
    })
    return sessionOf(session.snapshot())
  }

  async update(id: string, update: Update, version: boolean): Promise<PlanningSession> {
    const session = await this.#session(id)
    for (let tries = 1; ; tries++) {
      const before = session.snapshot()
      const event = updateOf(sessionOf(before), before.context, update, version)
      if (!event) return sessionOf(before)
      try {
        await session.send(event)
        return sessionOf(session.snapshot())
      } catch (error) {
        const isOutrun = event.content && revisionOf(session.snapshot().context.pages) !== event.content.base
        if (!isHoldfastError(error, 'NOT_ACCEPTED') || !isOutrun || tries === TRIES)
          throw refusalOf(session, event, error)
      }
    }
  }

  async versions(id: string): Promise<PlanningVersion[]> {
    const { pages, versions } = (await this.#session(id)).snapshot().context
    return [...contentsOf(pages)].flatMap(({ revision, content }) =>
      versions.filter((kept) => kept.revision === revision).map((kept) => versionOf(id, kept, content)),
    )
  }

  async version(id: string, number: number): Promise<PlanningVersion> {
    const { pages, versions } = (await this.#session(id)).snapshot().context
    const kept = versions[number - 1]
    if (!kept) throw versionNotFound(id, number, versions.length)
    return versionOf(id, kept, contentAt(pages, kept.revision))
  }

  /** Filters look at the index alone; only what is given is read. */
  async list({ limit = Number.POSITIVE_INFINITY, cursor, ...filters }: SessionFilters): Promise<Page> {
    const runtime = await this.#runtime()
    const sessions: PlanningSession[] = []
    for (let next = cursor; ; ) {
      const room = Math.min(PAGE, limit - sessions.length)
      const page = runtime.sessions.list(whereOf(filters), { limit: room, ...(next !== undefined && { cursor: next }) })
      for (const entry of page.sessions) {
        if (matches(findableOf(entry), filters))
          sessions.push(sessionOf(runtime.session(entry.id, document).snapshot()))
      }
      next = page.cursor
      if (next === undefined) return { sessions }
      if (sessions.length === limit) return { sessions, cursor: next }
    }
  }

  async counts(): Promise<Counts> {
    const { sessions } = await this.#runtime()
    const count = (status: DocumentStatus): number => sessions.count({ kind: 'document', where: { status } })
    const byStatus = Object.fromEntries(STATUSES.map((status) => [status, count(status)])) as Counts['byStatus']
    let versions = 0
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = sessions.list({ kind: 'document' }, { limit: PAGE, ...(cursor !== undefined && { cursor }) })
      for (const { attributes } of page.sessions) versions += Number(attributes.versions)
      cursor = page.cursor
    }
    return { byStatus, versions }
  }

  async delete(id: string): Promise<void> {
    await (await this.#session(id)).delete()
  }

  async #session(id: string): Promise<Session<DocumentMachine>> {
    const runtime = await this.#runtime()
    try {
      return runtime.session(id, document)
    } catch (error) {
      throw isHoldfastError(error, 'SESSION_NOT_FOUND', 'INVALID_ID', 'KIND_MISMATCH') ? notFound(id, error) : error
    }
  }
}

function updateOf(
  session: PlanningSession,
  { pages }: DocumentContext,
  update: Update,
  version: boolean,
): UpdateEvent | undefined {
  const fields = changedFields(session, update)
  if (update.content !== undefined && update.content.length > LONGEST_TEXT) throw tooLong(update.content.length)
  const edit = update.content === undefined ? undefined : editTo(pages, update.content)
  if (!edit && Object.keys(fields).length === 0) return undefined
  const content = edit && { base: revisionOf(pages), edit }
  return { type: 'update', ...fields, ...creditsOf(update), ...(content && { content, version }) }
}

/** An archived document has ended, as the runtime has it; to its callers that is a state like any other. */
function refusalOf(session: Session<DocumentMachine>, event: DocumentEvent, error: unknown): unknown {
  if (!isHoldfastError(error, 'NOT_ACCEPTED', 'SESSION_ENDED')) return error
  return notAccepted(sessionOf(session.snapshot()), event, error)
}

const tooLong = (length: number): HoldfastError =>
  new HoldfastError('INVALID_EVENT', `content has ${length} characters, and a document has ${LONGEST_TEXT} at most`)

/** Every revision's content, oldest first, each from the one before. */
function* contentsOf(pages: DocumentContext['pages']): Generator<{ revision: number; content: string }> {
  let revision = 0
  for (const page of pages) {
    const pieces = piecesOf(page.content)
    yield { revision: ++revision, content: page.content }
    for (const edit of page.edits) {
      applyEdit(pieces, edit)
      yield { revision: ++revision, content: pieces.join('') }
    }
  }
}

/** What the registry can look up; `matches` does the rest. */
function whereOf({ status, repository_path, repository_url, project_id, has_content }: SessionFilters) {
  return {
    kind: 'document',
    where: {
      ...(typeof status === 'string' && { status }),
      ...(repository_path !== undefined && { repository_path }),
      ...(repository_url !== undefined && { repository_url }),
      ...(project_id !== undefined && { project_id }),
      ...(has_content !== undefined && { has_content }),
    },
  }
}

const findableOf = ({ attributes, createdAt, updatedAt }: SessionEntry): Parameters<typeof matches>[0] => ({
  ...(attributes as { status: DocumentStatus; has_content: boolean }),
  created_at: new Date(createdAt),
  updated_at: new Date(updatedAt),
})
