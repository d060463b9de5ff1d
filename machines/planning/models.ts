// The way to create a planning session.

import { planning } from './kind.js'
import { hosting } from './planning-runtime.js'
import { type PlanningSessionState, planningStateOf } from './state.js'

/**
 * Creates a session in `pending`; resolves with its state when that is durable.
 * `confluencePageUrl` is where the document is: a Markdown file, as a path or a `file:` URL.
 * Rejects with INVALID_INPUT, naming what is missing.
 */
export async function createPlanningSession(
  organizationId: string,
  confluencePageUrl: string,
  title: string,
): Promise<PlanningSessionState> {
  const { runtime, defaults } = await hosting()
  const session = await runtime.create(planning, {
    ...defaults,
    title: title ?? '', // a session of this façade has the title that it is given, and is refused without one
    source: confluencePageUrl,
    organizationId,
  })
  return planningStateOf(session.snapshot())
}
