// Which of Slack's tokens is which. Slack gives an app several, which begin alike in what they are for; one in the place of
// another fails late, and as something else. Never tells a token.

import { HoldfastError } from 'holdfast'

/** What a token begins with, and where it belongs. */
const PREFIXES: readonly (readonly [prefix: string, name: 'botToken' | 'appToken', what: string])[] = [
  ['xoxb-', 'botToken', "a bot's token"],
  ['xapp-', 'appToken', "an app's token"],
]

const VARIABLES = { botToken: 'SLACK_BOT_TOKEN', appToken: 'SLACK_APP_TOKEN' } as const

/** Throws INVALID_ARGUMENT for a token that is told by its beginning to be another one. */
export function admitSlackTokens(tokens: { readonly botToken: string; readonly appToken: string }): void {
  for (const name of ['botToken', 'appToken'] as const) {
    const [, right, what] = PREFIXES.find(([prefix]) => tokens[name].startsWith(prefix)) ?? []
    if (right === undefined || right === name) continue
    const places = [name, right].map((place) => `${place} (${VARIABLES[place]})`)
    throw new HoldfastError('INVALID_ARGUMENT', `${places[0]} is ${what}, which belongs in ${places[1]}`)
  }
}
