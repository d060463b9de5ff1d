// Which addresses a page may be fetched from: public ones, and those of hosts that were allowed by name.
// A name is resolved once for a connection; every address that it has is checked, and the connection is made to those,
// so that a name that answers differently the next moment changes nothing.

import { type LookupAddress, lookup as resolveName } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { SourceError } from './errors.js'

/** Resolves a host name to all of its addresses, as `dns.lookup` does with `all`. */
export type Resolve = (
  name: string,
  options: object,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

const systemResolve: Resolve = (name, options, done) => resolveName(name, { ...options, all: true }, done)

/** True for an address that is reachable from everywhere: not private, loopback, link-local, multicast or reserved. */
export function isPublic(address: string): boolean {
  const bare = address.replace(/%.*$/, '')
  if (isIP(bare) === 4) return !SPECIAL_V4.check(bare, 'ipv4')
  if (isIP(bare) !== 6) return false
  const mapped = mappedV4(bare)
  if (mapped !== undefined) return isPublic(mapped)
  return GLOBAL_V6.check(bare, 'ipv6') && !SPECIAL_V6.check(bare, 'ipv6')
}

/**
 * Refuses the host of a URL when that is an address which is not public, and gives a lookup that refuses names with such
 * an address. `allowed` are hosts for which both are fine: `localhost`, `10.1.2.3`, `wiki.intern:8443`.
 * Throws ADDRESS_NOT_ALLOWED.
 */
export function guardedLookup(url: URL, allowed: readonly string[], resolve: Resolve = systemResolve): LookupFunction {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const isAllowed = allowed.some((name) => name === url.host || name === url.hostname || name === host)
  if (!isAllowed && isIP(host) !== 0 && !isPublic(host)) throw notAllowed(url, host)
  return (name, options, done) => {
    resolve(name, options, (error, addresses) => {
      if (error) return done(error, '')
      const closed = isAllowed ? undefined : addresses.find(({ address }) => !isPublic(address))
      if (closed !== undefined) return done(notAllowed(url, closed.address), '')
      const [first] = addresses
      if (options.all) done(null, addresses)
      else done(null, first?.address ?? '', first?.family)
    })
  }
}

const notAllowed = (url: URL, address: string): SourceError =>
  new SourceError(
    'ADDRESS_NOT_ALLOWED',
    `${url.host} is at ${address}, which is not a public address: if it is meant, add "${url.host}" to HOLDFAST_ALLOW_HOSTS ` +
      'or to `allowHosts` of the session',
    { host: url.host, address },
  )

/** The IPv4 address in `::ffff:1.2.3.4`, however it is written. */
function mappedV4(address: string): string | undefined {
  if (!MAPPED_V6.check(address, 'ipv6')) return undefined
  const dotted = /(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1]
  if (dotted !== undefined) return dotted
  const [high = '0', low = '0'] = address.split(':').slice(-2)
  const value = (Number.parseInt(high || '0', 16) << 16) | Number.parseInt(low || '0', 16)
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.')
}

function listOf(family: 'ipv4' | 'ipv6', ...networks: string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits = ''] = network.split('/')
    list.addSubnet(address, Number(bits), family)
  }
  return list
}

/** The registry of special-purpose addresses (RFC 6890 and what followed), multicast and what is reserved. */
const SPECIAL_V4 = listOf(
  'ipv4',
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...['224.0.0.0/4', '240.0.0.0/4'],
)
const MAPPED_V6 = listOf('ipv6', '::ffff:0:0/96')
const GLOBAL_V6 = listOf('ipv6', '2000::/3')
/** Within the global ones: protocols and documentation, and 6to4, which leads to an IPv4 address. */
const SPECIAL_V6 = listOf('ipv6', '2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20')
