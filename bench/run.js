// All benchmarks, one after the other: `npm run bench`. Read ratios within one run; absolute figures are this machine's.
import { cpus } from 'node:os'
import { flat } from './flat.js'
import { lag } from './lag.js'
import { layers } from './layers.js'
import { size } from './size.js'
import { throughput } from './throughput.js'

console.log(`node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}`)
console.log('\nTransitions a second, medians of 5 rounds:')
console.table(await throughput())
console.log('\nWhere the processor time of a transition goes, µs, medians of 7 rounds:')
console.table(await layers())
console.log('\nCost of one transition as things grow, processor time, medians of 9 rounds:')
console.table(await flat())
console.log('\nSize and opening:')
console.table(size())
console.log('\nHow late the event loop is under full load:')
console.table(await lag())
