// Frames of a stream, as Server-Sent Events and as messages of a WebSocket, as text. Pure.
// A numbered frame has an `id`, from which whoever has lost the connection goes on; others have none, so that they do not
// move that. JSON has no line breaks, so a frame's data is one line.

/** A transition; `number` is what the stream is resumed from: its `seq`, or its position in the stream of all. */
export const transitionFrame = (transition: unknown, number: number): string =>
  `id: ${number}\nevent: transition\ndata: ${JSON.stringify(transition)}\n\n`

/** What has no number: `emitted`, `step`, `end`, `problem`. */
export const frame = (event: string, data: unknown): string => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`

/**
 * The first of every stream. It has no data, so it is no event, and it tells a browser how long to wait before it comes
 * again, and from where: also to one that was cut off before anything came.
 */
export const opening = (after: number): string => `id: ${after}\nretry: 1000\n\n`

/** A comment, so that nobody on the way takes the connection for dead. */
export const HEARTBEAT = ':\n\n'

/**
 * The frames of a piece of a stream as what a WebSocket sends, each a text: `{"id":7,"event":"transition","data":{…}}`, the
 * opening as `{"id":6,"event":"open"}`; undefined in the place of a sign of life.
 */
export const messagesOf = (piece: string): readonly (string | undefined)[] =>
  piece.split('\n\n').slice(0, -1).map(messageOf)

const FRAME = /^(?:id: (-?\d+)\n)?(?:event: ([a-z]+)\ndata: (.*)|retry: \d+)$/

function messageOf(text: string): string | undefined {
  const [frame, id, event = 'open', data] = FRAME.exec(text) ?? []
  if (frame === undefined) return undefined
  // What stands in the frame is JSON as it is.
  return `{${id === undefined ? '' : `"id":${id},`}"event":"${event}"${data === undefined ? '' : `,"data":${data}`}}`
}
