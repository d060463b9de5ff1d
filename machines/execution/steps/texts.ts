// What a channel is told of a session, in words. Pure.

import type { News } from '../context.js'

export interface About {
  readonly id: string
  readonly teamId: string
  readonly adminUserId: string
  readonly planCount: number
  readonly plans: readonly { readonly name: string; readonly tickets: number }[]
  readonly counts: { readonly processed: number; readonly errors: number }
  readonly reason?: string
}

export function textOf(kind: News['kind'], about: About): string {
  const { id, teamId, adminUserId, planCount, plans, counts, reason } = about
  switch (kind) {
    case 'created': {
      const lines = plans.map(({ name, tickets }) => `• ${name}: ${amount(tickets, 'ticket')}`)
      const head = `${amount(planCount, 'execution plan')} for ${teamId}, to be confirmed by ${adminUserId} (${id})`
      return [head, ...lines].join('\n')
    }
    case 'completed': {
      const { processed, errors } = counts
      const failed = errors > 0 ? `, ${errors} of them failed` : ''
      return `The execution session of ${teamId} is completed: ${amount(processed, 'modification')} processed${failed} (${id})`
    }
    case 'cancelled':
      return `The execution session of ${teamId} is cancelled${reason ? `: ${reason}` : ''} (${id})`
  }
}

const amount = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`
