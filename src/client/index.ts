// `holdfast/client`: the sessions of a server, in Node and in browsers. Its public names, listed one by one.

export { type ErrorCode, HoldfastError, isHoldfastError } from '../errors.js'
export {
  Client,
  type ClientOptions,
  connect,
  type KindName,
  kindOf,
  type PostOptions,
  type RemoteCreateOptions,
  type RemoteSessions,
} from './client.js'
export { RemoteSession } from './session.js'
