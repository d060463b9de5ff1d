// What every call of the manager gives: never a rejection.

import { HoldfastError } from 'holdfast'

export interface Success<T> {
  readonly success: true
  readonly data: T
  readonly error?: undefined
  /** Of a list that was cut off by its `limit`: where the next page begins. */
  readonly cursor?: string
}

export interface Failure {
  readonly success: false
  readonly error: HoldfastError
  /** There is none: whoever reads it without having looked at `success` gets the error thrown. */
  readonly data: never
  readonly cursor?: undefined
}

export type Result<T> = Success<T> | Failure

class Failed implements Failure {
  readonly success = false
  readonly error: HoldfastError

  constructor(error: HoldfastError) {
    this.error = error
  }

  get data(): never {
    throw this.error
  }
}

/** The result of an act. What it throws that is no error of Holdfast's, a storage's say, is the cause of one that is. */
export async function resultOf<T>(act: () => Promise<T>): Promise<Result<T>> {
  try {
    return { success: true, data: await act() }
  } catch (error) {
    return new Failed(error instanceof HoldfastError ? error : storageFailed(error))
  }
}

const storageFailed = (cause: unknown): HoldfastError =>
  new HoldfastError('DISK_FAILED', `the storage failed: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  })
