// From what a session recorded to the tracker itself: the one place that knows the adapters.

import { type Tracker, type TrackerConfig, TrackerError } from '../tracker.js'
import { openLocalTracker } from './local-tracker.js'

/**
 * The tracker of a session; `signal` ends its waits. Rejects with TRACKER_NOT_SUPPORTED for one that this version has not,
 * with TRACKER_NOT_INSTALLED or TRACKER_NOT_CONFIGURED for one that cannot be used here.
 */
export async function openTracker(config: TrackerConfig, signal?: AbortSignal): Promise<Tracker> {
  switch (config.kind) {
    case 'local':
      return openLocalTracker(config.file, { signal })
    case 'linear': {
      const { openLinearTracker } = await import('./linear-tracker.js')
      return openLinearTracker(config, { signal })
    }
    default: {
      const { kind } = config as { kind: string }
      const message = `there is no tracker "${kind}" in this version: use "local" or "linear"`
      throw new TrackerError('TRACKER_NOT_SUPPORTED', message, { details: { kind } })
    }
  }
}
