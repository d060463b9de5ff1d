// From what a session recorded to the tracker itself: the one place that knows the adapters.

import type { Tracker, TrackerConfig } from '../tracker.js'
import { LocalTracker } from './local-tracker.js'

/** The tracker of a session; `signal` ends its calls. Rejects with SERVICE_NOT_INSTALLED or SERVICE_NOT_CONFIGURED. */
export async function openTracker(config: TrackerConfig, signal: AbortSignal): Promise<Tracker> {
  if (config.kind === 'local') return new LocalTracker(config.file)
  const { openLinearTracker } = await import('./linear-tracker.js')
  return openLinearTracker(config, { signal })
}
