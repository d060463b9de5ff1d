// Frames of a stream of Server-Sent Events, as text. Pure.
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
