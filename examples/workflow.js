// A workflow in a worktree of its own: a number in a file is raised until a check is content, then the branch is merged. Kill
// it at any moment and run it again: it goes on with the command that was interrupted, and no process is left behind.
//   node examples/workflow.js [a git repository; default: a new one in ./workflow-example]
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { openRuntime } from 'holdfast'
import { ObservableSessionManager, SessionManager, workflow } from 'holdfast/machines/workflow'

const project_path = resolve(process.argv[2] ?? 'workflow-example')
if (!existsSync(project_path)) {
  mkdirSync(project_path)
  writeFileSync(join(project_path, 'number.txt'), '1\n')
  const git = (...args) => execFileSync('git', args, { cwd: project_path })
  git('init', '--quiet', '--initial-branch=main')
  git('config', 'user.name', 'Ada')
  git('config', 'user.email', 'ada@example.com')
  git('add', '--all')
  git('commit', '--quiet', '-m', 'A number')
}

const runtime = await openRuntime({ dir: process.env.HOLDFAST_DIR ?? '.holdfast', kinds: [workflow] })
const sessions = new SessionManager(runtime)
await new ObservableSessionManager(sessions).addObserver({
  onEvent: (_, { type, ...event }) => console.log(type, event.command ?? event.number ?? ''),
})

// The one that is under way, or a new one.
const [known] = await sessions.listActiveSessions({ project_path })
const id =
  known?.id ??
  (await sessions.createSession({
    project_path,
    workflow: [
      { name: 'raise', shell: 'n=$(cat number.txt); test "$n" -ge 4 || { sleep 0.2; echo $((n + 1)) > number.txt; }' },
      { name: 'commit', shell: 'git diff --quiet || git commit --quiet --all -m "Raise to $(cat number.txt)"' },
      { name: 'check', shell: 'test "$(cat number.txt)" -ge 4', on_failure: 'continue' },
    ],
    execution_mode: { type: 'worktree', name: 'raise' },
    options: { auto_merge: true },
  }))
if ((await sessions.getState(id)).type === 'Created') await sessions.startSession(id)

const end = await sessions.waitForSession(id)
const { iterations, commits, merge } = end.summary ?? {}
console.log(`${end.type} after ${iterations} iterations with ${commits} commits: ${merge?.status ?? end.error}`)
await runtime.close()
