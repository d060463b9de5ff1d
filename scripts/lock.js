// Completes package-lock.json, to be run after `npm install` has changed it: `npm ci` wants an entry for the prebuilt
// packages of every platform, also those that the registry at hand does not carry and `npm install` therefore left out.
// Adds entries only, with the exact version that the dependant asks for; fails when an entry names a registry.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const file = join(import.meta.dirname, '..', 'package-lock.json')
const lock = JSON.parse(readFileSync(file, 'utf8'))
const entries = Object.entries(lock.packages)

const named = entries.filter(([, entry]) => entry.resolved?.startsWith('http'))
if (named.length > 0) {
  console.error(`${named.length} entries name a registry: is omit-lockfile-registry-resolved set in .npmrc?`)
  process.exit(1)
}

const missing = entries.flatMap(([path, { optionalDependencies = {}, dev }]) =>
  Object.entries(optionalDependencies)
    .filter(([name]) => !(`node_modules/${name}` in lock.packages || `${path}/node_modules/${name}` in lock.packages))
    .map(([name, version]) => [`node_modules/${name}`, entryOf(name, version, dev)]),
)
const [root, ...rest] = [...entries, ...missing]
rest.sort(([a], [b]) => a.localeCompare(b, 'en'))
lock.packages = Object.fromEntries([root, ...rest])
writeFileSync(file, `${JSON.stringify(lock, undefined, 2)}\n`)
console.log(missing.length > 0 ? `added ${missing.map(([path]) => path.slice(13)).join(', ')}` : 'nothing is missing')

/** `@scope/tool-linux-x64-musl` tells what keeps npm from installing it on another platform. Keys in npm's order. */
function entryOf(name, version, dev) {
  const found = /\b(android|darwin|freebsd|linux|openharmony|win32)-([a-z0-9]+)(?:-(gnu|musl))?/.exec(name)
  if (!found || !/^\d+\.\d+\.\d+$/.test(version)) throw new Error(`add ${name}@${version} to package-lock.json by hand`)
  const [, os, cpu, libc] = found
  return {
    version,
    cpu: [cpu],
    ...(dev && { dev }),
    ...(os === 'linux' && { libc: [libc === 'musl' ? 'musl' : 'glibc'] }),
    optional: true,
    os: [os],
  }
}
