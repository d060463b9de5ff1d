// What a runtime counts, as instruments of OpenTelemetry: the same figures as in the text for Prometheus. They are read when
// the program's SDK collects, and cost nothing in between.

import type { BatchObservableCallback, Meter, Observable } from '@opentelemetry/api'
import { isHoldfastError } from '../errors.js'
import { type Family, familiesOf, type Metrics } from '../metrics.js'
import type { Runtime } from '../runtime.js'
import { api } from './api.js'

export interface MetricsOptions {
  /** Default: the meter `holdfast` of the SDK that the program has set up. */
  readonly meter?: Meter
}

/** Has a runtime's metrics read whenever they are collected; gives what ends that. A closed runtime tells nothing more. */
export function meterRuntime(
  runtime: Pick<Runtime, 'metrics'>,
  { meter = api.metrics.getMeter('holdfast') }: MetricsOptions = {},
): () => void {
  const instruments = new Map(familiesOf(runtime.metrics()).map((family) => [family.name, instrumentOf(family, meter)]))
  const observe: BatchObservableCallback = (result) => {
    const metrics = open(() => runtime.metrics())
    if (!metrics) return
    for (const { name, samples } of familiesOf(metrics))
      for (const { labels, value } of samples) result.observe(instruments.get(name) as Observable, value, labels)
  }
  const all = [...instruments.values()]
  meter.addBatchObservableCallback(observe, all)
  return () => meter.removeBatchObservableCallback(observe, all)
}

/** Without the endings that are Prometheus's own: exporters for it add them. */
function instrumentOf({ name, type, help }: Family, meter: Meter): Observable {
  const unit = /_(seconds|bytes)(?:_total)?$/.exec(name)?.[1]
  const options = { description: help, ...(unit && { unit: unit === 'seconds' ? 's' : 'By' }) }
  const base = name.replace(/_total$/, '')
  return type === 'counter' ? meter.createObservableCounter(base, options) : meter.createObservableGauge(base, options)
}

function open(read: () => Metrics): Metrics | undefined {
  try {
    return read()
  } catch (error) {
    if (isHoldfastError(error, 'RUNTIME_CLOSED')) return undefined
    throw error
  }
}
