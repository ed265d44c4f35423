/**
 * One call, one program: join the room, hear those who speak for as long as somebody reads, deliver captions, leave when nobody needs it.
 */
import { Deferred, Effect, FiberSet, Queue, type Scope, Stream } from "effect"
import type { RoomToken } from "../domain/Call.ts"
import type { Privacy } from "../domain/Privacy.ts"
import { emptyRoster, leftBetween, type Roster } from "../domain/Roster.ts"
import type { VoiceKey } from "../domain/Speaker.ts"
import type { Decoder } from "../services/Decoder.ts"
import { Nextcloud } from "../services/Nextcloud.ts"
import type { PeerConnection } from "../services/PeerConnection.ts"
import { Signaling, type SignalingEvent, type SignalingSession } from "../services/Signaling.ts"
import { SpeechJournal } from "../services/SpeechJournal.ts"
import { Transcriber } from "../services/Transcriber.ts"
import { type CallSink, TranscriptSink } from "../services/TranscriptSink.ts"
import * as CallDivision from "./CallDivision.ts"
import * as CallHandOver from "./CallHandOver.ts"
import * as CallIceServers from "./CallIceServers.ts"
import type { CallIntents } from "./CallIntents.ts"
import type { CallParts } from "./CallPart.ts"
import * as CallPresence from "./CallPresence.ts"
import * as CallPrivacy from "./CallPrivacy.ts"
import type { CallSeat, TakeOver } from "./CallSeat.ts"
import * as CallState from "./CallState.ts"
import * as CallVoices from "./CallVoices.ts"
import * as EngineAdvice from "./EngineAdvice.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as RemoteVoices from "./RemoteVoices.ts"
import * as Subscriptions from "./Subscriptions.ts"

export interface TalkCallOptions {
  /** Whether the system audio of shared screens is captioned too. */
  readonly screenShares: boolean
  /** Most voices heard at a time, over all calls. */
  readonly maxVoices: number
  readonly presence: CallPresence.PresenceLimits
  /** Rooms whose voices are never heard by an engine off this machine. */
  readonly localOnlyRooms: ReadonlyArray<RoomToken>
  /** Voices of one call that one runner hears, where others can; see `domain/CallParts`. */
  readonly voicesOfPart?: number
}

export const defaultOptions: TalkCallOptions = {
  screenShares: false,
  maxVoices: 200,
  presence: CallPresence.defaultLimits,
  localOnlyRooms: []
}

/** How others see a call that runs. */
export type ReadStatus = CallState.ReadStatus

/** What a call shares with the others. */
export interface Surroundings {
  readonly report: (read: ReadStatus) => void
  /** Voices heard in other calls. */
  readonly heardElsewhere: () => number
  /** Where several runners share the calls. */
  readonly seat?: CallSeat
  /** With a seat: who else may hear voices of this call. */
  readonly parts?: CallParts
}

export type Dependencies = Signaling | TranscriptSink | Nextcloud | PeerConnection | Decoder | Transcriber

/**
 * Prepares the program of a call. Running it joins the room; it returns when the call is over or nobody has needed it for the grace
 * period. Intents it finds outdated are removed; the caller looks at the intents again before it forgets the room. When it ends or is
 * interrupted, what was said is still transcribed and delivered (bounded by a few seconds), then the room is left with a bye. A call that
 * another runner has, or takes, is left at once, without another word.
 */
export const make = Effect.fnUntraced(function* (options: TalkCallOptions) {
  const context = yield* Effect.context<Dependencies>()
  return (intents: CallIntents, surroundings: Surroundings): Effect.Effect<void> =>
    run(options, intents, surroundings).pipe(
      Effect.scoped,
      Effect.annotateLogs({ room: intents.room }),
      Effect.provideContext(context)
    )
})

const run = Effect.fnUntraced(function* (
  options: TalkCallOptions,
  intents: CallIntents,
  { heardElsewhere, parts, report, seat }: Surroundings
): Effect.fn.Return<void, never, Dependencies | Scope.Scope> {
  const privacy = CallPrivacy.make(options.localOnlyRooms, intents)
  // People need seconds until they speak, an engine that sleeps a minute until it hears them.
  const transcriber = yield* Transcriber
  yield* transcriber.prepare({ language: intents.language, privacy: privacy() })
  if (transcriber.trouble?.({ language: intents.language, privacy: privacy() }) === "NotAllowed") {
    yield* Effect.logWarning(EngineAdvice.make("NotAllowed"))
  }
  const { takeOver } = seat ?? {}
  let isSilent = takeOver !== undefined
  const rank = seat === undefined ? undefined : () => (isSilent ? undefined : seat.rank)
  const session = yield* (yield* Signaling).join(intents.room, rank)
  const journals = yield* SpeechJournal
  const journal = yield* journals.open(intents.room)
  const findLeft = journals.find?.(intents.room, seat?.before) ?? Effect.void
  if (!isSilent) yield* findLeft
  const sink = yield* (yield* TranscriptSink).open({ session, intents: intents.list, onUnsaid: journal.unsaid })
  const { language, room } = intents
  const speech = { room, sink, roster: session.roster, language, journal }
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const now = yield* monotonicMs
  const toldBefore = (key: VoiceKey): Effect.Effect<void> => voices.toldBefore(key)
  const remote = parts === undefined ? undefined : RemoteVoices.make({ ...speech, now, fork, toldBefore })
  const elsewhere = remote === undefined ? {} : { elsewhere: remote }
  const voices: CallVoices.CallVoices = yield* CallVoices.make({ ...speech, ...elsewhere, privacy, keeps: isSilent })
  const division =
    parts === undefined || remote === undefined || seat === undefined
      ? undefined
      : yield* CallDivision.make({
          ...(options.voicesOfPart === undefined ? {} : { most: options.voicesOfPart }),
          ...{ room, seat, parts, remote, language, privacy, iceServers: intents.iceServers },
          findLeft: (part) => journals.leftBy?.(room, part) ?? Effect.succeed([]),
          own: CallHandOver.heir({ voices, heard: (key): boolean => subscriptions.heard(key), now }),
          ...{ keep: voices.keep, retell: voices.retell },
          onChange: Effect.suspend((): Effect.Effect<void> => subscriptions.lookAgain)
        })
  const subscriptions = yield* Subscriptions.make({
    session,
    iceServers: CallIceServers.of(yield* Nextcloud, intents),
    screenShares: options.screenShares,
    maxVoices: () => options.maxVoices - heardElsewhere() - (division?.connected() ?? 0),
    ...(division === undefined ? {} : { isOurs: division.isOurs }),
    onVoice: voices.start,
    onVoiceEnd: voices.end,
    isSpeaking: voices.isSpeaking
  })
  // The first finalizer to run: everything it needs is still open.
  yield* Effect.addFinalizer(() =>
    isSilent || session.fence?.outranked() !== undefined
      ? Effect.logInfo("leaving the room to another runner")
      : subscriptions.catchUp.pipe(
          Effect.andThen(Effect.all([voices.finish, division?.finish ?? Effect.void], { concurrency: 2 })),
          Effect.andThen(sink.drain),
          Effect.andThen(Effect.logInfo("leaving the room"))
        )
  )
  report(CallState.statusOf({ session, intents, voices, subscriptions, division }))

  const heard = { under: privacy() }
  const stays = yield* Deferred.make<Input>()
  const take = Effect.fnUntraced(function* ({ ask }: TakeOver) {
    const connected = () => subscriptions.connected() + (division?.connected() ?? 0)
    const { answer, stoppedMs } = yield* CallHandOver.taking({ session, now, connected, ask })
    if (answer._tag === "Stays") return yield* Deferred.succeed(stays, { _tag: "Stays" })
    if (answer._tag === "Gone") yield* findLeft
    isSilent = false
    heard.under = privacy()
    session.fence?.announce()
    yield* voices.goOn(answer._tag === "Given" ? answer.left : undefined, stoppedMs)
    division?.setHearing(true)
  })
  if (takeOver !== undefined) yield* Effect.forkScoped(take(takeOver))
  if (session.fence !== undefined) {
    seat?.onRunning?.(yield* CallHandOver.giving({ session, fence: session.fence, sink, voices }))
  }

  const attendance = yield* makeAttendance({
    ...{ options, session, intents, privacy, sink, voices, subscriptions, division, seat, heard },
    isTaking: () => isSilent
  })
  yield* Stream.mergeAll(
    [
      Stream.map(session.events, (event): Input => ({ _tag: "Event", event })),
      Stream.map(changesOf(intents), (): Input => ({ _tag: "Review" })),
      Stream.map(Stream.tick("1 second"), (): Input => ({ _tag: "Review" })),
      Stream.fromEffect(Deferred.await(stays))
    ],
    { concurrency: "unbounded" }
  ).pipe(Stream.runForEachWhile(attendance))
})

/** Who is in a room that was just joined is known by then. */
const UNREAD_MS = 5_000

type Input =
  | { readonly _tag: "Event"; readonly event: SignalingEvent }
  | { readonly _tag: "Review" }
  /** The call is another's. */
  | { readonly _tag: "Stays" }

interface Parts {
  readonly options: TalkCallOptions
  readonly session: SignalingSession
  readonly intents: CallIntents
  readonly privacy: () => Privacy
  readonly sink: CallSink
  readonly voices: CallVoices.CallVoices
  readonly subscriptions: Subscriptions.Subscriptions
  /** Where others hear some of the voices. */
  readonly division: CallDivision.CallDivision | undefined
  readonly seat: CallSeat | undefined
  /** Under which rule people are heard. */
  readonly heard: { under: Privacy }
  /** Another runner still has the call: whoever it hears is subscribed to, and nobody is heard. */
  readonly isTaking: () => boolean
}

/** Takes what happens, one thing at a time; `false` when the call is over for us. */
const makeAttendance = Effect.fnUntraced(function* ({
  division,
  heard,
  intents,
  isTaking,
  options,
  privacy,
  seat,
  session,
  sink,
  subscriptions,
  voices
}: Parts): Effect.fn.Return<(input: Input) => Effect.Effect<boolean>> {
  const now = yield* monotonicMs
  const presence = CallPresence.make(options.presence)
  let known: Roster = emptyRoster
  let isHearing = false
  let unreadSinceMs: number | undefined

  /** Parts go on with whoever is there by now: what is told is older, and its order ends whom they hear. */
  const follow = () => {
    const roster = session.state()._tag === "Joined" ? session.roster() : known
    division?.follow(Subscriptions.wantedIn(roster, options.screenShares))
  }

  const setHearing = Effect.fnUntraced(function* (hearing: boolean) {
    if (hearing === isHearing) return
    isHearing = hearing
    if (hearing) yield* voices.takeUp
    if (!hearing || !isTaking()) division?.setHearing(hearing)
    yield* subscriptions.setHearing(hearing)
    if (!hearing) yield* voices.silence
  })

  const review = Effect.fnUntraced(function* () {
    if (intents.isOver()) return false
    // Who is being heard began under another rule: all begin anew.
    if (privacy() !== heard.under && !isTaking()) yield* setHearing(false)
    heard.under = privacy()
    // A dropped socket says nothing about people: peers go on until we know more.
    if (session.state()._tag !== "Joined") {
      unreadSinceMs = undefined
      return true
    }
    const decision = presence.review({ intents: intents.list(), roster: session.roster(), nowMs: now() })
    for (const viewer of decision.forget) intents.remove(viewer)
    follow()
    const isRead = decision.hearing || isTaking()
    yield* setHearing(isRead)
    unreadSinceMs = isRead ? undefined : (unreadSinceMs ?? now())
    // Also where nobody was heard here: a lead before may have parts that still hear.
    if (unreadSinceMs !== undefined && now() - unreadSinceMs >= UNREAD_MS) division?.setHearing(false)
    return !decision.leave
  })

  const take = Effect.fnUntraced(function* (event: SignalingEvent) {
    if (event._tag === "RosterChanged") {
      for (const speaker of leftBetween(known, event.roster)) sink.speakerLeft(speaker)
      known = event.roster
      follow()
    }
    yield* subscriptions.handle(event)
    if (event._tag === "Joined") yield* Effect.logInfo(event.again ? "room joined anew" : "room joined")
    if (event._tag === "Resumed") sink.resumed()
    if (event._tag === "Joined" && event.again) {
      presence.rejoined()
      sink.rejoined()
    }
    if (event._tag === "CallEnded") {
      yield* Effect.logInfo("call ended", { reason: event.reason })
      intents.clear()
    }
  })

  return (input) => {
    if (input._tag === "Stays") return Effect.succeed(false)
    if (input._tag === "Review") return review()
    if (input.event._tag !== "Outranked") return Effect.andThen(take(input.event), review())
    seat?.onOutranked(input.event.by)
    return Effect.as(Effect.logInfo("another runner has the call"), false)
  }
})

/** A value each time the intents change; one that is not taken yet stands for those that follow. */
const changesOf = (intents: CallIntents): Stream.Stream<void> =>
  Stream.callback<void>(
    (queue) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          intents.onChange(() => Queue.offerUnsafe(queue, undefined))
          // What changed before we listened.
          Queue.offerUnsafe(queue, undefined)
        }),
        () => Effect.sync(() => intents.onChange(undefined))
      ),
    { bufferSize: 1, strategy: "dropping" }
  )
