// The snapshots in a database keep the contract of the snapshots.
import { snapshotsContract } from '../contract/snapshots.js'
import { openTemporary } from './opened.js'

snapshotsContract('in a database', () => {
  const { ports, close } = openTemporary()
  return { snapshots: ports.snapshots, close }
})
