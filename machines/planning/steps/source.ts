// Where documents come from: a Markdown or HTML file on this machine, a page at an http(s) URL, a page of Confluence.
// It reads, and changes nothing. Each way in which a document cannot be had is a SourceError with a code of its own.

import { extname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { emptyDocument } from '../errors.js'
import { confluenceSite, readConfluencePage } from './source/confluence.js'
import { notSupported, SourceError } from './source/errors.js'
import { readFile } from './source/file.js'
import type { Source } from './source/found.js'
import { readPage } from './source/page.js'
import type { Access } from './source/web.js'

export { LARGEST_DOCUMENT_BYTES } from './source/errors.js'

export interface SourceAccess extends Pick<Access, 'signal' | 'resolve' | 'timeoutMs'> {
  /** Hosts that may have private addresses. */
  readonly allowHosts?: readonly string[]
  /** Default: the environment of the process. */
  readonly env?: NodeJS.ProcessEnv
}

/** The document at `source`. Throws SourceError, or PlanningError `EMPTY_DOCUMENT`. */
export async function readSource(source: string, baseDir: string, access: SourceAccess = {}): Promise<Source> {
  const found = await find(source, baseDir, access)
  if (found.text.trim() === '') throw emptyDocument()
  return found
}

async function find(source: string, baseDir: string, access: SourceAccess): Promise<Source> {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(source)?.[1]?.toLowerCase()
  switch (scheme) {
    case undefined:
      return readDocument(resolve(baseDir, source), access)
    case 'file':
      return readDocument(pathOf(source), access)
    case 'http':
    case 'https':
      return readUrl(source, access)
    default:
      throw notSupported(
        source,
        `"${scheme}:" sources cannot be read: give a file, an http(s) URL or a page of Confluence`,
      )
  }
}

async function readDocument(path: string, { signal }: SourceAccess): Promise<Source> {
  const { text, bytes } = await readFile(path, signal)
  return { text, format: /^\.x?html?$/i.test(extname(path)) ? 'html' : 'markdown', location: path, bytes }
}

/** A page below CONFLUENCE_BASE_URL is asked for by its interface, any other as a browser would. */
function readUrl(source: string, { allowHosts = [], env = processEnv(), ...rest }: SourceAccess): Promise<Source> {
  if (!URL.canParse(source)) throw notSupported(source, `"${source}" is not a URL`)
  const url = new URL(source)
  const access = { ...rest, allowHosts }
  const site = confluenceSite(url, env)
  if (site) return readConfluencePage(url, site, access)
  if (env.CONFLUENCE_BASE_URL || !isInCloud(url)) return readPage(url, access)
  throw new SourceError(
    'SOURCE_NOT_CONFIGURED',
    `${url.href} is a page of Confluence: set CONFLUENCE_BASE_URL to ${url.origin}/wiki, and CONFLUENCE_API_TOKEN`,
    { variable: 'CONFLUENCE_BASE_URL' },
  )
}

const isInCloud = ({ hostname, pathname }: URL): boolean =>
  hostname.endsWith('.atlassian.net') && pathname.startsWith('/wiki/')

const processEnv = (): NodeJS.ProcessEnv => process.env

function pathOf(url: string): string {
  try {
    return fileURLToPath(url)
  } catch (cause) {
    throw notSupported(url, `"${url}" is not the URL of a file on this machine`, cause)
  }
}
