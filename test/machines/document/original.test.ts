// The usage examples of the original's document as they stand there: only import paths differ, and where documents are kept.

import { openRuntime, type Runtime } from 'holdfast'
import {
  document,
  InMemorySessionStorage,
  InMemoryVersionStorage,
  PlanningSessionManager,
  SessionRecovery,
} from 'holdfast/machines/document'
import { describe, expect, test } from 'vitest'

const quiet = { info: () => {}, warn: () => {}, error: () => {} }
const console = { info: () => {}, error: () => {}, log: (line: string) => void said.push(line) }
let said: string[] = []

const updatedMarkdownContent = '# Shopping Cart\n\n## Requirements\n\nCards and invoices.\n'

/** The storage of the runtime, and one of a caller's own. */
const places = ['the runtime', 'storages of one’s own'] as const

async function open(place: (typeof places)[number]) {
  said = []
  const runtime: Runtime = await openRuntime({ storage: 'memory', kinds: [document], logger: quiet })
  const sessionStorage = new InMemorySessionStorage()
  const versionStorage = new InMemoryVersionStorage()
  const manager =
    place === 'the runtime'
      ? new PlanningSessionManager(undefined, undefined, { auto_version: true, logger: console, runtime })
      : // Create manager with storage implementations
        new PlanningSessionManager(sessionStorage, versionStorage, {
          auto_version: true, // Auto-create versions on content changes
          logger: console, // Optional logger for debugging
        })
  const storage = place === 'the runtime' ? manager : sessionStorage
  return { runtime, manager, storage, [Symbol.asyncDispose]: () => runtime.close() }
}

describe.each(places)('in %s', (place) => {
  test('quick start', async () => {
    await using opened = await open(place)
    const { manager } = opened
    // Create a new planning session
    const result = await manager.create({
      title: 'Authentication System Planning',
      description: 'Design OAuth2 implementation',
      repository_path: '/projects/auth-service',
      initial_content: '# Auth System\n\n## Requirements\n...',
    })

    if (result.success) {
      console.log(`Created session: ${result.data.id}`)
    }
    expect(said).toEqual([expect.stringMatching(/^Created session: \S+$/)])
    expect(result.data).toMatchObject({ status: 'active', current_version: 1, title: 'Authentication System Planning' })
  })

  test('creating, updating, statuses, versions, queries, recovery, statistics', async () => {
    await using opened = await open(place)
    const { manager, storage } = opened

    const result = await manager.create({
      title: 'E-commerce Platform Planning',
      description: 'Design shopping cart and checkout flow',
      repository_path: '/projects/ecommerce',
      repository_url: 'https://github.com/company/ecommerce',
      initial_content: '# Shopping Cart\n\n## Requirements',
      created_by: 'agent:planning-assistant',
      metadata: { priority: 'high' },
    })
    const sessionId = result.data.id

    // Update creates new version automatically
    const updateResult = await manager.update(sessionId, {
      content: updatedMarkdownContent,
      change_summary: 'Added payment processing requirements',
      updated_by: 'agent:planning-assistant',
    })

    // Check current version
    console.log(`New version: ${updateResult.data.current_version}`)
    expect(said).toEqual(['New version: 2'])
    await manager.update(sessionId, { content: `${updatedMarkdownContent}\nRefunds.\n` })

    // Get all versions
    said = []
    const versions = await manager.getVersions(sessionId)
    for (const version of versions.data) {
      console.log(`v${version.version_number}: ${version.change_summary}`)
    }
    expect(said).toEqual(['v1: undefined', 'v2: Added payment processing requirements', 'v3: undefined'])
    expect(versions.data[1]).toMatchObject({
      content: updatedMarkdownContent,
      changed_fields: ['content'],
      created_by: 'agent:planning-assistant',
      created_at: expect.any(Date),
    })

    // Compare versions
    const diff = await manager.compareVersions(sessionId, 1, 3)
    said = []
    console.log(`Lines added: ${diff.data.lines_added}`)
    console.log(`Lines removed: ${diff.data.lines_removed}`)
    expect(said).toEqual(['Lines added: 5', 'Lines removed: 1'])

    // Restore to previous version
    await manager.restoreVersion(sessionId, 2, 'user:john')
    const restored = await manager.getVersion(sessionId, 4)
    expect(restored.data).toMatchObject({ content: updatedMarkdownContent, created_by: 'user:john' })

    // Get active sessions
    const active = await manager.findActive()
    expect(active.data.map(({ id }) => id)).toEqual([sessionId])

    // Find sessions by repository
    const repoSessions = await manager.findByRepository('/projects/ecommerce')
    expect(repoSessions.data.map(({ id }) => id)).toEqual([sessionId])

    // Query with filters
    const filtered = await manager.list({
      status: ['active', 'paused'],
      created_after: new Date('2025-01-01'),
      has_content: true,
      repository_path: '/projects/ecommerce',
    })
    expect(filtered.data.map(({ id }) => id)).toEqual([sessionId])

    // Pause session
    await manager.pause(sessionId, 'Waiting for stakeholder feedback')
    expect((await manager.get(sessionId)).data).toMatchObject({
      status: 'paused',
      paused_reason: 'Waiting for stakeholder feedback',
    })

    // Resume session
    await manager.resume(sessionId)

    // Convert session to work items
    await manager.markConverted(sessionId, {
      project_id: 'project-123',
      work_item_ids: ['wi-1', 'wi-2', 'wi-3'],
      converted_by: 'agent:work-item-creator',
    })
    expect((await manager.findByProject('project-123')).data).toMatchObject([
      { status: 'converted', work_item_ids: ['wi-1', 'wi-2', 'wi-3'], converted_by: 'agent:work-item-creator' },
    ])

    // Archive session
    await manager.archive(sessionId)
    expect((await manager.get(sessionId)).data.status).toBe('archived')

    const stats = await manager.getStatistics()

    said = []
    console.log(`Total sessions: ${stats.data.total_sessions}`)
    console.log(`Active: ${stats.data.active_sessions}`)
    console.log(`Paused: ${stats.data.paused_sessions}`)
    console.log(`Converted: ${stats.data.converted_sessions}`)
    console.log(`Average versions per session: ${stats.data.average_versions_per_session}`)
    expect(said).toEqual([
      'Total sessions: 1',
      'Active: 0',
      'Paused: 0',
      'Converted: 0',
      'Average versions per session: 4',
    ])

    // Restore from history
    const recovered = await SessionRecovery.restoreFromHistory(sessionId, manager)
    expect(recovered.data).toMatchObject({ id: sessionId, current_version: 4, content: updatedMarkdownContent })
    expect(await SessionRecovery.findStale(storage)).toEqual({ stale_sessions: [], recommendations: {} })
  })

  test('crash recovery', async () => {
    await using opened = await open(place)
    const { manager, storage: here } = opened
    for (const title of ['one', 'two', 'three']) await manager.create({ title })
    const [one, two] = (await manager.findActive()).data.map(({ id }) => id) as [string, string]
    await manager.pause(two, 'later')
    const tomorrow = new Date(Date.now() + 25 * 3_600_000)
    const findStale = SessionRecovery.findStale
    const storage = here

    // Find stale sessions (inactive for 24+ hours)
    const stale = await findStale(storage, { now: tomorrow })

    said = []
    console.log(`Found ${stale.stale_sessions.length} stale sessions`)
    expect(said).toEqual(['Found 3 stale sessions'])

    for (const session of stale.stale_sessions) {
      const action = stale.recommendations[session.id]
      console.log(`Session ${session.id}: recommend ${action}`)

      if (action === 'pause') {
        await manager.pause(session.id, 'Auto-paused: inactive for 24+ hours')
      } else if (action === 'archive') {
        await manager.archive(session.id)
      }
    }
    expect((await manager.get(one)).data).toMatchObject({ status: 'paused' })
    expect((await manager.get(two)).data).toMatchObject({ status: 'archived' })
    expect((await manager.findActive()).data).toEqual([])
  })
})
