// Progress on stderr: one bar that is drawn anew on a terminal, plain lines everywhere else.
// It shows what it is told and never asks; a terminal is left clean, whatever happens to the command.

import type { Cancel, Clock } from '../clock.js'
import type { Channel, Output } from './output.js'
import { type Environment, oneLine } from './style.js'

export interface Progress {
  /** What is done, and what is being done now. */
  show(percent: number, step: string, message: string): void
  /** Ends the display; what comes on stderr afterwards begins on a line of its own. */
  end(): void
}

/** A bar where one can be drawn and seen, else lines. */
export function progressOn(output: Output, clock: Clock): Progress {
  return drawsBars(output.err, output.env) ? new Bar(output, clock) : new Lines(output)
}

export const drawsBars = (channel: Channel, { CI, TERM, NO_COLOR }: Environment): boolean =>
  channel.isTTY === true && !isSet(CI) && TERM !== 'dumb' && !isSet(NO_COLOR)

const isSet = (value: string | undefined): boolean =>
  value !== undefined && value !== '' && value !== '0' && value !== 'false'

const CELLS = 24
const FRAME_MS = 120
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const CLEAR_LINE = '\r\u001b[2K'

/** Drawn at a steady pace, so that a step which says nothing still shows that it lives. */
class Bar implements Progress {
  readonly #output: Output
  readonly #clock: Clock
  #shown = { percent: 0, step: '', message: '' }
  #frame = 0
  #next: Cancel | undefined

  constructor(output: Output, clock: Clock) {
    this.#output = output
    this.#clock = clock
    output.drawing = this
    this.#draw()
  }

  show(percent: number, step: string, message: string): void {
    this.#shown = { percent, step, message }
  }

  end(): void {
    this.#next?.()
    this.#next = undefined
    this.#output.drawing = undefined
    this.clear()
  }

  clear(): void {
    this.#output.err.write(CLEAR_LINE)
  }

  #draw(): void {
    this.#output.err.write(CLEAR_LINE + this.#line())
    this.#frame = (this.#frame + 1) % FRAMES.length
    this.#next = this.#clock.setTimeout(() => this.#draw(), FRAME_MS)
  }

  #line(): string {
    const { percent, step, message } = this.#shown
    const full = Math.round((Math.min(100, Math.max(0, percent)) / 100) * CELLS)
    const { cyan, green, dim } = this.#output.noteStyle
    const bar = green('█'.repeat(full)) + dim('░'.repeat(CELLS - full))
    const head = `${FRAMES[this.#frame]} `
    const tail = ` ${percentText(percent)}  `
    const room = (this.#output.err.columns || 80) - head.length - CELLS - tail.length - 1
    const name = oneLine(step, room)
    const said = oneLine(message, room - name.length - 2)
    return `${cyan(head)}${bar}${tail}${name}${said && `  ${dim(said)}`}`
  }
}

/** At least this much between two lines of the same step. */
const LINE_PERCENT = 5

class Lines implements Progress {
  readonly #output: Output
  #last: { readonly percent: number; readonly step: string } | undefined

  constructor(output: Output) {
    this.#output = output
  }

  show(percent: number, step: string, message: string): void {
    const last = this.#last
    if (last && last.step === step && percent < last.percent + LINE_PERCENT) return
    this.#last = { percent, step }
    this.#output.note(`${percentText(percent)}  ${oneLine(step, 60)}${message && `  ${oneLine(message, 160)}`}`)
  }

  end(): void {}
}

const percentText = (percent: number): string => `${String(Math.round(percent)).padStart(3)}%`
