// What a session is told to do: the repository, the commands, where they run and how often. Checked at the door, where what
// was left out is filled in and recorded. Everything has a bound.

import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import { type RestoredSession, restoredSchema } from './restored.js'

/** A shell command of a workflow. Times are in milliseconds. */
export interface Command {
  /** What `/bin/sh` runs, in the root of the project or of the worktree. */
  readonly shell: string
  /** How it is called in events; default: `shell`. */
  readonly name?: string
  /** Default: `fail` when the session is `fail_fast`, else `continue`. */
  readonly on_failure?: 'fail' | 'continue' | FailureHandler
  /** What happens to a command that a crash has interrupted; default `rerun`. `ask` pauses the session. */
  readonly on_crash?: 'rerun' | 'fail' | 'ask'
  /** Longer, and its processes are ended: it has failed. Default: unlimited. */
  readonly timeout_ms?: number
  /** How long its processes have to end by themselves when they are told to; default 5,000. */
  readonly kill_grace_ms?: number
  readonly env?: { readonly [name: string]: string }
  /** Its stdout is JSON, kept as the results of an analysis. */
  readonly analysis?: boolean
}

/** A command that is run when another one has failed, and what comes then. */
export interface FailureHandler {
  readonly shell: string
  readonly next: 'retry' | 'continue' | 'fail'
  /** With `retry`: how often at most; default 1. */
  readonly attempts?: number
}

export interface WorkflowConfig {
  readonly name?: string
  readonly commands: readonly Command[]
}

/** `worktree`: a checkout of its own, on a branch of its own, `holdfast/<name>`, beside the project. */
export type ExecutionMode = { readonly type: 'direct' } | { readonly type: 'worktree'; readonly name: string }

export interface SessionOptions {
  /** A command that fails ends the session, unless it says otherwise. Default true. */
  readonly fail_fast: boolean
  /** Merge the worktree's branch into what the project has checked out, when the session completes. Default false. */
  readonly auto_merge: boolean
  /** Count and time what the commands do. Default true. */
  readonly collect_metrics: boolean
  /** Log every line of their output. Default false. */
  readonly verbose: boolean
}

export interface SessionConfig {
  /** An absolute path within a git repository. */
  readonly project_path: string
  readonly workflow: WorkflowConfig
  readonly execution_mode: ExecutionMode
  readonly max_iterations: number
  /** Told to the commands, as HOLDFAST_FOCUS. */
  readonly focus?: string
  readonly options: SessionOptions
}

/** As a caller writes it: commands may be plain strings, and all but the path and the workflow may be left out. */
export interface SessionConfigInput {
  readonly project_path: string
  readonly workflow:
    | readonly (string | Command)[]
    | { readonly name?: string; readonly commands: readonly (string | Command)[] }
  readonly execution_mode?: 'direct' | ExecutionMode
  readonly max_iterations?: number
  readonly focus?: string
  readonly options?: Partial<SessionOptions>
}

/** What a session is created with: a config, or a session that was kept somewhere else. */
export interface WorkflowInput {
  readonly config: SessionConfigInput
  readonly restored?: RestoredSession
}

/** As it is recorded. */
export interface AdmittedInput {
  readonly config: SessionConfig
  readonly restored?: RestoredSession
}

const DEFAULT_ITERATIONS = 10
/** Commands in all: each leaves an event. */
const MOST_RUNS = 100_000

const ms = z.int().min(0).max(2_147_483_647)
const shell = z.string().trim().min(1).max(100_000)

const command = z.union([
  shell.transform((text) => ({ shell: text })),
  z.strictObject({
    shell,
    name: z.string().min(1).max(200).optional(),
    on_failure: z
      .union([
        z.enum(['fail', 'continue']),
        z.strictObject({
          shell,
          next: z.enum(['retry', 'continue', 'fail']),
          attempts: z.int().min(1).max(100).optional(),
        }),
      ])
      .optional(),
    on_crash: z.enum(['rerun', 'fail', 'ask']).optional(),
    timeout_ms: ms.min(1).optional(),
    kill_grace_ms: ms.max(20_000).optional(),
    env: z.record(z.string(), z.string().max(100_000)).optional(),
    analysis: z.boolean().optional(),
  }),
])

const commands = z.array(command).max(1_000)

const configSchema = z
  .strictObject({
    project_path: z.string().min(1).max(4_096).regex(/^\//, 'must be an absolute path'),
    workflow: z.union([
      commands.transform((list) => ({ commands: list })),
      z.strictObject({ name: z.string().max(200).optional(), commands }),
    ]),
    execution_mode: z
      .union([
        z.literal('direct').transform(() => ({ type: 'direct' as const })),
        z.strictObject({ type: z.literal('direct') }),
        z.strictObject({
          type: z.literal('worktree'),
          name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'letters, digits, `-` and `_`, at most 64'),
        }),
      ])
      .default({ type: 'direct' }),
    max_iterations: z.int().min(1).max(10_000).default(DEFAULT_ITERATIONS),
    focus: z.string().max(10_000).optional(),
    options: z
      .strictObject({
        fail_fast: z.boolean().default(true),
        auto_merge: z.boolean().default(false),
        collect_metrics: z.boolean().default(true),
        verbose: z.boolean().default(false),
      })
      .default({ fail_fast: true, auto_merge: false, collect_metrics: true, verbose: false }),
  })
  .refine(({ workflow, max_iterations }) => workflow.commands.length * max_iterations <= MOST_RUNS, {
    message: `commands times iterations is ${MOST_RUNS} at most`,
    path: ['max_iterations'],
  })

/** Every input of `create` passes here. */
export const inputSchema: StandardSchemaV1<unknown, AdmittedInput> = z.strictObject({
  config: configSchema,
  restored: restoredSchema.optional(),
}) as unknown as StandardSchemaV1<unknown, AdmittedInput>
