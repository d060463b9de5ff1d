// The snapshots in memory keep the contract of the snapshots.
import { createMemorySnapshots } from '../../src/memory/snapshots.js'
import { snapshotsContract } from '../contract/snapshots.js'

snapshotsContract('memory', () => ({ snapshots: createMemorySnapshots() }))
