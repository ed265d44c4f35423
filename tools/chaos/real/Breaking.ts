/**
 * Breaking: carries a fault out on a stage, and undoes it.
 */
import { Effect } from "effect"
import { machineMs } from "../../../test/talk/HpbClient.ts"
import { attempt, failure, type ProofError } from "../../../test/talk/ProofError.ts"
import type { Engine } from "./Engine.ts"
import type { Fault } from "./Faults.ts"
import type { Stage } from "./Stage.ts"

/** A fault as it was; ms since 1970. */
export interface Happened {
  readonly fault: Fault
  readonly startMs: number
  /** When it was undone, as far as that is ours: people have published again, the process answers. */
  readonly endMs: number
  /** What it showed by itself, in ms where nothing else is said. */
  readonly figures: Readonly<Record<string, number>>
  readonly trouble?: string
}

const ENGINE_LATE_MS = 1200
const HPB_LATE_MS = 700
/** Captions that nobody asks for again must come within this after the service is ready. */
const PATIENCE = "15 seconds"

type Figures = Readonly<Record<string, number>>

const nonsense = ['{"type":"tok', '{"type":"weather","text":"mild"}', '{"type":"token","text":{"a":1}}', "Bad Gateway"]

const outOfReach = ({ door }: Engine, forMs: number) =>
  Effect.sync(() => {
    door.refuse(true)
    door.cut()
  }).pipe(Effect.andThen(Effect.sleep(forMs)), Effect.ensuring(Effect.sync(() => door.refuse(false))))

/** Captions come again without anybody asking; if not, they are asked for, and that is a figure. */
const comesBack = (stage: Stage) =>
  Effect.gen(function* () {
    const before = stage.received()
    const came = yield* Effect.sync(stage.received).pipe(
      Effect.delay("100 millis"),
      Effect.repeat({ until: (now) => now > before }),
      Effect.timeoutOption(PATIENCE)
    )
    if (came._tag === "Some") return { "had to ask": 0 }
    yield* stage.press
    return { "had to ask": 1 }
  })

/** How often the process ends with what, and how long that takes. */
const restartService = (stage: Stage, signal: "SIGTERM" | "SIGKILL", downMs: number) =>
  Effect.gen(function* () {
    const { service } = stage
    const ending = service.current()
    const startMs = machineMs()
    yield* service.stop(signal)
    const endedMs = machineMs() - startMs
    yield* Effect.sleep(downMs)
    const startedMs = machineMs()
    yield* service.start
    const readyMs = machineMs()
    const ended = signal === "SIGTERM" ? { "ended after": endedMs, "exit code": ending.exitCode() ?? -1 } : {}
    return { endMs: readyMs, figures: { ...ended, "ready after": readyMs - startedMs } }
  })

/** Its supervisor starts another. */
const endRunner = ({ service }: Stage, signal: "SIGTERM" | "SIGKILL") =>
  Effect.suspend(() => {
    const pid = service.hearing()
    if (pid === undefined) return Effect.fail(failure("none of its processes hears anybody"))
    return over(attempt("signal", async () => process.kill(pid, signal)))
  })

const nothing: Figures = {}
const over = <E>(act: Effect.Effect<unknown, E>) => Effect.map(act, () => ({ endMs: machineMs(), figures: nothing }))
/** Broken for a while, by a switch. */
const during = (forMs: number, set: (on: boolean) => void) =>
  Effect.sync(() => set(true)).pipe(Effect.andThen(Effect.sleep(forMs)), Effect.ensuring(Effect.sync(() => set(false))))

const act = (
  stage: Stage,
  fault: Fault
): Effect.Effect<{ readonly endMs: number; readonly figures: Figures }, ProofError> => {
  const { forMs } = fault
  const { hpb, engines } = stage
  const engine = engines[fault.engine]
  const mouth = stage.mouths[fault.voice % stage.mouths.length]
  switch (fault.kind) {
    case "engine-cut":
      return over(Effect.sync(engine.door.cut))
    case "engine-close":
      return over(Effect.sync(() => engine.door.inject({ close: 1000 })))
    case "engine-kill":
      return over(
        engine.process.stop("SIGKILL").pipe(Effect.andThen(Effect.sleep(forMs)), Effect.andThen(engine.process.start))
      )
    case "engine-refuse":
      return over(outOfReach(engine, forMs))
    case "engine-stop":
      return over(during(forMs, (on) => engine.process.current().signal(on ? "SIGSTOP" : "SIGCONT")))
    case "session-stall":
      return over(engines.primary.stallSessions)
    case "engine-half-open":
      return over(Effect.sync(engine.door.halfOpen))
    case "engine-slow":
      return over(during(forMs, (on) => engine.door.slow(on ? ENGINE_LATE_MS : 0)))
    case "engine-corrupt":
      return over(Effect.sync(engine.door.corrupt))
    case "engine-garbage":
      return over(Effect.sync(() => nonsense.forEach(engine.door.inject)))
    case "engines-out":
      return over(
        Effect.all([outOfReach(engines.primary, forMs), outOfReach(engines.cover, forMs)], { concurrency: 2 })
      )
    case "hpb-cut":
      return over(Effect.sync(hpb.cut))
    case "hpb-refuse":
    case "hpb-gone":
      return over(
        during(forMs, (on) => {
          hpb.refuse(on)
          if (on) hpb.cut()
        })
      )
    case "hpb-stall":
      return over(during(forMs, hpb.stall))
    case "hpb-half-open":
      return over(Effect.sync(hpb.halfOpen))
    case "hpb-slow":
      return over(during(forMs, (on) => hpb.slow(on ? HPB_LATE_MS : 0)))
    case "hpb-restart":
      return Effect.map(stage.restartHpb(forMs), ({ answersMs, publishedMs }) => ({
        endMs: publishedMs,
        figures: { answersMs }
      }))
    case "janus-restart":
      return Effect.map(stage.restartJanus(forMs), ({ publishedMs }) => ({ endMs: publishedMs, figures: nothing }))
    case "republish":
      return over(mouth?.republish ?? Effect.void)
    case "audio-late":
    case "audio-twice":
      return over(
        during(forMs, (on) => {
          const air = fault.kind === "audio-late" ? "late" : "twice"
          if (mouth !== undefined) stage.setAir(mouth.voice, on ? air : "good")
        })
      )
    case "service-term":
      return restartService(stage, "SIGTERM", forMs)
    case "service-kill":
      return restartService(stage, "SIGKILL", forMs)
    case "runner-term":
      return endRunner(stage, "SIGTERM")
    case "runner-kill":
      return endRunner(stage, "SIGKILL")
  }
}

/** Never fails: what could not be done is told as trouble. */
export const perform = (stage: Stage, fault: Fault): Effect.Effect<Happened> =>
  Effect.gen(function* () {
    const startMs = machineMs()
    const { endMs, figures } = yield* act(stage, fault)
    const restarted = fault.kind.startsWith("service-") ? yield* comesBack(stage) : {}
    return { fault, startMs, endMs, figures: { ...figures, ...restarted } }
  }).pipe((acted) => {
    const startMs = machineMs()
    return Effect.catch(acted, (error: ProofError) =>
      Effect.succeed<Happened>({ fault, startMs, endMs: machineMs(), figures: {}, trouble: error.message })
    )
  })
