// From what a session recorded to the channel itself: the one place that knows the adapters.

import type { StepContext } from 'holdfast'
import type { Channel, ChannelConfig } from '../channel.js'

/** The channel of a session. Rejects with SERVICE_NOT_INSTALLED or SERVICE_NOT_CONFIGURED. */
export async function openChannel(config: ChannelConfig, context: StepContext): Promise<Channel> {
  if (config.kind === 'log') return logChannel(context)
  const { openSlackChannel } = await import('./slack-channel.js')
  return openSlackChannel(config, { signal: context.signal })
}

/** Without an account: observers of the session hear it, and its record keeps the text. */
const logChannel = (context: StepContext): Channel => ({
  announce({ text }) {
    context.log(text)
    return Promise.resolve({ where: 'log' })
  },
})
