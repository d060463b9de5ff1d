// The one table of routes, in the order in which the OpenAPI document lists them. What is not in it does not exist.

import type { Route } from './route.js'
import { careRoutes } from './routes-care.js'
import { kindRoutes } from './routes-kinds.js'
import { pastRoutes } from './routes-past.js'
import { sessionRoutes } from './routes-sessions.js'
import { streamRoutes } from './routes-streams.js'
import { viewRoutes } from './routes-views.js'
import { watchRoutes } from './routes-watch.js'

export const ROUTES: readonly Route[] = [
  ...sessionRoutes,
  ...pastRoutes,
  ...viewRoutes,
  ...streamRoutes,
  ...kindRoutes,
  ...watchRoutes,
  ...careRoutes,
]
