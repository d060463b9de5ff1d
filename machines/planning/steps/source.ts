// Where documents come from: a Markdown file on this machine, by path or `file:` URL. It reads, and changes nothing.
// Each way in which a document cannot be had is a SourceError with a code of its own. HTML files, http(s) URLs and
// Confluence pages have their place in `readSource`.

import { type FileHandle, open, stat } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { emptyDocument } from '../errors.js'

/** A stable code for why a document cannot be had. */
export type SourceErrorCode =
  /** there is nothing at that place */
  | 'FILE_NOT_FOUND'
  | 'FILE_IS_DIRECTORY'
  /** a device, a pipe or a socket */
  | 'NOT_A_FILE'
  /** it is there, but may not be read, or the disk fails */
  | 'FILE_NOT_READABLE'
  | 'DOCUMENT_TOO_LARGE'
  /** it is not UTF-8 text */
  | 'DOCUMENT_NOT_TEXT'
  /** a kind of source that cannot be read yet */
  | 'SOURCE_NOT_SUPPORTED'

class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly code: SourceErrorCode
  readonly details: Readonly<Record<string, string | number>>

  constructor(code: SourceErrorCode, message: string, details: Record<string, string | number>, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.details = details
  }
}

export interface Source {
  readonly text: string
  /** An absolute path. */
  readonly location: string
  readonly bytes: number
}

/** Larger documents are refused, in bytes. */
export const LARGEST_DOCUMENT_BYTES: number = 10 * 1024 * 1024

const CHUNK_BYTES = 256 * 1024

/** The document at `source`. Throws SourceError, or PlanningError `EMPTY_DOCUMENT`. */
export async function readSource(source: string, baseDir: string, signal?: AbortSignal): Promise<Source> {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(source)?.[1]?.toLowerCase()
  switch (scheme) {
    case undefined:
      return readMarkdownFile(resolve(baseDir, source), signal)
    case 'file':
      return readMarkdownFile(pathOf(source), signal)
    // case 'http', 'https': a page, or a Confluence page when it is under CONFLUENCE_BASE_URL
    default:
      throw notSupported(source, `"${scheme}:" sources cannot be read yet: save the document as a Markdown file`)
  }
}

async function readMarkdownFile(path: string, signal: AbortSignal | undefined): Promise<Source> {
  if (/^\.x?html?$/i.test(extname(path))) {
    throw notSupported(path, 'HTML files cannot be read yet: save the document as Markdown')
  }
  const bytes = await readBounded(path, signal)
  const text = textOf(bytes, path)
  if (text.trim() === '') throw emptyDocument()
  return { text, location: path, bytes: bytes.length }
}

/** The whole file. It looks before it opens: opening a pipe would wait for whoever writes to it. */
async function readBounded(path: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  let file: FileHandle | undefined
  try {
    const found = await stat(path)
    if (found.isDirectory()) throw fault('FILE_IS_DIRECTORY', path, 'is a directory: give the path of a file in it')
    if (!found.isFile()) throw fault('NOT_A_FILE', path, 'is not a regular file: give the path of one')
    if (found.size > LARGEST_DOCUMENT_BYTES) throw tooLarge(path, found.size)
    file = await open(path, 'r')
    return await readWhole(file, path, signal)
  } catch (error) {
    throw error instanceof SourceError || signal?.aborted ? error : unreadable(path, error)
  } finally {
    await file?.close()
  }
}

/** Never more than the limit and a little: a file may grow while it is read. */
async function readWhole(file: FileHandle, path: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for (let total = 0; ; ) {
    signal?.throwIfAborted()
    const { bytesRead, buffer } = await file.read({ buffer: Buffer.allocUnsafe(CHUNK_BYTES) })
    if (bytesRead === 0) return Buffer.concat(chunks)
    total += bytesRead
    if (total > LARGEST_DOCUMENT_BYTES) throw tooLarge(path, total)
    chunks.push(buffer.subarray(0, bytesRead))
  }
}

/** NUL is UTF-8, but no text: a binary file, or UTF-16. */
function textOf(bytes: Uint8Array, path: string): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    if (!text.includes('\0')) return text
  } catch {}
  throw fault('DOCUMENT_NOT_TEXT', path, 'is not UTF-8 text: save it as UTF-8')
}

function pathOf(url: string): string {
  try {
    return fileURLToPath(url)
  } catch (cause) {
    throw new SourceError('SOURCE_NOT_SUPPORTED', `"${url}" is not the URL of a file on this machine`, { url }, cause)
  }
}

function unreadable(path: string, cause: unknown): SourceError {
  const { code = '', message = String(cause) } = cause as { code?: string; message?: string }
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new SourceError(
      'FILE_NOT_FOUND',
      `There is no file ${path}: check the source of the session`,
      { path },
      cause,
    )
  }
  return new SourceError(
    'FILE_NOT_READABLE',
    `${path} cannot be read (${code || message})`,
    { path, reason: code },
    cause,
  )
}

const fault = (code: SourceErrorCode, path: string, what: string): SourceError =>
  new SourceError(code, `${path} ${what}`, { path })

const tooLarge = (path: string, bytes: number): SourceError =>
  new SourceError(
    'DOCUMENT_TOO_LARGE',
    `${path} has ${bytes} bytes or more, and ${LARGEST_DOCUMENT_BYTES} is the limit: split the document`,
    { path, bytes, limit: LARGEST_DOCUMENT_BYTES },
  )

const notSupported = (source: string, what: string): SourceError =>
  new SourceError('SOURCE_NOT_SUPPORTED', what, { source })
