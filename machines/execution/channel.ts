// The port for announcements: where a team hears of its sessions.
// Adapters: the step's own log (`steps/log-channel.ts`), Slack (`steps/slack-channel.ts`).

export interface Announcement {
  /** The same each time that it is tried. */
  readonly key: string
  readonly text: string
}

/** Every method rejects with a ServiceError; one whose `retry` is true may be gone the next time. */
export interface Channel {
  /**
   * Says it. With `again`, an earlier attempt may have said it already: then it looks for it first, and says nothing when
   * it is there. Resolves with where it stands.
   */
  announce(announcement: Announcement, again: boolean): Promise<{ readonly where: string }>
}

/** Which channel, as a session records it. */
export type ChannelConfig =
  | { readonly kind: 'log' }
  | { readonly kind: 'slack'; readonly channel: string; readonly connection: string }
