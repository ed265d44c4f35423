/**
 * Fleet: the runners that share the calls of one database, as one of them sees the others.
 */
import type { Stream } from "effect"
import type { Incarnation } from "../domain/Seat.ts"

/** What a process of several is told by whoever started it. */
export interface RunnerProcess {
  /** 0 is the first of this machine. */
  readonly slot: number
  /** New for each process. */
  readonly incarnation: Incarnation
  /** Those of this machine whose process has certainly ended, each once, as soon as that is known. */
  readonly gone: Stream.Stream<Incarnation>
}
