/**
 * What scenarios do with what was read: wait for words, judge pages, name what is left behind.
 */
import { Effect, Schedule } from "effect"
import { judge, type Shown, type Verdict } from "./Judge.ts"
import type { Ledger, SaidWord } from "./Ledger.ts"
import { attempt, type ProofError, until } from "./ProofError.ts"
import type { Scene } from "./Scene.ts"
import type { Viewer } from "./Viewer.ts"

/** Words of `speakers` (all if none is named) said since `fromMs`. */
export const saidSince = (
  ledger: Ledger,
  fromMs: number,
  ...speakers: ReadonlyArray<string>
): ReadonlyArray<SaidWord> =>
  ledger.said.filter(
    ({ atMs, speaker }) => (atMs ?? 0) >= fromMs && (speakers.length === 0 || speakers.includes(speaker))
  )

export const shownTo = ({ name, overlay }: Viewer): Shown => ({
  reader: name,
  blocks: overlay.blocks.map((block) => ({ speaker: block.speaker, text: overlay.textOf(block) })),
  rewrites: overlay.rewrites
})

/** Waits until everything expected was read, at most so long, and a second more for what should not come; then judges. */
export const settle = (
  ledger: Ledger,
  viewer: Viewer,
  expected: () => ReadonlyArray<SaidWord>,
  millis = 6000
): Effect.Effect<Verdict> =>
  until("all words", () => expected().every(({ word }) => viewer.firstSeen.has(word)), millis).pipe(
    Effect.ignore,
    Effect.andThen(Effect.sleep("1 second")),
    Effect.andThen(Effect.sync(() => judge(shownTo(viewer), ledger, expected())))
  )

/** Waits until a word which is said after now is read; gives how long that took. */
export const readsAgain = (viewer: Viewer, speaker: string, millis = 30_000): Effect.Effect<number, ProofError> =>
  Effect.suspend(() => {
    const started = performance.now()
    const before = viewer.received.length
    return until(
      `${viewer.name} to read ${speaker} again`,
      () => viewer.received.length > before && performance.now() - started,
      millis
    )
  })

/** What of us is left: in the room, at the engine, in the service's own books, and of sockets. */
const remains = ({ engine, service, stack }: Scene, viewer: Viewer | undefined) =>
  Effect.gen(function* () {
    const { active } = yield* engine.counters
    const { rooms, speakers } = yield* service.status
    const count = (what: string, number: number) => (number === 0 ? [] : [`${number} ${what}`])
    return [
      ...count("internal session(s) still in the room", viewer?.bots().length ?? 0),
      ...count("connection(s) to the HPB still open", stack.door.open()),
      ...count("engine session(s) still open", active),
      ...count("room(s) in the service's status", rooms),
      ...count("speaker(s) in the service's status", speakers),
      ...count("UDP socket(s) still open", service.descriptors().udp)
    ]
  })

/** Waits until nothing of us is left behind; says what is, if it takes longer. */
export const isGone = (
  scene: Scene,
  viewer: Viewer | undefined,
  millis: number
): Effect.Effect<ReadonlyArray<string>, ProofError> => {
  const started = performance.now()
  return remains(scene, viewer).pipe(
    Effect.repeat({
      until: (left) => left.length === 0 || performance.now() - started > millis,
      schedule: Schedule.spaced("100 millis")
    })
  )
}

/** Waits until the engine has `count` sessions. */
export const engineSessions = (scene: Scene, count: number, millis: number): Effect.Effect<void, ProofError> =>
  scene.engine.counters.pipe(
    Effect.delay("100 millis"),
    Effect.repeat({ until: ({ active }) => active === count }),
    Effect.timeout(millis),
    Effect.matchEffect({
      onSuccess: () => Effect.void,
      onFailure: () =>
        Effect.flatMap(scene.engine.counters, ({ active }) =>
          attempt("engine sessions", () =>
            Promise.reject(new Error(`${active} instead of ${count} after ${millis} ms`))
          )
        )
    })
  )
