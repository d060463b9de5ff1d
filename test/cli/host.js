// Runs command lines of the built command one after the other in this process, each with its folder and its environment:
// what a test sees of a command is the same as from a process of its own, for a hundredth of the time.
// It promises that a command which would have kept a process alive, or has left a listener for a signal, is told of.
// What only a process shows (signals, its real channels, its exit) it does not: `start` in command.ts is for that.

const { run } = await import(process.argv[2])
const HOME = process.cwd()
const MOST_MS = 10_000

class Channel {
  text = ''
  write(text) {
    this.text += text
  }
  on() {}
}

/** Of this turn; the line to the test and the standard channels, which appear when they are first used. */
const OURS = ['Immediate', 'CloseReq', 'PipeWrap']

/** What keeps a process alive. */
const alive = () =>
  process
    .getActiveResourcesInfo()
    .filter((name) => !OURS.includes(name))
    .sort()
    .join()

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']

async function command({ args, cwd = HOME, env }) {
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name]
  Object.assign(process.env, env)
  process.chdir(cwd)
  const before = alive()
  const [out, err] = [new Channel(), new Channel()]
  const code = await run(args, { out, err, env: process.env })
  for (const end = performance.now() + MOST_MS; alive() !== before; await new Promise(setImmediate))
    if (performance.now() > end) throw new Error(`it would not have ended: ${alive()} instead of ${before}`)
  for (const name of SIGNALS) if (process.listenerCount(name) > 0) throw new Error(`it still listens to ${name}`)
  return { code, stdout: out.text, stderr: err.text }
}

let last = Promise.resolve()
process.on('message', ({ number, ...line }) => {
  last = last
    .then(() => command(line))
    .then(
      (ended) => process.send({ number, ended }),
      (error) => process.send({ number, error: error.stack }),
    )
    .finally(() => process.chdir(HOME))
})
