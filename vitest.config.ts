import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

// What users get of XState and of the parsers, not their builds that check themselves: those of the parsers take a sixth more.
// `test/durable.test.ts` runs once more on XState's development build.
if (process.env.NODE_ENV !== 'development') process.env.NODE_ENV = 'production'

/**
 * What takes longest, about longest first: begun last, it would be waited for while the other processors are idle. Those that
 * compute stand beside those that mostly wait.
 */
const LONG = [
  'kill/kill',
  'sim/simulation',
  'cli/plan',
  'sim/equivalence-2',
  'machines/workflow/worktrees',
  'sim/simulation-2',
  'machines/planning/planning',
  'sim/equivalence',
  'examples/delivery',
  'sim/equivalence-3',
  'machines/workflow/kill',
  'sim/equivalence-4',
  'http/observers',
  'sim/crash',
  'piscina/pool',
  'http/fuzz',
  'readme',
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const index = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
      return index < 0 ? LONG.length : index
    }
    return (await super.sort(files)).sort((one, other) => place(one) - place(other))
  }
}

export default defineConfig({
  resolve: {
    // One copy of the runtime a test: `holdfast` is the source here. Worker threads and child processes load dist.
    alias: [
      { find: /^holdfast$/, replacement: here('./src/index.ts') },
      { find: /^holdfast\/client$/, replacement: here('./src/client/index.ts') },
      { find: /^holdfast\/http$/, replacement: here('./src/http/index.ts') },
      { find: /^holdfast\/opentelemetry$/, replacement: here('./src/opentelemetry/index.ts') },
      { find: /^holdfast\/sqlite$/, replacement: here('./src/sqlite/index.ts') },
      { find: /^holdfast\/testing$/, replacement: here('./src/testing/index.ts') },
      { find: /^holdfast\/machines\/agent$/, replacement: here('./machines/agent/index.ts') },
      { find: /^holdfast\/machines\/document$/, replacement: here('./machines/document/index.ts') },
      { find: /^holdfast\/machines\/execution\/http$/, replacement: here('./machines/execution/http.ts') },
      { find: /^holdfast\/machines\/execution$/, replacement: here('./machines/execution/index.ts') },
      { find: /^holdfast\/machines\/planning\/http$/, replacement: here('./machines/planning/http.ts') },
      { find: /^holdfast\/machines\/planning$/, replacement: here('./machines/planning/index.ts') },
      { find: /^holdfast\/machines\/workflow$/, replacement: here('./machines/workflow/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    // One more than there are cores: many tests wait for a process, a disk or a clock, and leave their core to another.
    maxWorkers: availableParallelism() + 1,
    // A file finds the modules loaded that the files before it needed, which is most of what a short one takes.
    isolate: false,
    sequence: { sequencer: LongestFirst },
    setupFiles: ['test/seed.ts'],
    // So long that only what hangs takes it: on a slow machine that has other things to do, half a minute can be ten.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 60_000 } },
    // What the simulations leave behind is many small things that do not live long.
    execArgv: ['--max-semi-space-size=32'],
    typecheck: { enabled: false },
    // Of the processes of the tests alone: scripts/coverage.js adds what they start.
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['json'], reportOnFailure: true },
  },
})
