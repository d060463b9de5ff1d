// A command line to go on with, as a person would type it. Pure.

import type { Environment } from './style.js'

/** `ls --all` as the whole command line. */
export type NextCommand = (words: string) => string

/** Names the directory, and the server, only when it is not the one that the same shell would use anyway. */
export function nextCommandIn(
  { dir, url }: { readonly dir: string; readonly url?: string | undefined },
  env: Environment,
): NextCommand {
  const inDir = dir === (env.HOLDFAST_DIR || '.holdfast') ? '' : ` --dir ${quoted(dir)}`
  const atUrl = url === undefined || url === env.HOLDFAST_URL ? '' : ` --url ${quoted(url)}`
  return (words) => `holdfast ${words}${inDir}${atUrl}`
}

/** A word as a shell takes it. */
export const quoted = (word: string): string =>
  /^[\w./:@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
