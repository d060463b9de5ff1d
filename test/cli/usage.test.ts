// The door of the command line: help, version, wrong usage. Each wrong usage has its code, its exit code, and an envelope.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { COMMANDS } from '../../src/cli/commands.js'
import { EXIT_CODES, failureOf } from '../../src/cli/failure.js'
import { type ErrorCode, exitCodeOf, HoldfastError } from '../../src/errors.js'
import { envelopeIn, holdfast, MAIN, newFolder, start } from './command.js'

describe('help', () => {
  test('goes to stdout and tells the commands, every exit code and the environment', async () => {
    const { code, stdout, stderr } = await holdfast(['--help'])
    expect(code).toBe(0)
    expect(stderr).toBe('')
    for (const { name } of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'))
    for (const [exitCode, meaning] of EXIT_CODES)
      expect(stdout).toContain(`${String(exitCode).padStart(5)}  ${meaning}`)
    for (const name of ['HOLDFAST_DIR', 'HOLDFAST_OUTPUT', 'NO_COLOR', 'FORCE_COLOR', 'CI', 'TERM=dumb']) {
      expect(stdout).toContain(name)
    }
  })

  test.each(COMMANDS)('holdfast $name --help tells its flags, and whether a server can be asked', async (command) => {
    const { code, stdout } = await holdfast([command.name, '--help'])
    expect(code).toBe(0)
    expect(stdout).toContain('--dir <dir>')
    expect(stdout).toContain('-o, --output <format>')
    expect(stdout.includes('--url <url>')).toBe(command.server === true)
  })

  test('it may be left early, too: holdfast --help | true', () => {
    const script = '(sleep 0.3; exec "$0" "$1" --help) | true'
    const { stderr } = spawnSync('bash', ['-c', script, process.execPath, MAIN], { encoding: 'utf8' })
    expect(stderr).toBe('')
  })

  test('the exit code of every error is one that the help tells', () => {
    const told = EXIT_CODES.map(([code]) => code)
    const source = readFileSync(new URL('../../src/errors.ts', import.meta.url), 'utf8')
    const codes = [...source.matchAll(/^ {2}([A-Z_]+): \[\d+, \d+\]/gm)].map((match) => match[1] as ErrorCode)
    expect(codes.length).toBeGreaterThan(30)
    for (const code of codes) {
      const { exitCode, failure } = failureOf(new HoldfastError(code, 'why'), (words) => words)
      expect(exitCode).toBe(exitCodeOf(code))
      expect(told).toContain(exitCode)
      expect(failure.code).toBe(code)
    }
  })
})

test('--version says the version of the package', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  expect(await holdfast(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
})

test.each([
  ['ENOSPC', 'DISK_FULL', 1],
  ['EACCES', 'DIRECTORY_NOT_WRITABLE', 1],
  ['EIO', 'DISK_FAILED', 1],
])('what the system says is told with a code of Holdfast: %s is %s', (system, code, exitCode) => {
  const error = Object.assign(new Error(`${system}: no`), { code: system, syscall: 'write' })
  expect(failureOf(error, (words) => words)).toMatchObject({ exitCode, failure: { code, message: `${system}: no` } })
})

test('what nobody expected is told as that, and that it may be reported', () => {
  const { failure, exitCode } = failureOf('just a string', (words) => words)
  expect([exitCode, failure.code, failure.message]).toEqual([1, 'UNEXPECTED', 'just a string'])
  expect(failure.hint).toContain('please report it')
})

test('when closing fails after something else has, what came first is told', async () => {
  const told = await (async () => {
    await using _ = { [Symbol.asyncDispose]: () => Promise.reject(new Error('closing failed')) }
    throw new HoldfastError('DISK_FULL', 'the disk is full')
  })().catch((error: unknown) => failureOf(error, (words) => words).failure)
  expect(told).toMatchObject({ code: 'DISK_FULL', message: 'the disk is full', retryable: true })
})

describe('wrong usage', () => {
  test('no command: help on stderr, exit 2', async () => {
    const { code, stdout, stderr } = await holdfast([])
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain('Usage: holdfast')
  })

  test.each([
    ['an unknown command', ['frobnicate'], 'frobnicate'],
    ['an unknown option', ['ls', '--frobnicate'], '--frobnicate'],
    ['an argument too many', ['ls', 'more'], 'ls'],
    ['a missing argument', ['show'], 'id'],
    ['no document', ['plan'], 'document'],
    ['a format that is none', ['ls', '-o', 'yaml'], 'yaml'],
    ['a status that is none', ['ls', '--status', 'lost'], 'lost'],
    ['a limit that is no number', ['ls', '--limit', '1e3'], '1e3'],
    ['a limit out of range', ['ls', '--limit', '1001'], '1000'],
    ['a negative pace', ['plan', 'a.md', '--pace=-1'], '-1'],
    ['--new with --resume', ['plan', '--new', '--resume'], '--new'],
  ])('%s: INVALID_ARGUMENT, exit 2, on stderr', async (_, args, named) => {
    const { code, stdout, stderr } = await holdfast(args)
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain('INVALID_ARGUMENT')
    expect(stderr).toContain(named)
  })

  test.each([
    ['an unknown option', ['ls', '-o', 'json', '--frobnicate']],
    ['an unknown option before the format', ['ls', '--frobnicate', '--output=json']],
    ['a missing argument', ['show', '-ojson']],
    ['an unknown command', ['frobnicate', '-o', 'json']],
  ])('%s with -o json: the error is an envelope on stdout', async (_, args) => {
    const ended = await holdfast(args)
    expect(ended.code).toBe(2)
    expect(ended.stderr).toBe('')
    expect(envelopeIn(ended)).toMatchObject({ ok: false, error: { code: 'INVALID_ARGUMENT', retryable: false } })
  })

  test('the format of the environment holds for errors, too; a flag beats it', async () => {
    const env = { HOLDFAST_OUTPUT: 'json' }
    expect(envelopeIn(await holdfast(['ls', '--frobnicate'], { env })).ok).toBe(false)
    const { stdout, stderr } = await holdfast(['ls', '--frobnicate', '-o', 'text'], { env })
    expect(stdout).toBe('')
    expect(stderr).toContain('--frobnicate')
  })
})

test('reading commands load neither the runtime nor the planning: a cold start stays quick', async () => {
  const hooks = `export async function load(url, context, next) { process._rawDebug(url); return next(url, context) }`
  const register = `import { register } from 'node:module'; register('data:text/javascript,${encodeURIComponent(hooks)}')`
  const env = { NODE_OPTIONS: `--import "data:text/javascript,${encodeURIComponent(register).replaceAll("'", '%27')}"` }
  for (const args of [['ls'], ['show', 'a'], ['--help'], ['plan', 'nothing.md']]) {
    const { stderr } = await start(args, { env, cwd: newFolder() }).ended
    expect(stderr).toContain('/cli/program.js')
    expect(stderr).not.toMatch(/node_modules\/(xstate|rxjs|piscina)|src\/runtime\.js|machines\/planning/)
  }
})
