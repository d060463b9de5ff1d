// The step of own-session.js: runs in a worker thread, and again, with the same key, if a crash cuts it off.
export async function countWords({ text }, { progress, signal }) {
  progress(50, `counting "${text}"`)
  await new Promise((resolve) => setTimeout(resolve, Number(process.env.PAUSE_MS ?? 300)))
  signal.throwIfAborted()
  return text.split(/\s+/).length
}
