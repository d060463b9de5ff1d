// `holdfast send`: an event to a session, or several as one; what it prints is the transition, once that is durable.

import type { SendOptions } from '../handle.js'
import { usage } from './failure.js'
import { jsonIn } from './json-argument.js'
import type { Output } from './output.js'
import { transitionRows } from './session-view.js'
import { table } from './table.js'
import { at, type ChangeWhere, requireThere } from './target.js'

export interface SendCommand extends ChangeWhere {
  readonly eventId?: string
}

export async function send(prefix: string, event: string, command: SendCommand, output: Output): Promise<number> {
  const { eventId } = command
  const events = await eventIn(event)
  requireThere(command, output)
  const options: SendOptions = eventId === undefined ? {} : { id: eventId }
  const transition = await at(command, output, async (target) => {
    const session = await target.session(prefix)
    return Array.isArray(events)
      ? session.sendBatch(events as never[], options)
      : session.send(events as never, options)
  })
  output.data(transition, () => table(transitionRows([transition])).join('\n'))
  return 0
}

/** A word is the type of an event that has nothing else. */
async function eventIn(text: string): Promise<unknown> {
  if (!/^([{["@]|-$)/.test(text)) return { type: text }
  const event = await jsonIn(text, 'the event')
  if (Array.isArray(event) ? event.length > 0 && event.every(isEvent) : isEvent(event)) return event
  throw usage('an event is JSON with a type, as {"type":"start"}; several are a list of such', 'a word is a type alone')
}

const isEvent = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'
