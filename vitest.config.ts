import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  resolve: {
    // One copy of the runtime a test: `holdfast` is the source here. Worker threads and child processes load dist.
    alias: [
      { find: /^holdfast$/, replacement: here('./src/index.ts') },
      { find: /^holdfast\/sqlite$/, replacement: here('./src/sqlite/index.ts') },
      { find: /^holdfast\/testing$/, replacement: here('./src/testing/index.ts') },
      { find: /^holdfast\/machines\/agent$/, replacement: here('./machines/agent/index.ts') },
      { find: /^holdfast\/machines\/document$/, replacement: here('./machines/document/index.ts') },
      { find: /^holdfast\/machines\/execution$/, replacement: here('./machines/execution/index.ts') },
      { find: /^holdfast\/machines\/planning$/, replacement: here('./machines/planning/index.ts') },
      { find: /^holdfast\/machines\/workflow$/, replacement: here('./machines/workflow/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    // By default Vitest leaves one core idle, which on two is half of them.
    maxWorkers: '100%',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // What the simulations leave behind is many small things that do not live long.
    execArgv: ['--max-semi-space-size=32'],
    typecheck: { enabled: false },
    // Of the processes of the tests alone: scripts/coverage.js adds what they start.
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['json'], reportOnFailure: true },
  },
})
