// The commands of a session: which one is next, how it is run, what its end is told as, and what becomes of one that failed. Pure.

import type { Command, FailureHandler } from './config.js'
import type { WorkflowContext } from './context.js'
import type { SessionEvent } from './session-events.js'
import type { CommandOutput, CommandRun, Place } from './steps.js'
import { iterationIn } from './story.js'

export const nameOf = ({ name, shell }: Pick<Command, 'name' | 'shell'>): string => name ?? shell

export const commandOf = ({ config, index }: WorkflowContext): Command | undefined => config.workflow.commands[index]

export function handlerOf(context: WorkflowContext): FailureHandler | undefined {
  const handler = commandOf(context)?.on_failure
  return typeof handler === 'object' ? handler : undefined
}

/** What becomes of a command that has failed. */
export function policyOf(context: WorkflowContext): 'fail' | 'continue' | 'handle' {
  const handler = handlerOf(context)
  if (handler) return handler.next === 'retry' && context.retries >= (handler.attempts ?? 1) ? 'fail' : 'handle'
  const { on_failure = context.config.options.fail_fast ? 'fail' : 'continue' } = commandOf(context) ?? {}
  return on_failure as 'fail' | 'continue'
}

/** The input of a command's step. */
export function runOf({ config, place, log }: WorkflowContext, command: Command): CommandRun {
  const { focus, options } = config
  return {
    ...{
      place: place as Place,
      command,
      iteration: iterationIn(log).number,
    },
    ...(focus !== undefined && { focus }),
    ...(options.verbose && { verbose: true }),
  }
}

export function executedOf({ config }: WorkflowContext, output: CommandOutput, handler: boolean): SessionEvent {
  const { command, success, exit_code, duration_ms, timed_out, interrupted } = output
  return {
    ...{ type: 'CommandExecuted', command, success, exit_code },
    ...(config.options.collect_metrics && { duration_ms }),
    ...(timed_out && { timed_out }),
    ...(interrupted && { interrupted }),
    ...(handler && { handler }),
  }
}

export function failureOf({ command, exit_code, signal, timed_out, interrupted, problem }: CommandOutput): string {
  const how = interrupted
    ? 'was interrupted by a crash'
    : timed_out
      ? 'took longer than it may'
      : (problem ?? (signal ? `was ended by ${signal}` : `failed with exit code ${exit_code}`))
  return `"${command}" ${how}`
}
