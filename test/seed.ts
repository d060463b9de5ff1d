// What the properties are tried with is the same in every run, so that a red run says that the change has broken something, and
// is red again. HOLDFAST_SEED tries them with something else; where a property names its seed, that one is meant.
import fc from 'fast-check'

fc.configureGlobal({ seed: Number(process.env.HOLDFAST_SEED ?? 1) })
