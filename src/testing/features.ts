// Which features of XState a transition has used, by name: so that a run can say how often each was tried.

// biome-ignore lint/suspicious/noExplicitAny: a transition, of which more is read here than its type tells
type Loose = any

/** `origin`: what its event came from; `remembered`: the history nodes that have something to remember. */
export function featuresOf(
  transition: Loose,
  origin: string,
  remembered: { readonly [node: string]: unknown },
): string[] {
  const features = [featureOf(transition.eventType ?? '', origin)]
  if (transition.guard) features.push('guard')
  for (const node of transition.target ?? []) {
    if (node.type === 'history' && remembered[node.id]) features.push(`${node.history} history`)
  }
  return features
}

const BY_EVENT: { readonly [prefix: string]: string } = {
  'xstate.after': 'after',
  'xstate.done.state': 'nested final',
  'xstate.done.actor': 'child done',
  'xstate.error.actor': 'child failed',
}

function featureOf(eventType: string, origin: string): string {
  if (eventType === '') return 'always'
  const prefix = Object.keys(BY_EVENT).find((start) => eventType.startsWith(start))
  return prefix ? (BY_EVENT[prefix] as string) : origin
}
