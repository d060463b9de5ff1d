// A page of Confluence, by its REST API v2, in the storage format. Which page a URL means is read from the URL: by its id,
// by a short link, or by space and title. The token goes to CONFLUENCE_BASE_URL and to no other place.

import { notSupported, SourceError } from './errors.js'
import type { Source } from './found.js'
import { type Access, get } from './web.js'

export interface ConfluenceSite {
  /** Such as `https://acme.atlassian.net/wiki`, without a slash at its end. */
  readonly base: URL
  readonly authorization: string
}

/** The site of the environment, when a URL is below it. Throws SOURCE_NOT_CONFIGURED when its token is missing. */
export function confluenceSite(url: URL, env: NodeJS.ProcessEnv): ConfluenceSite | undefined {
  const { CONFLUENCE_BASE_URL: written, CONFLUENCE_API_TOKEN: token, CONFLUENCE_EMAIL: email } = env
  if (!written) return undefined
  if (!URL.canParse(written)) throw notConfigured('CONFLUENCE_BASE_URL', 'is not a URL')
  const base = new URL(written.replace(/\/+$/, ''))
  if (base.pathname === '/' && base.hostname.endsWith('.atlassian.net')) base.pathname = '/wiki'
  const path = pathOf(base)
  if (url.origin !== base.origin || !(path === '' || url.pathname.startsWith(`${path}/`))) return undefined
  if (!token) throw notConfigured('CONFLUENCE_API_TOKEN', 'is not set')
  return { base, authorization: authorizationOf(token, email) }
}

/** A token of the cloud is a password to an e-mail address; any other token bears itself. */
function authorizationOf(token: string, email: string | undefined): string {
  if (email) return `Basic ${Buffer.from(`${email}:${token}`).toString('base64')}`
  return token.includes(':') ? `Basic ${Buffer.from(token).toString('base64')}` : `Bearer ${token}`
}

const pathOf = (url: URL): string => url.pathname.replace(/\/+$/, '')

type PageName =
  | { readonly kind: 'pages' | 'blogposts'; readonly id: string }
  | { readonly kind: 'title'; readonly space: string; readonly title: string }

/** What a URL below a site names; undefined when that is no page. */
function pageNamed(url: URL, { base }: ConfluenceSite): PageName | undefined {
  const path = url.pathname.slice(pathOf(base).length)
  const asked = url.searchParams.get('pageId')
  if (asked !== null && /^\d+$/.test(asked)) return { kind: 'pages', id: asked }
  const page = /\/pages\/(?:[a-z-]+(?:-v\d+)?\/)?(\d+)(?:\/|$)/.exec(path)?.[1]
  if (page !== undefined) return { kind: 'pages', id: page }
  const post = /\/blog\/(?:\d{4}\/\d{2}\/\d{2}\/)?(\d+)(?:\/|$)/.exec(path)?.[1]
  if (post !== undefined) return { kind: 'blogposts', id: post }
  const short = /^\/x\/([\w-]+)$/.exec(path)?.[1]
  if (short !== undefined) return { kind: 'pages', id: idOfShort(short) }
  const [, space, title] = /^\/display\/([^/]+)\/([^/]+)$/.exec(path) ?? []
  if (space === undefined || title === undefined) return undefined
  return { kind: 'title', space: decode(space), title: decode(title) }
}

/** `/x/AQAB` holds the id's bytes, the least first, as base64 without the zeros at its end. */
function idOfShort(short: string): string {
  const bytes = Buffer.alloc(8)
  Buffer.from(short.replaceAll('-', '/').replaceAll('_', '+').padEnd(11, 'A'), 'base64').copy(bytes)
  return bytes.readBigUInt64LE().toString()
}

function decode(part: string): string {
  const spaced = part.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced
  }
}

/** The page that a URL names. Throws SourceError. */
export async function readConfluencePage(url: URL, site: ConfluenceSite, access: Access): Promise<Source> {
  const name = pageNamed(url, site)
  if (name === undefined) {
    throw notSupported(
      url.href,
      `${url.href} names no page: give a URL such as ${site.base.href}/spaces/KEY/pages/123/Title`,
    )
  }
  const ask = (path: string, query: Record<string, string>) => getJson(site, path, query, access)
  const { body, location } =
    name.kind === 'title'
      ? await byTitle(name, ask, url)
      : await ask(`${name.kind}/${name.id}`, { 'body-format': 'storage' })
  return { ...contentOf(body, location), format: 'html', location: url.href }
}

interface Reply {
  readonly body: unknown
  readonly location: string
}

type Ask = (path: string, query: Record<string, string>) => Promise<Reply>

/** The first of a list of results. */
const firstOf = ({ body, location }: Reply): Reply => ({
  body: (body as { results?: unknown[] } | null)?.results?.[0],
  location,
})

async function byTitle({ space, title }: { space: string; title: string }, ask: Ask, url: URL): Promise<Reply> {
  const { id } = (firstOf(await ask('spaces', { keys: space })).body ?? {}) as { id?: string }
  if (id === undefined) throw missing(url, `there is no space ${space}`)
  const page = firstOf(await ask('pages', { 'space-id': String(id), title, 'body-format': 'storage' }))
  if (page.body === undefined) throw missing(url, `there is no page "${title}" in the space ${space}`)
  return page
}

async function getJson(
  site: ConfluenceSite,
  path: string,
  query: Record<string, string>,
  access: Access,
): Promise<Reply> {
  const url = new URL(`${site.base.href.replace(/\/+$/, '')}/api/v2/${path}`)
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
  const { body } = await get(url, {
    ...access,
    allowHosts: [...access.allowHosts, site.base.host], // whoever set the variable means it, wherever that is
    authorization: site.authorization,
    accept: 'application/json',
  })
  try {
    return { body: JSON.parse(Buffer.from(body).toString('utf8')), location: url.href }
  } catch (cause) {
    throw new SourceError('SOURCE_UNREADABLE', `${url.href} has not answered in JSON`, { url: url.href }, cause)
  }
}

function contentOf(page: unknown, location: string): { title: string; text: string; bytes: number } {
  const { title, body } = (page ?? {}) as { title?: unknown; body?: { storage?: { value?: unknown } } }
  const text = body?.storage?.value
  if (typeof title === 'string' && typeof text === 'string') return { title, text, bytes: Buffer.byteLength(text) }
  const message = `${location} has answered without a title and a body in the storage format`
  throw new SourceError('SOURCE_UNREADABLE', message, { url: location })
}

const missing = (url: URL, what: string): SourceError =>
  new SourceError('PAGE_NOT_FOUND', `${url.href}: ${what}, or the token may not see it`, { url: url.href })

const notConfigured = (variable: string, what: string): SourceError =>
  new SourceError('SOURCE_NOT_CONFIGURED', `${variable} ${what}: set it to read pages of Confluence`, { variable })
