// `holdfast/http`: the sessions of a runtime over HTTP. Its public names, listed one by one.

export { createHttp, type Http, type HttpOptions } from './http.js'
export type { Limits } from './limits.js'
export { admitSession, ownerFor } from './owners.js'
export { isOfTeam, type KnownPrincipal, type Principal, type Role } from './principal.js'
export type { Problem } from './problem.js'
export {
  type Access,
  type Answer,
  type Answers,
  type Call,
  type Concern,
  type Method,
  type Route,
  route,
} from './route.js'
export { type ServeOptions, type Server, serve } from './serve.js'
export type { Services } from './services.js'
export { acceptWebSockets, type WebSockets } from './sockets.js'
