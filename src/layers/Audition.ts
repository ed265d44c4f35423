/**
 * Audition: a second session hears again what the first one may have missed. Only words tell a dead engine from a silent room.
 */
import { Deferred, Effect, Exit, Option, Scope } from "effect"
import type { SpeechEvent } from "../domain/Speech.ts"
import * as CatchUp from "./CatchUp.ts"
import * as EngineLink from "./EngineLink.ts"
import type { Chosen } from "./EnginePool.ts"
import type { LostAudio } from "./FrameBacklog.ts"
import type { SegmentCutter } from "./SegmentCutter.ts"
import type { VoiceLine } from "./VoiceLine.ts"

/** A second session that knows more than the first. */
export interface Relief {
  readonly link: EngineLink.EngineLink
  /** All it has said. */
  readonly said: ReadonlyArray<SpeechEvent>
  /** What it could not hear any more. */
  readonly lost: LostAudio | undefined
}

export interface AuditionOptions extends EngineLink.LinkOptions {
  readonly line: VoiceLine
  readonly cutter: SegmentCutter
  readonly chosen: Chosen
  readonly utterances: boolean
  /** Where the second session lives on if it is needed. */
  readonly scope: Scope.Scope
  /** The first session has said something meanwhile. */
  readonly isOver: () => boolean
}

/** `heardTo` (samples): up to there the second session heard no word either. `undefined`: nobody could be asked, or the first one spoke. */
export type Verdict = Relief | { readonly heardTo: number } | undefined

/** Everything was sent and nothing came: an engine's delay, and the time of a flush, are behind us by then. */
const QUIET_MS = 2_500
const LOOK_AGAIN = "100 millis"
/** Words of some minutes; an engine that says more in an audition has something to say. */
const MOST_EVENTS = 2_000

/**
 * Opens the session, replays the voice to it from the mark on, and goes on with what is said. `Relief` as soon as it says a word that is not
 * known; it is then the caller's, with the tapped backlog. Else nothing is left of it: what was heard twice without a word up to the position
 * that is given had none.
 */
export const run = Effect.fnUntraced(function* (options: AuditionOptions): Effect.fn.Return<Verdict> {
  const opened = yield* EngineLink.open(options.chosen, options).pipe(Scope.provide(options.scope), Effect.option)
  if (Option.isNone(opened)) return undefined
  const link = opened.value
  return yield* Effect.onExit(hear(link, options), (exit) => {
    if (Exit.isSuccess(exit) && exit.value !== undefined && "link" in exit.value) return Effect.void
    options.line.untap()
    return link.close()
  })
})

const hear = Effect.fnUntraced(function* (
  second: EngineLink.EngineLink,
  { cutter, isOver, line, now, utterances }: AuditionOptions
): Effect.fn.Return<Verdict> {
  const backlog = line.tap()
  const said: Array<SpeechEvent> = []
  const found = yield* Deferred.make<"Words">()
  let lost: LostAudio | undefined
  let rehearsal = cutter.rehearse(false)
  const onLost = Effect.sync(() => {
    const more = backlog.lost()
    if (more === undefined) return
    lost = { position: lost?.position ?? more.position, samples: (lost?.samples ?? 0) + more.samples }
    if (said.length === 0) rehearsal = cutter.rehearse(true)
  })
  second.attend({
    onEvent: (event) => {
      said.push(event)
      if (isOver()) return undefined
      if (rehearsal.take(event, now()).length > 0 || said.length > MOST_EVENTS) {
        Deferred.doneUnsafe(found, Effect.succeed("Words"))
      }
      return undefined
    },
    onFlushed: () => {},
    onBroken: () => {}
  })
  const hearAll = Effect.gen(function* () {
    yield* CatchUp.run({ link: second, backlog, utterances, onLost })
    const heardTo = backlog.sentTo()
    const untilMs = now() + QUIET_MS
    while (now() < untilMs && !isOver() && second.feed.flushedTo() < heardTo) {
      yield* Effect.sleep(LOOK_AGAIN)
      yield* CatchUp.run({ link: second, backlog, utterances, onLost })
    }
    return { heardTo: second.hasHeard(heardTo) ? heardTo : 0 }
  })
  const verdict = yield* Effect.raceAllFirst([
    Deferred.await(found),
    hearAll,
    Effect.orElseSucceed(second.ended, () => "Lost" as const)
  ])
  if (verdict === "Words" && !isOver()) return { link: second, said, lost }
  return typeof verdict === "string" || isOver() ? undefined : verdict
})
