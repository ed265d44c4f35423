/**
 * The seat of a call: which runner runs it. One statement in a database gives it, so nobody has it twice; whoever has a newer one is right.
 */
import { Schema } from "effect"
import type { RoomToken } from "./Call.ts"

/** One life of one runner's process; new each time it starts. */
export const Incarnation = Schema.String.check(Schema.isPattern(/^[\w-]{1,64}$/)).pipe(Schema.brand("Incarnation"))
export type Incarnation = typeof Incarnation.Type

/** Where other runners reach a runner: `host:port`. */
export const RunnerAddress = Schema.NonEmptyString.check(Schema.isMaxLength(300)).pipe(Schema.brand("RunnerAddress"))
export type RunnerAddress = typeof RunnerAddress.Type

/** What says which of two sessions in a room counts. */
export interface Rank {
  /** Grows with every change of a room's seat, also across databases that were lost: never below the wall clock (ms) of the change. */
  readonly epoch: number
  readonly incarnation: Incarnation
}

export interface Seat extends Rank {
  readonly room: RoomToken
  /** A call is one part, 0, until it is too large for one runner. */
  readonly part: number
  readonly address: RunnerAddress
}

/** Whether the first counts and the second has to go. A rank does not outrank itself. */
export const outranks = (one: Rank, other: Rank): boolean =>
  one.epoch === other.epoch ? one.incarnation > other.incarnation : one.epoch > other.epoch

/** The epoch of a new seat, in the place of a known one. */
export const nextEpoch = (nowMs: number, known?: number): number => Math.max(Math.floor(nowMs), (known ?? 0) + 1)
