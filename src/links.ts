// What goes on between sessions: children are started and cancelled, their ends told to their parents, messages carried.
// Everything it carries is in a durable record of the session that it comes from, so whatever a crash cuts off is done
// again when the runtime is opened: by the session that it goes to, which looks at those it is linked to and takes each
// message and each end once.

import type { ChildOutcome } from './children.js'
import { failedWith, outcomeOf } from './children.js'
import type { AnySessionKind } from './define.js'
import { admitInput } from './door.js'
import { isHoldfastError } from './errors.js'
import { loadState } from './history.js'
import type { ChildStart, SessionHost } from './host.js'
import { asTheyAre, withReferences } from './json.js'
import type { Known } from './listing.js'
import type { Registry } from './registry.js'
import { LiveSession } from './session.js'
import type { Snapshots } from './snapshots.js'
import type { Outgoing, Parent } from './state.js'
import type { Supervisor } from './supervisor.js'

export interface LinksHost {
  readonly session: SessionHost
  readonly supervisor: Supervisor
  readonly registry: Registry
  readonly snapshots: Snapshots
  readonly kinds: ReadonlyMap<string, AnySessionKind>
}

export class Links
  implements Pick<SessionHost, 'startChild' | 'cancelChild' | 'childEnded' | 'transmit' | 'arrived' | 'outbox'>
{
  readonly #host: LinksHost

  constructor(host: LinksHost) {
    this.#host = host
  }

  /**
   * After an opening: sessions that others have messages for take them, and children that nobody wants are cancelled.
   * `gaps`: a parent that is not there may have lost its records, and still want its children. True when such a child was
   * kept: as long as nobody knows, an index must not hide that records are lost.
   */
  recover(gaps: boolean): boolean {
    const { registry, supervisor } = this.#host
    const wanted = new Set<string>()
    for (const { work } of registry.withWork()) for (const to of Object.values(work.outbox ?? {})) wanted.add(to)
    for (const id of wanted) if (registry.get(id)?.status === 'active') supervisor.wake(id)
    const orphans = [...registry.children()].filter((entry) => this.#isOrphan(entry))
    const left = orphans.filter(({ parent }) => !gaps || registry.get((parent as Parent).session))
    for (const { id } of left) void this.cancelChild(id, 'the session that started it has left it')
    return left.length < orphans.length
  }

  startChild({ id, kind, input, parent, trace }: ChildStart): void {
    const { registry, supervisor, session: host } = this.#host
    const entry = registry.get(id)
    if (entry && entry.status !== 'active') return this.childEnded(parent, outcomeOf(id, this.#stateOf(entry)))
    if (entry || supervisor.peek(id)) return
    try {
      const unheard = { resolve: () => {}, reject: () => {} }
      const owner = registry.get(parent.session)?.owner
      const admitted = withReferences(asTheyAre, () => admitInput(kind, input))
      supervisor.adopt(LiveSession.create(host, kind, id, admitted, { parent, owner, trace }, unheard))
    } catch (cause) {
      if (!isHoldfastError(cause, 'JOURNAL_FAILED', 'RUNTIME_CLOSED')) this.childEnded(parent, failedWith(cause))
    }
  }

  async cancelChild(id: string, reason: string): Promise<void> {
    try {
      const child = this.#host.supervisor.reach(id)
      await child.ask({ kind: 'cancel', reason })
      await child.gone()
    } catch {
      // It has ended, is parked, or the runtime closes: then it is looked at again when the runtime is opened.
    }
  }

  childEnded(parent: Parent, outcome: ChildOutcome): void {
    try {
      this.#host.supervisor.activate(parent.session).childEnded(parent, outcome)
    } catch {
      // Deleted, or parked: when it runs again, it looks at its children.
    }
  }

  transmit(from: string, message: Outgoing): void {
    try {
      this.#host.supervisor.activate(message.to).receive(from, message)
    } catch (error) {
      // To nobody: done. A parked session takes it when it runs again.
      if (isHoldfastError(error, 'SESSION_NOT_FOUND', 'SESSION_DELETED')) this.arrived(from, message.key)
    }
  }

  arrived(from: string, key: string): void {
    const { supervisor, registry } = this.#host
    const live = supervisor.peek(from)
    if (live) return live.arrived(key)
    // One that is passive has it recorded too, or it would tell again for ever.
    const entry = registry.get(from)
    if (entry?.status !== 'active' || registry.work(from)?.outbox?.[key] === undefined) return
    try {
      supervisor.activate(from).arrived(key)
    } catch {
      // It cannot run now: it tells again when it does, and the receiver knows what it has taken.
    }
  }

  outbox(id: string): readonly Outgoing[] {
    const live = this.#host.supervisor.peek(id)
    if (live) return live.durable.links.outbox
    const entry = this.#host.registry.get(id)
    return entry && this.#host.registry.work(id)?.outbox ? (this.#stateOf(entry).links?.outbox ?? []) : []
  }

  #stateOf(entry: Known): ReturnType<typeof loadState> {
    return loadState(this.#host.session.journal, this.#host.snapshots, entry)
  }

  /** Its parent is gone, or has stopped it, and a crash has come before that was done. */
  #isOrphan({ id, kind, parent }: Known): boolean {
    if (!parent) return false
    const { registry, kinds, supervisor } = this.#host
    if (registry.work(parent.session)?.sessions?.[parent.child] === id) return false
    const above = registry.get(parent.session)
    // What is known of a parked one need not be all; whether a child may go on alone, its kind must say.
    if (above && (supervisor.reasonBroken(above.id) !== undefined || !kinds.has(above.kind))) return false
    const parents = above ? [kinds.get(above.kind) as AnySessionKind] : [...kinds.values()]
    const declared = parents
      .flatMap(({ children }) => [...children.values()])
      .filter((child) => child.kind.kind === kind)
    return !declared.some(({ onParentEnd }) => onParentEnd === 'abandon')
  }
}
