// `holdfast/opentelemetry`: spans and metrics by `@opentelemetry/api`, for whatever SDK a program has set up.
// The package is an optional peer dependency; without it this module says what to install.

export { type MetricsOptions, meterRuntime } from './meters.js'
export { type OpenTelemetryOptions, openTelemetry } from './spans.js'
