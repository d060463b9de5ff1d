// Small files that a step leaves for the one that comes after a crash: whole, or not there.

import { open, readFile, rename, rm } from 'node:fs/promises'
import { pid } from 'node:process'
import { threadId } from 'node:worker_threads'

/** No two that write the same file at once share the one beside it. */
let written = 0

/** Replaces the file as a whole, durably. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const beside = `${path}.${pid}-${threadId}-${written++}.new`
  const file = await open(beside, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.datasync()
    await rename(beside, path)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  } finally {
    await file.close()
  }
}

/** What the file holds; undefined when it is not there. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** The JSON in a file; undefined when it is not there, or not whole. */
export async function readJson<T>(path: string): Promise<T | undefined> {
  const text = await readIfThere(path)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as T
  } catch {
    return undefined
  }
}

export const remove = (path: string): Promise<void> => rm(path, { recursive: true, force: true })
