/**
 * The processes of one run, put together: the engine, the runners of the service, and publishers in one or more groups.
 */
import { Effect, Schedule, type Scope } from "effect"
import { ask, message } from "../process/Channel.ts"
import * as Processes from "../process/Processes.ts"
import * as Runners from "./Runners.ts"
import type { Crowd, SpeakersOptions } from "./SpeakersOptions.ts"
import * as Wire from "./Wire.ts"

export interface Stage {
  readonly engine: Processes.Measured
  readonly runners: Runners.Runners
}

export interface Group {
  readonly process: Processes.Measured
  readonly task: Wire.Task
}

const LOOK_AGAIN = "50 millis"
/** The service gives a peer up after 15 s. */
const LOOKS = 300

/** Engine and service, ready; `port`: see `Runners`. */
export const make = Effect.fnUntraced(function* (
  { path, runners: number }: Crowd,
  { oneCore, profile }: SpeakersOptions,
  port?: number
): Effect.fn.Return<Stage, Processes.ProcessError, Scope.Scope> {
  const engine = yield* Processes.start({ args: [Processes.beside(import.meta.url, "runSink.ts")] })
  const { url } = yield* message(engine, Wire.SinkReady)
  const listens = port === undefined ? {} : { port }
  const runners = yield* Runners.start({ runners: number, path, engineUrl: url, oneCore, profile, ...listens })
  return { engine, runners }
})

/** Publishers that have not joined yet; offers and answers pass between them and their runners. */
export const publishers = Effect.fnUntraced(function* (
  { runners }: Stage,
  task: Wire.Task
): Effect.fn.Return<Group, Processes.ProcessError, Scope.Scope> {
  const program = Processes.beside(import.meta.url, "runPublishers.ts")
  const measured = yield* Processes.start({ args: [program, JSON.stringify(task)] })
  yield* message(measured, Wire.PublishersReady)
  measured.child.on("message", (given: object) => {
    if (isOf(given, "Offer")) runners.of(given.speaker)?.child.send(given)
  })
  for (const runner of runners.all) {
    runner.child.on("message", (given: object) => {
      if (isOf(given, "Answer") && given.speaker >= task.first && given.speaker < task.first + task.speakers) {
        measured.child.send(given)
      }
    })
  }
  return { process: measured, task }
})

/** Waits until so many are connected: the service's end of the last handshake may come a little after the publisher's. */
export const present = Effect.fnUntraced(function* ({ runners }: Stage, number: number) {
  const standings = yield* Effect.repeat(runners.look(), {
    schedule: Schedule.spaced(LOOK_AGAIN),
    times: LOOKS,
    until: (all) => Runners.together(all).connected === number
  })
  const { connected } = Runners.together(standings)
  if (connected === number) return standings
  const detail = `${connected} of ${number} publishers are connected:\n${runners.output()}`
  return yield* new Processes.ProcessError({ detail })
})

export const join = ({ process }: Group) => ask(process, Wire.Join.make({}), Wire.Joined)
export const speak = ({ process }: Group) => ask(process, Wire.Speak.make({}), Wire.Speaking)
export const stop = ({ process }: Group) => ask(process, Wire.Stop.make({}), Wire.Sent)
/** Everything that the engine has heard. */
export const heard = ({ engine }: Stage) => ask(engine, {}, Wire.SinkLog)

const isOf = (given: object, tag: string): given is { readonly speaker: number } =>
  "_tag" in given && given._tag === tag && "speaker" in given && typeof given.speaker === "number"
