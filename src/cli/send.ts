// `holdfast send`: an event to a session, or several as one; what it prints is the transition, once that is durable. `approve`,
// `pause` and their like send the event of that name.

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
  return sent(prefix, await eventIn(event), command, output)
}

export interface SayCommand extends SendCommand {
  /** What the event holds beside its type. */
  readonly with?: string
}

/** Sends the event that is called as the command. */
export async function say(type: string, prefix: string, command: SayCommand, output: Output): Promise<number> {
  const fields = command.with === undefined ? {} : await jsonIn(command.with, 'what the event holds')
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields) || 'type' in fields)
    throw usage('what the event holds is an object of JSON without a type', `the type is "${type}"`)
  return sent(prefix, { type, ...fields }, command, output)
}

async function sent(prefix: string, events: unknown, command: SendCommand, output: Output): Promise<number> {
  const { eventId } = command
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
