// The workflow of the examples, killed in the middle of a command and run again.
import { execFile, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'

const EXAMPLE = resolve(import.meta.dirname, '../../examples/workflow.js')

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-workflow-example-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

test('a workflow that is killed in its second iteration is merged by the process after it', async () => {
  const first = spawn(process.execPath, [EXAMPLE], { cwd: dir })
  await new Promise<void>((killed) => {
    first.stdout.on('data', (data: Buffer) => String(data).includes('IterationStarted 2') && first.kill('SIGKILL'))
    first.on('close', () => killed())
  })
  const { stdout } = await promisify(execFile)(process.execPath, [EXAMPLE], { cwd: dir })
  expect(stdout.trim().split('\n').at(-1)).toBe('Completed after 4 iterations with 3 commits: merged')
  const project = join(dir, 'workflow-example')
  expect(readFileSync(join(project, 'number.txt'), 'utf8')).toBe('4\n')
  const log = execFileSync('git', ['log', '--format=%s', '--topo-order'], { cwd: project, encoding: 'utf8' })
  expect(log.trim().split('\n')).toEqual(['Merge workflow raise', 'Raise to 4', 'Raise to 3', 'Raise to 2', 'A number'])
})
