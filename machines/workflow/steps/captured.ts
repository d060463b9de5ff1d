// What a command says, kept in bounds: the beginning and the end of a stream, and how much there was.

export interface Captured {
  /** The beginning and, if that is not all, the end; what was left out is told between them. */
  readonly text: string
  readonly chars: number
}

/** Of each stream, at the beginning and at the end. */
const KEPT_CHARS = 32_768

export class Capture {
  #head = ''
  #tail = ''
  #chars = 0

  add(text: string): void {
    this.#chars += text.length
    const room = KEPT_CHARS - this.#head.length
    if (room > 0) this.#head += text.slice(0, room)
    if (text.length > room) this.#tail = (this.#tail + text.slice(Math.max(0, room))).slice(-KEPT_CHARS)
  }

  /** All of it, or undefined when something was left out. */
  get whole(): string | undefined {
    return this.#chars > this.#head.length + this.#tail.length ? undefined : this.#head + this.#tail
  }

  get captured(): Captured {
    const left = this.#chars - this.#head.length - this.#tail.length
    const text = left > 0 ? `${this.#head}\n… ${left} characters …\n${this.#tail}` : this.#head + this.#tail
    return { text, chars: this.#chars }
  }
}
