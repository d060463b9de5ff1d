// A document in a file on this machine, whole and as text. It reads, and changes nothing.

import { type FileHandle, open, stat } from 'node:fs/promises'
import { LARGEST_DOCUMENT_BYTES, SourceError, type SourceErrorCode, tooLarge } from './errors.js'

const CHUNK_BYTES = 256 * 1024

/** The text of a file. Throws SourceError. */
export async function readFile(path: string, signal?: AbortSignal): Promise<{ text: string; bytes: number }> {
  const bytes = await readBounded(path, signal)
  return { text: textOf(bytes, path), bytes: bytes.length }
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

function unreadable(path: string, cause: unknown): SourceError {
  const { code = '', message = String(cause) } = cause as { code?: string; message?: string }
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const text = `There is no file ${path}: check the source of the session`
    return new SourceError('FILE_NOT_FOUND', text, { path }, cause)
  }
  const text = `${path} cannot be read (${code || message})`
  return new SourceError('FILE_NOT_READABLE', text, { path, reason: code }, cause)
}

const fault = (code: SourceErrorCode, path: string, what: string): SourceError =>
  new SourceError(code, `${path} ${what}`, { path })
