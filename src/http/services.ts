// What the handlers of all routes share, beside the runtime.

import type { Logger } from '../logger.js'
import type { ReadOptions } from '../open.js'
import type { Limits, Meter } from './limits.js'
import type { LiveStreams } from './live-streams.js'
import type { OpenApi } from './openapi.js'
import type { Principals } from './principal.js'
import type { Route } from './route.js'
import type { Tickets } from './tickets.js'

export interface Services {
  /** Every route of this server. */
  readonly routes: readonly Route[]
  /** What describes them: made when it is first asked for, and then there. */
  readonly openApi: () => OpenApi
  readonly principals: Principals
  readonly limits: Limits
  readonly meter: Meter
  /** What clients follow. */
  readonly streams: LiveStreams
  /** What lets a browser follow; undefined when nothing is there to sign them with. */
  readonly tickets: Tickets | undefined
  readonly logger: Logger
  readonly readOnly: boolean
  /** Where the runtime's sessions are, for the doctor; undefined when nobody said. */
  readonly place: ReadOptions | undefined
  /** The folder that backups are written to; undefined when none may be made. */
  readonly backups: string | undefined
}
