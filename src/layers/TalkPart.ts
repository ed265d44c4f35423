/**
 * One part of a call, one program: join the room silently, hear those whom the lead names, give it what they say. It never captions.
 */
import { Deferred, Effect, Latch, Redacted, Schedule, type Scope, Stream } from "effect"
import type { RoomToken } from "../domain/Call.ts"
import { defaultLanguage } from "../domain/Language.ts"
import { type Incarnation, outranks, type Rank } from "../domain/Seat.ts"
import { voiceId } from "../domain/Speaker.ts"
import type { Decoder } from "../services/Decoder.ts"
import { Nextcloud } from "../services/Nextcloud.ts"
import type { PeerConnection } from "../services/PeerConnection.ts"
import { Signaling } from "../services/Signaling.ts"
import { SpeechJournal } from "../services/SpeechJournal.ts"
import { Transcriber } from "../services/Transcriber.ts"
import type { CallSink } from "../services/TranscriptSink.ts"
import * as CallIceServers from "./CallIceServers.ts"
import type { PartOrder, RunningPart } from "./CallPart.ts"
import * as CallVoices from "./CallVoices.ts"
import * as LeftParts from "./LeftParts.ts"
import * as PartSpeech from "./PartSpeech.ts"
import * as Subscriptions from "./Subscriptions.ts"

export interface TalkPartOptions {
  readonly incarnation: Incarnation
  /** Counts the parts of the room on this runner. */
  readonly life: number
  /** As of `TalkCall`. */
  readonly screenShares: boolean
  /** Most voices heard here at a time; asked whenever somebody new is to be heard. */
  readonly maxVoices: () => number
  /** Whether a lead still wants it. */
  readonly isLed: () => boolean
}

export type Dependencies = Signaling | Nextcloud | PeerConnection | Decoder | Transcriber

/** As of voices that are captioned where they are heard, and the way to the lead. */
const LAST_WORDS = "12 seconds"
const LED_EVERY = "1 second"

const nobody: Omit<PartOrder, "lead"> & { readonly lead: Rank | undefined } = {
  lead: undefined,
  hears: [],
  isHearing: false,
  turn: 0,
  language: defaultLanguage,
  privacy: "any",
  iceServers: undefined
}

/**
 * Joins the room as one part of its call, for as long as the scope; nobody is heard before the first order. `run` completes when the part
 * is finished, or no lead wants it.
 */
export const make = Effect.fnUntraced(function* (
  room: RoomToken,
  options: TalkPartOptions
): Effect.fn.Return<
  { readonly part: RunningPart; readonly run: Effect.Effect<void> },
  never,
  Dependencies | Scope.Scope
> {
  let order = nobody
  let hears: ReadonlySet<string> = new Set()
  const changed = Latch.makeUnsafe(false)
  // silent for ever: a session without a rank sends no caption
  const session = yield* (yield* Signaling).join(room, () => undefined)
  const journal = yield* (yield* SpeechJournal).open(room)
  const speech = PartSpeech.make({ transcriber: yield* Transcriber, turn: () => order.turn })
  const voices = yield* CallVoices.make({
    room,
    sink: noSink,
    roster: session.roster,
    language: () => order.language,
    privacy: () => order.privacy,
    journal,
    say: speech.say,
    name: LeftParts.nameOf(options.incarnation, options.life)
  })
  const givenIceServers = () => (order.iceServers === undefined ? undefined : Redacted.value(order.iceServers))
  const iceServers = Effect.suspend(() => CallIceServers.of(nextcloud, { room, iceServers: givenIceServers }))
  const nextcloud = yield* Nextcloud
  const subscriptions = yield* Subscriptions.make({
    session,
    iceServers,
    screenShares: options.screenShares,
    isOurs: (key) => hears.has(voiceId(key)),
    maxVoices: options.maxVoices,
    onVoice: voices.start,
    onVoiceEnd: voices.end,
    isSpeaking: voices.isSpeaking
  })
  let followed = nobody
  const finished = Deferred.makeUnsafe<void>()
  const follow = Effect.gen(function* () {
    yield* changed.await
    changed.closeUnsafe()
    const { isHearing, lead, turn } = order
    const isSameLead = lead?.epoch === followed.lead?.epoch && lead?.incarnation === followed.lead?.incarnation
    // it may have ended and begun again since we looked
    const hasEnded = isSameLead && turn !== followed.turn
    followed = order
    if (!isHearing || hasEnded) {
      yield* subscriptions.setHearing(false)
      yield* voices.silence
      speech.silence()
    }
    yield* subscriptions.setHearing(isHearing)
  })
  const unwanted = Effect.repeat(Effect.sync(options.isLed), {
    while: (isLed) => isLed,
    schedule: Schedule.spaced(LED_EVERY)
  })
  yield* Effect.forkScoped(Effect.forever(follow))
  yield* Effect.forkScoped(Stream.runForEach(session.events, subscriptions.handle))
  return {
    run: Effect.asVoid(Effect.raceFirst(Deferred.await(finished), unwanted)),
    part: {
      incarnation: options.incarnation,
      hears: () => order.hears,
      connected: subscriptions.connected,
      order: (next) => {
        if (order.lead !== undefined && outranks(order.lead, next.lead)) return
        order = next
        hears = new Set(next.hears.map(voiceId))
        changed.openUnsafe()
      },
      listen: speech.listen,
      acknowledge: speech.acknowledge,
      finish: Effect.timeoutOption(voices.finish, LAST_WORDS).pipe(
        Effect.andThen(Deferred.succeed(finished, undefined)),
        Effect.asVoid
      )
    }
  }
})

/** What is said here goes to the lead. */
const noSink: CallSink = {
  publish: () => {},
  speakerLeft: () => {},
  resumed: () => {},
  rejoined: () => {},
  drain: Effect.void
}
