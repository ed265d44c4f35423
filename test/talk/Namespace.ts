/**
 * Network namespaces of one run: everything of the proof lives in the first, so ports are fixed and runs beside each other
 * do not collide; the second reaches the first by one link only, and never the address where Janus is.
 */
import { existsSync } from "node:fs"
import { Effect, Schedule, type Scope } from "effect"
import { run } from "./Processes.ts"
import type { ProofError } from "./ProofError.ts"

/** Where Janus listens for media: one end of a veth pair, since Janus skips loopback. */
export const MEDIA_IP = "10.77.0.1"
/** Our and the far end of the link to the second namespace. */
export const LINK_IP = "10.78.0.1"
export const FAR_IP = "10.78.0.2"

export interface Namespaces {
  readonly main: string
  readonly far: string
}

const namespace = (name: string) =>
  Effect.acquireRelease(run("ip", ["netns", "add", name]), () =>
    // Busy while the last process in it is being buried.
    run("ip", ["netns", "del", name]).pipe(
      Effect.retry({ schedule: Schedule.spaced("200 millis"), times: 20 }),
      Effect.ignore
    )
  )

/** A run that was killed could not remove its own. */
const removeOrphans = Effect.gen(function* () {
  const names = (yield* run("ip", ["netns", "list"])).split("\n").map((line) => line.split(" ")[0] ?? "")
  const orphans = names.filter((name) => {
    const pid = /^parlance-(\d+)/.exec(name)?.[1]
    return pid !== undefined && !existsSync(`/proc/${pid}`)
  })
  yield* Effect.forEach(orphans, (name) => Effect.ignore(run("ip", ["netns", "del", name])), { discard: true })
})

/** Both, for as long as the scope; named for our pid and the lane. */
export const make = Effect.fnUntraced(function* (lane = 0): Effect.fn.Return<Namespaces, ProofError, Scope.Scope> {
  yield* removeOrphans
  const main = `parlance-${process.pid}-${lane}`
  const far = `${main}-far`
  yield* namespace(main)
  yield* namespace(far)
  const commands: ReadonlyArray<string> = [
    `-n ${main} link set lo up`,
    `-n ${far} link set lo up`,
    `-n ${main} link add media0 type veth peer name media1`,
    `-n ${main} addr add ${MEDIA_IP}/24 dev media0`,
    `-n ${main} link set media0 up`,
    `-n ${main} link set media1 up`,
    `-n ${main} link add link0 type veth peer name link1 netns ${far}`,
    `-n ${main} addr add ${LINK_IP}/24 dev link0`,
    `-n ${main} link set link0 up`,
    `-n ${far} addr add ${FAR_IP}/24 dev link1`,
    `-n ${far} link set link1 up`
  ]
  yield* Effect.forEach(commands, (command) => run("ip", command.split(" ")), { discard: true })
  return { main, far }
})
