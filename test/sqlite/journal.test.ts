// The journal in a database: the contract of journals.

import { createVirtualClock } from '../../src/testing/clock.js'
import { journalContract } from '../contract/journal.js'
import { openTemporary, quiet, worldOf } from './opened.js'

journalContract('in a database', (limits) => {
  const { ports, close } = openTemporary(limits, worldOf(quiet, createVirtualClock()))
  return { journal: ports.journal, close }
})
