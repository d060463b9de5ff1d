// The events in the bytes of a stream of Server-Sent Events, as they come. Pure, but for what it has not finished reading.

/** One event; `id` is the last one that was told, as a browser has it. */
export interface ServerEvent {
  readonly event: string
  readonly id: string | undefined
  readonly data: string
}

export class EventParser {
  readonly #decoder = new TextDecoder()
  #rest = ''
  #event = 'message'
  #data: string[] = []
  /** The last id that was told, also by a block without data. */
  id: string | undefined;

  /** Those that end in these bytes. */
  *read(bytes: Uint8Array): Generator<ServerEvent> {
    const text = this.#rest + this.#decoder.decode(bytes, { stream: true })
    let begin = 0
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', begin)) {
      const line = text.slice(begin, text[end - 1] === '\r' ? end - 1 : end)
      begin = end + 1
      if (line !== '') this.#field(line)
      else if (this.#data.length > 0) yield this.#finish()
    }
    this.#rest = text.slice(begin)
  }

  #field(line: string): void {
    const colon = line.indexOf(':')
    const name = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (name === 'data') this.#data.push(value)
    else if (name === 'event') this.#event = value
    else if (name === 'id') this.id = value
  }

  #finish(): ServerEvent {
    const event: ServerEvent = { event: this.#event, id: this.id, data: this.#data.join('\n') }
    this.#event = 'message'
    this.#data = []
    return event
  }
}
