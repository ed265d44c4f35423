/** A front as one of several runners sees it whose fellows do nothing. */
import { Effect } from "effect"
import type { Front } from "../../src/services/Front.ts"
import * as StreamCounts from "../../src/supervisor/StreamCounts.ts"

export const make = (slot: number): Front => {
  const counts = StreamCounts.make()
  return {
    slot,
    isFirst: slot === 0,
    secret: new Uint8Array(32),
    generatedKey: undefined,
    keyMade: () => {},
    listen: () => Effect.succeed({ _tag: "NotListening", code: "ENOSYS" }),
    closing: () => {},
    reserve: (subject, limits) => Effect.sync(() => counts.reserve(subject, limits)),
    release: counts.release,
    openStreams: (subject) => Effect.sync(() => counts.of(subject)),
    spent: (found) => Effect.succeed(found),
    spending: () => {},
    metrics: Effect.succeed(""),
    isEnabled: () => undefined,
    setEnabled: () => {},
    onEnabled: () => Effect.void
  }
}
