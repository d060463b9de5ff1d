// A document and its versions as callers see them: the original's names, whole contents, `Date`s.

import type { SessionSnapshot } from 'holdfast'
import { contentAt } from './contents.js'
import type { Metadata } from './fields.js'
import type { DocumentContext, DocumentMachine, DocumentStatus, KeptVersion } from './machine.js'

export interface PlanningSession {
  readonly id: string
  readonly title: string
  readonly description?: string
  readonly status: DocumentStatus
  /** The current Markdown; empty while there is none. */
  readonly content: string
  /** 0 while there is no content. */
  readonly current_version: number
  readonly repository_url?: string
  readonly repository_path?: string
  readonly working_directory?: string
  readonly paused_reason?: string
  readonly project_id?: string
  readonly work_item_ids: readonly string[]
  readonly finished_work_item_ids: readonly string[]
  readonly converted_by?: string
  readonly converted_at?: Date
  readonly archived_at?: Date
  readonly metadata: Metadata
  readonly created_by?: string
  readonly created_at: Date
  readonly updated_at: Date
}

export interface PlanningVersion {
  readonly session_id: string
  /** From 1. */
  readonly version_number: number
  /** The whole content. */
  readonly content: string
  readonly change_summary?: string
  readonly changed_fields: readonly string[]
  readonly created_at: Date
  readonly created_by?: string
}

/** A session of the runtime. Its times are those of its records, by which it is found, too. */
export const sessionOf = (snapshot: SessionSnapshot<DocumentMachine>): PlanningSession => ({
  ...sessionFrom(snapshot.id, snapshot.value as DocumentStatus, snapshot.context),
  created_at: new Date(snapshot.createdAt),
  updated_at: new Date(snapshot.updatedAt),
})

export function sessionFrom(id: string, status: DocumentStatus, context: DocumentContext): PlanningSession {
  const { pages, versions, conversion, archived_at, created_at, updated_at, ...same } = context
  const { converted_at, work_item_ids = [], finished_work_item_ids = [], ...converted } = conversion ?? {}
  return {
    ...{ id, status, ...same, ...converted },
    content: contentAt(pages),
    current_version: versions.length,
    work_item_ids,
    finished_work_item_ids,
    ...(converted_at !== undefined && { converted_at: new Date(converted_at) }),
    ...(archived_at !== undefined && { archived_at: new Date(archived_at) }),
    created_at: new Date(created_at),
    updated_at: new Date(updated_at),
  }
}

export function versionOf(session_id: string, kept: KeptVersion, content: string): PlanningVersion {
  const { revision: _, created_at, ...same } = kept
  return { session_id, ...same, content, created_at: new Date(created_at) }
}
