// A document on the web: what a server gives, as text, and whether that is HTML or Markdown.

import { notSupported, SourceError } from './errors.js'
import type { Source } from './found.js'
import { type Access, type Answer, get } from './web.js'

/** The page at an http(s) URL. Throws SourceError. */
export async function readPage(url: URL, access: Access): Promise<Source> {
  if (url.username !== '' || url.password !== '') {
    throw notSupported(url.host, 'a source must not hold a password: it would be recorded with the session')
  }
  const answer = await get(url, access)
  const format = formatOf(answer)
  return { text: decoded(answer, format), format, location: answer.url.href, bytes: answer.body.length }
}

function formatOf({ contentType, url }: Answer): Source['format'] {
  if (contentType === 'text/html' || contentType === 'application/xhtml+xml') return 'html'
  if (/^text\/(?:x-)?markdown$/.test(contentType)) return 'markdown'
  const isMarkdown = /\.(?:md|markdown|mdown|txt)$/i.test(url.pathname)
  if (contentType === 'text/plain' || (isMarkdown && /^$|octet-stream$/.test(contentType))) return 'markdown'
  throw new SourceError(
    'CONTENT_TYPE_NOT_SUPPORTED',
    `${url.href} is ${contentType || 'of no known type'}: give a page of HTML, Markdown or plain text`,
    { url: url.href, contentType },
  )
}

const META_CHARSET = /<meta[^>]+charset\s*=\s*["']?([\w-]+)/i

/** In the encoding that the server says, or the page itself; else UTF-8. */
function decoded({ body, charset, url }: Answer, format: Source['format']): string {
  const told =
    format === 'html' ? META_CHARSET.exec(Buffer.from(body.subarray(0, 1024)).toString('latin1'))?.[1] : undefined
  const label = charset ?? told ?? 'utf-8'
  try {
    const text = new TextDecoder(label, { fatal: true }).decode(body)
    if (!text.includes('\0')) return text
  } catch {}
  throw new SourceError('DOCUMENT_NOT_TEXT', `${url.href} is not text in ${label}`, { url: url.href, charset: label })
}
