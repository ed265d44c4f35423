/**
 * Two processes of the service share two calls on the real stack, while everybody speaks: one is killed, one is told to end.
 */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { Effect, Fiber, type Scope } from "effect"
import { machineMs } from "./HpbClient.ts"
import * as Processes from "./Processes.ts"
import { failure, type ProofError, until } from "./ProofError.ts"
import { saidSince, settle } from "./Reading.ts"
import type { Scenario } from "./Scenario.ts"
import * as Scene from "./Scene.ts"
import * as SharedService from "./SharedService.ts"
import * as Speech from "./Speech.ts"
import * as Viewer from "./Viewer.ts"
import * as WeriftSpeaker from "./WeriftSpeaker.ts"

const OTHER_ROOM = "otherroom"
/** Everybody says each word once, and speaks for a minute. */
const VOCABULARIES_EACH = 4
/** What was on its way through the network when a process died is lost with it. */
const EDGE_MS = 150
/** The promise is three seconds where nothing else wants the processors. */
const AGAIN_MS = 6000
/** Six seconds of it are the lease of a process that led. */
const SHARED_MS = 40_000

interface Room {
  readonly token: string
  readonly viewers: ReadonlyArray<Viewer.Viewer>
  readonly speakers: ReadonlyArray<WeriftSpeaker.Speaker>
}

/** People in a call, who have asked for captions. `first` is the place of its first speaker among all. */
const fill = (
  { service, stack }: Scene.Scene,
  token: string,
  who: { readonly read: ReadonlyArray<string>; readonly speak: ReadonlyArray<string>; readonly first: number }
): Effect.Effect<Room, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const { ledger, nextcloud } = stack
    const viewers = yield* Effect.forEach(who.read, (name) => Viewer.make({ nextcloud, room: token, name }))
    const speakers = yield* Effect.forEach(who.speak, (name, i) => {
      const number = (who.first + i) * VOCABULARIES_EACH
      const words = Array.from({ length: VOCABULARIES_EACH }, (_, n) => Speech.vocabularyOf(number + n)).flat()
      return WeriftSpeaker.make({ nextcloud, ledger, room: token, name, number, words })
    })
    for (const { name, ncSession } of viewers) {
      yield* service.transcribe({ roomToken: token, ncSessionId: ncSession, enable: true }, name)
    }
    return { token, viewers, speakers }
  })

/** Asks until there is an answer; gives it, and the ms that took. */
const eventually = <A>(what: string, ask: Effect.Effect<A | undefined, ProofError>, millis: number) =>
  Effect.suspend(() => {
    const started = performance.now()
    return ask.pipe(
      Effect.orElseSucceed(() => undefined),
      Effect.delay("50 millis"),
      Effect.repeat({ until: (found) => found !== undefined || performance.now() - started > millis }),
      Effect.flatMap((found) =>
        found === undefined
          ? Effect.fail(failure(`${what}: not within ${millis} ms`))
          : Effect.succeed({ found, millis: performance.now() - started })
      )
    )
  })

/** The seats of both calls, when they are of two processes that live. */
const sharedSeats = (shared: SharedService.SharedService) =>
  Effect.gen(function* () {
    const [one, other] = [yield* shared.seatOf(Scene.ROOM), yield* shared.seatOf(OTHER_ROOM)]
    if (one === undefined || other === undefined) return undefined
    const pids = [yield* shared.pidOf(one), yield* shared.pidOf(other)] as const
    return pids[0] === pids[1] ? undefined : { one, pids }
  })

/** Whoever is asked says the same of both calls: as many people as there are. */
const isOneView = (shared: SharedService.SharedService, rooms: ReadonlyArray<Room>) => {
  const count = (of: (room: Room) => ReadonlyArray<unknown>) => rooms.reduce((sum, room) => sum + of(room).length, 0)
  const [speakers, viewers] = [count((room) => room.speakers), count((room) => room.viewers)]
  return Effect.map(
    shared.told,
    (all) =>
      all.every((told) => told.rooms === rooms.length && told.speakers === speakers && told.viewers === viewers) ||
      undefined
  )
}

/**
 * What nobody could hear of a speaker after a process was killed: the first words after that which nobody has read, one after another, but none
 * that was said later than the promise allows. What was heard before has a journal.
 */
const unheard = (scene: Scene.Scene, room: Room, speaker: string, killedMs: number): ReadonlySet<string> => {
  const after = saidSince(scene.stack.ledger, killedMs - EDGE_MS, speaker)
  const isRead = ({ word }: { readonly word: string }) => room.viewers.some(({ firstSeen }) => firstSeen.has(word))
  const missing = after.slice(
    Math.max(
      0,
      after.findIndex((said) => !isRead(said))
    )
  )
  const until_ = missing.findIndex(isRead)
  return new Set(
    missing
      .slice(0, until_ === -1 ? undefined : until_)
      .filter(({ atMs = 0 }) => atMs < killedMs + AGAIN_MS)
      .map(({ word }) => word)
  )
}

/** The first word said after `sinceMs` that somebody reads: when it was said, and when it was read, ms after that. */
const readAfter = (scene: Scene.Scene, { speakers, viewers }: Room, sinceMs: number) => {
  const names = speakers.map(({ name }) => name)
  const seen = saidSince(scene.stack.ledger, sinceMs + EDGE_MS, ...names).flatMap(({ atMs = 0, word }) => {
    const readMs = Math.min(...viewers.map(({ firstSeen }) => firstSeen.get(word) ?? Number.POSITIVE_INFINITY))
    return readMs === Number.POSITIVE_INFINITY ? [] : [{ saidMs: atMs - sinceMs, readMs: readMs - sinceMs }]
  })
  return seen[0]
}

/** How long the slowest word of a call was on its way from mouth to page, of those said in these ms. */
const slowest = (scene: Scene.Scene, { speakers, viewers }: Room, fromMs: number, untilMs: number) => {
  const words = saidSince(scene.stack.ledger, fromMs, ...speakers.map(({ name }) => name))
  return Math.max(
    0,
    ...words.flatMap(({ atMs = 0, word }) =>
      atMs > untilMs ? [] : viewers.map(({ firstSeen }) => (firstSeen.get(word) ?? atMs) - atMs)
    )
  )
}

const run: Scenario["run"] = (corner) =>
  Effect.gen(function* () {
    const storage = join(corner.bench.artefacts, corner.name, "storage")
    mkdirSync(storage, { recursive: true })
    const scene = yield* Scene.make(corner, { env: SharedService.environment(storage, 2) })
    const { ledger } = scene.stack
    yield* Processes.says(scene.service.process, "a runner takes its share", 20_000)
    const shared = yield* SharedService.observe(storage, scene.service.process.pid)
    const one = yield* fill(scene, Scene.ROOM, { read: ["vera", "vic"], speak: ["ann", "bob"], first: 0 })
    const other = yield* fill(scene, OTHER_ROOM, { read: ["wim"], speak: ["cyd"], first: 2 })
    const rooms = [one, other]
    yield* eventually("two processes share the calls", sharedSeats(shared), SHARED_MS)
    yield* eventually("one view of both calls", isOneView(shared, rooms), 10_000)

    const fromMs = machineMs()
    let isOver = false
    const talking = yield* Effect.forkScoped(
      Effect.forEach(
        rooms.flatMap(({ speakers }) => speakers),
        (speaker, i) =>
          speaker.say(4 + i).pipe(Effect.andThen(Effect.sleep("700 millis")), Effect.repeat({ until: () => isOver })),
        { concurrency: "unbounded" }
      )
    )
    yield* Effect.sleep("3 seconds")

    const before = yield* eventually("two processes share the calls", sharedSeats(shared), SHARED_MS)
    const killedMs = machineMs()
    process.kill(before.found.pids[0], "SIGKILL")
    yield* until("a caption after the kill", () => readAfter(scene, one, killedMs), 20_000)
    const again = yield* eventually("two processes share the calls again", sharedSeats(shared), SHARED_MS)
    const sharedAgainMs = machineMs() - killedMs
    yield* eventually("one view after the kill", isOneView(shared, rooms), 10_000)
    yield* Effect.sleep("2 seconds")

    const giving = (yield* shared.seatOf(one.token)) ?? again.found.one
    const toldMs = machineMs()
    process.kill(yield* shared.pidOf(giving), "SIGTERM")
    const taken = yield* eventually(
      "the call goes to another process",
      Effect.map(shared.seatOf(one.token), (seat) => (seat?.incarnation !== giving.incarnation ? seat : undefined)),
      10_000
    )
    yield* Effect.sleep("3 seconds")
    isOver = true
    yield* Fiber.join(talking)

    const names = (room: Room) => room.speakers.map(({ name }) => name)
    const missed = names(one).map((name) => unheard(scene, one, name, killedMs))
    const mustBeRead = (room: Room) => () =>
      saidSince(ledger, fromMs, ...names(room)).filter(
        ({ word }) => room !== one || !missed.some((words) => words.has(word))
      )
    const verdicts = yield* Effect.forEach(
      rooms.flatMap((room) => room.viewers.map((viewer) => ({ room, viewer }))),
      ({ room, viewer }) => settle(ledger, viewer, mustBeRead(room)),
      { concurrency: "unbounded" }
    )
    yield* eventually("one view in the end", isOneView(shared, rooms), 10_000)
    const heard = readAfter(scene, one, killedMs) ?? { saidMs: Number.NaN, readMs: Number.NaN }
    return {
      verdicts,
      faults: heard.readMs > AGAIN_MS ? [`captions again ${Math.round(heard.readMs)} ms after the kill`] : [],
      figures: {
        "heard again after s": heard.saidMs / 1000,
        "captions again after s": heard.readMs / 1000,
        "words nobody could hear": missed.reduce((sum, words) => sum + words.size, 0),
        "slowest word elsewhere s": slowest(scene, other, killedMs - 1000, killedMs + 4000) / 1000,
        "shared again after s": sharedAgainMs / 1000,
        "seat given after s": taken.millis / 1000,
        "slowest word of the call that moved s": slowest(scene, one, toldMs - 1000, toldMs + 3000) / 1000
      }
    }
  })

export const runnersShare: Scenario = {
  name: "runners-share",
  about: "two processes share two calls: one is killed and one told to end while everybody speaks",
  generation: "2",
  when: "always",
  run
}
