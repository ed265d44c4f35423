/**
 * One part of a call, one program: join the room silently, hear those whom the lead names, give it what they say. It never captions.
 */
import { Deferred, Effect, Latch, Redacted, Schedule, type Scope, Stream } from "effect"
import type { RoomToken } from "../domain/Call.ts"
import type * as HandOver from "../domain/HandOver.ts"
import { defaultLanguage } from "../domain/Language.ts"
import { type Incarnation, outranks, type Rank } from "../domain/Seat.ts"
import { type VoiceKey, voiceId } from "../domain/Speaker.ts"
import type { Decoder } from "../services/Decoder.ts"
import { Nextcloud } from "../services/Nextcloud.ts"
import type { PeerConnection } from "../services/PeerConnection.ts"
import { Signaling } from "../services/Signaling.ts"
import { SpeechJournal } from "../services/SpeechJournal.ts"
import { Transcriber } from "../services/Transcriber.ts"
import type { CallSink } from "../services/TranscriptSink.ts"
import * as CallHandOver from "./CallHandOver.ts"
import * as CallIceServers from "./CallIceServers.ts"
import type { PartOrder, RunningPart } from "./CallPart.ts"
import * as CallVoices from "./CallVoices.ts"
import * as LeftParts from "./LeftParts.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as PartSpeech from "./PartSpeech.ts"
import * as Subscriptions from "./Subscriptions.ts"
import * as VoiceGiven from "./VoiceGiven.ts"

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
/** What came while the process stood still is heard by then. */
const CAUGHT_UP = "30 millis"

const nobody: Omit<PartOrder, "lead"> & { readonly lead: Rank | undefined } = {
  lead: undefined,
  hears: [],
  keeps: [],
  moved: [],
  isHearing: false,
  turn: 0,
  language: defaultLanguage,
  privacy: "any",
  iceServers: undefined
}

/**
 * Joins the room as one part of its call, for as long as the scope; nobody is heard before the first order. `run` completes when the part
 * is finished, or no lead wants it. `isNeeded`: it hears somebody for somebody who reads.
 */
export const make = Effect.fnUntraced(function* (
  room: RoomToken,
  options: TalkPartOptions
): Effect.fn.Return<
  { readonly part: RunningPart; readonly run: Effect.Effect<void>; readonly isNeeded: () => boolean },
  never,
  Dependencies | Scope.Scope
> {
  const now = yield* monotonicMs
  let order = nobody
  let hears: ReadonlySet<string> = new Set()
  let keeps: ReadonlySet<string> = new Set()
  /** Kept for a lead that is no more: they may go on here by now, without that it has told whoever hears them. */
  const undone = new Set<string>()
  const isOurs = (key: VoiceKey) => hears.has(voiceId(key)) && !undone.has(voiceId(key))
  const isKept = (key: VoiceKey) => keeps.has(voiceId(key))
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
    isOurs,
    // who is only kept is counted where it is heard
    maxVoices: () => options.maxVoices() + order.keeps.length,
    onVoice: voices.start,
    onVoiceEnd: voices.end,
    isSpeaking: voices.isSpeaking
  })
  let followed = nobody
  /** As it was when all voices ended: what is said since is no longer here, but where it ends is. */
  let last: ReadonlyArray<HandOver.LeftVoice> | undefined
  const finished = Deferred.makeUnsafe<void>()
  const makeHeir = () => CallHandOver.heir({ voices, heard: subscriptions.heard, now })
  let heir = makeHeir()
  const undo = Effect.gen(function* () {
    heir = makeHeir()
    const begun = voices.given().filter(({ isOver, key }) => !isOver && undone.has(voiceId(key)))
    for (const { id } of begun) yield* voices.drop(id)
    yield* subscriptions.lookAgain
    undone.clear()
  })
  const follow = Effect.gen(function* () {
    yield* changed.await
    changed.closeUnsafe()
    if (undone.size > 0) yield* undo
    const { isHearing, lead, moved, turn } = order
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
    yield* Effect.forEach(moved, voices.drop, { discard: true })
  })
  const unwanted = Effect.repeat(Effect.sync(options.isLed), {
    while: (isLed) => isLed,
    schedule: Schedule.spaced(LED_EVERY)
  })
  yield* Effect.forkScoped(Effect.forever(follow))
  yield* Effect.forkScoped(Stream.runForEach(session.events, subscriptions.handle))
  return {
    isNeeded: () => order.isHearing && order.hears.length > 0,
    run: Effect.asVoid(Effect.raceFirst(Deferred.await(finished), unwanted)),
    part: {
      incarnation: options.incarnation,
      hears: () => without(order.hears, order.keeps),
      connected: () => subscriptions.connected() - order.keeps.filter(subscriptions.heard).length,
      order: (next) => {
        if (order.lead !== undefined && outranks(order.lead, next.lead)) return
        // whoever is still heard elsewhere goes on there, and is kept here anew or not at all
        if (order.lead !== undefined && outranks(next.lead, order.lead)) {
          const alone = without(next.hears, next.keeps)
          for (const key of without(order.keeps, alone)) undone.add(voiceId(key))
        }
        order = next
        hears = new Set(next.hears.map(voiceId))
        keeps = new Set(next.keeps.map(voiceId))
        voices.keep(isKept, (key) => order.isHearing && isOurs(key))
        changed.openUnsafe()
      },
      listen: speech.listen,
      acknowledge: speech.acknowledge,
      kept: (wanted) => heir.kept(wanted),
      take: (left) => heir.take(left),
      given: (wanted) =>
        Effect.gen(function* () {
          yield* Effect.sleep(CAUGHT_UP)
          const asked = new Set(wanted.map(voiceId))
          const all = (last ?? voices.given()).filter(({ isOver, key }) => !isOver && asked.has(voiceId(key)))
          return VoiceGiven.within(all).voices
        }),
      finish: Effect.suspend(() => {
        last ??= voices.given()
        return Effect.timeoutOption(Effect.andThen(subscriptions.catchUp, voices.finish), LAST_WORDS)
      }).pipe(Effect.andThen(Deferred.succeed(finished, undefined)), Effect.asVoid)
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

const without = (voices: ReadonlyArray<VoiceKey>, others: ReadonlyArray<VoiceKey>): ReadonlyArray<VoiceKey> => {
  const ids = new Set(others.map(voiceId))
  return voices.filter((key) => !ids.has(voiceId(key)))
}
