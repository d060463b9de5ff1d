// A command line to go on with, as a person would type it. Pure.

import type { Environment } from './style.js'

/** `ls --all` as the whole command line. */
export type NextCommand = (words: string) => string

/** Names the directory only when it is not the one that the same shell would use anyway. */
export function nextCommandIn(dir: string, env: Environment): NextCommand {
  const usual = env.HOLDFAST_DIR || '.holdfast'
  return (words) => `holdfast ${words}${dir === usual ? '' : ` --dir ${quoted(dir)}`}`
}

/** A word as a shell takes it. */
export const quoted = (word: string): string =>
  /^[\w./:@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
