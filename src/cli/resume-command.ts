// The command line that goes on with a planning session, as a person would type it. Pure.

import type { Output } from './output.js'

/** Names the directory only when it is not the one that the same shell would use anyway. */
export function resumeCommand(id: string, dir: string, { env }: Pick<Output, 'env'>): string {
  const usual = env.HOLDFAST_DIR || '.holdfast'
  return `holdfast plan --resume ${id}${dir === usual ? '' : ` --dir ${quoted(dir)}`}`
}

const quoted = (word: string): string => (/^[\w./:@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)
