// The disk in memory keeps the contract of the disk.
import { createMemoryDisk } from '../../src/memory/disk.js'
import { diskContract } from '../contract/disk.js'

diskContract('memory', () => ({ disk: createMemoryDisk() }))
