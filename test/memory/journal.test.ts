// The journal in memory: the contract of journals.

import { createMemoryJournal } from '../../src/memory/journal.js'
import { createVirtualClock } from '../../src/testing/clock.js'
import { journalContract } from '../contract/journal.js'

journalContract('memory', (limits) => ({ journal: createMemoryJournal(createVirtualClock(), limits) }))
