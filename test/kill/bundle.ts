// Makes one file of a script of the tests and all sources that it loads: a process that loads it is up in a third of the
// time. Packages with files of their own (an addon, a worker) stay where they are.
import { mkdirSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Below node_modules, from where packages are found. Give the file's folder back when done with it. */
export async function bundled(script: URL): Promise<{ readonly folder: string; readonly file: string }> {
  const cache = join(root, 'node_modules', '.cache')
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'holdfast-'))
  const file = join(folder, 'script.mjs')
  const bundle = await rolldown({
    input: fileURLToPath(script),
    platform: 'node',
    external: ['fs-native-extensions', 'libsql', 'piscina'],
    treeshake: { moduleSideEffects: 'no-external' },
    resolve: {
      alias: { holdfast: join(root, 'src', 'index.ts') },
      extensionAlias: { '.js': ['.ts', '.js'] },
      conditionNames: ['import', 'module'],
    },
  })
  await bundle.write({ file, format: 'esm', codeSplitting: false })
  await bundle.close()
  return { folder, file }
}
