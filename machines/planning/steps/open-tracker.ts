// From what a session recorded to the tracker itself: the one place that knows the adapters.

import { type Tracker, type TrackerConfig, TrackerError } from '../tracker.js'
import { openLocalTracker } from './local-tracker.js'

/** The tracker of a session; `signal` ends its waits. Throws TRACKER_NOT_SUPPORTED for one that this version has not. */
export function openTracker(config: TrackerConfig, signal?: AbortSignal): Tracker {
  switch (config.kind) {
    case 'local':
      return openLocalTracker(config.file, { signal })
    // case 'linear': @linear/sdk, an optional peer
    default: {
      const { kind } = config as { kind: string }
      const message = `there is no tracker "${kind}" in this version: use "local"`
      throw new TrackerError('TRACKER_NOT_SUPPORTED', message, { details: { kind } })
    }
  }
}
