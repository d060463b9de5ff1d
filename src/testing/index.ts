// `holdfast/testing`: what users test their kinds with. It stands on fast-check, which `holdfast` itself never loads.

export { createSeededChance } from './chance.js'
export { type CheckOptions, type CheckReport, checkDurable } from './check.js'
export { createVirtualClock, type VirtualClock } from './clock.js'
export { eventsOf, type Payloads } from './events.js'
export type { Fault } from './faults.js'
export type { Hand } from './hand.js'
export { simulate } from './simulate.js'
export type { SimulateOptions, SimulationReport } from './simulation.js'
export type { Invariant, Trace, TraceEntry } from './trace.js'
