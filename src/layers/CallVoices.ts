/**
 * The voices of one call: each is heard, transcribed and published until its speaker leaves or nobody reads any more.
 */
import { Effect, FiberMap, Schedule, type Scope } from "effect"
import type * as HandOver from "../domain/HandOver.ts"
import type { Privacy } from "../domain/Privacy.ts"
import { type VoiceKey, voiceId } from "../domain/Speaker.ts"
import { Decoder } from "../services/Decoder.ts"
import type { PacketListener, RtpPacket } from "../services/PeerConnection.ts"
import type { CallJournal, HeardMark, LeftVoice } from "../services/SpeechJournal.ts"
import { Stopping } from "../services/Stopping.ts"
import { Transcriber } from "../services/Transcriber.ts"
import * as CallSpeech from "./CallSpeech.ts"
import * as EarlierSpeech from "./EarlierSpeech.ts"
import * as EngineAdvice from "./EngineAdvice.ts"
import * as KeptVoices from "./KeptVoices.ts"
import * as LeftParts from "./LeftParts.ts"
import { monotonicMs } from "./Monotonic.ts"
import type { RemoteVoices } from "./RemoteVoices.ts"
import * as Shedding from "./Shedding.ts"
import * as Voice from "./Voice.ts"
import * as VoiceAccount from "./VoiceAccount.ts"
import * as VoiceGiven from "./VoiceGiven.ts"
import * as VoiceTicks from "./VoiceTicks.ts"

export interface CallVoicesOptions extends CallSpeech.CallSpeechOptions {
  /** Read when a voice begins, for all of its life; see `CallPrivacy`. */
  readonly privacy: () => Privacy
  readonly journal: CallJournal
  /** Another runner still has the call: what comes is kept until `goOn`, and nobody is heard before. */
  readonly keeps?: boolean
  /** What becomes of voices, where they are not captioned here. */
  readonly say?: CallSpeech.SayVoice
  /** Begins the numbers of voices, where several hear the call. */
  readonly name?: string
  /** Voices that others hear and that are captioned here. */
  readonly elsewhere?: Pick<RemoteVoices, "given" | "resume">
}

export interface CallVoices {
  /** All that was heard and is not said. */
  readonly given: () => ReadonlyArray<HandOver.LeftVoice>
  /** Goes on exactly behind what the other has given when it was asked (ms); without it, behind what its journal has. */
  readonly goOn: (left: HandOver.Left | undefined, askedMs: number) => Effect.Effect<void>
  /** These are heard by another part for now, of those that are heard here; see `KeptVoices`. */
  readonly keep: KeptVoices.KeptVoices["keep"]
  /** Whether one of them goes on here, exactly behind what was given of it about then (ms). */
  readonly take: (left: HandOver.LeftVoice, askedMs: number) => boolean
  /** What a process that was killed had heard and not said: said first. To be called before anybody is heard. */
  readonly takeUp: Effect.Effect<void>
  /** What another had heard and not said is said now, in front of what is heard of the publisher from now on. */
  readonly retell: (left: LeftVoice) => void
  /** Completes when all that is retold now of this publisher is said. */
  readonly toldBefore: (key: VoiceKey) => Effect.Effect<void>
  /** A publisher is to be heard: by whom. */
  readonly start: (key: VoiceKey) => PacketListener
  /** The publisher is gone: its last words are still transcribed and published. */
  readonly end: (key: VoiceKey) => void
  /** Whether speech is being heard of this publisher now. */
  readonly isSpeaking: (key: VoiceKey) => boolean
  /** Nobody reads: every voice and its engine session ends at once. */
  readonly silence: Effect.Effect<void>
  /** This voice (its id) ends at once: another goes on with it. */
  readonly drop: (id: string) => Effect.Effect<void>
  /** Every voice ends and its last words are published; bounded by `lastWords`, and by what there is where the service stops. */
  readonly finish: Effect.Effect<void>
  /** Why a voice gives no text although it is heard, if that is so. */
  readonly advice: () => string | undefined
}

/** The Transcriber waits 10 s for an engine's last words; then what is open becomes final, and that is still published. */
const lastWords = "11 seconds"

export const make = Effect.fnUntraced(function* (
  options: CallVoicesOptions
): Effect.fn.Return<CallVoices, never, Decoder | Transcriber | Scope.Scope> {
  const decoder = yield* Decoder
  const transcriber = yield* Transcriber
  const now = yield* monotonicMs
  const stopping = yield* Stopping
  const isSaturated = yield* Shedding.Saturated
  const fibers = yield* FiberMap.make<string, void, never>()
  const fork = yield* FiberMap.runtime(fibers)()
  const heard = new Map<string, HeardVoice>()
  const metrics = yield* Effect.context<never>()
  const ticks = yield* VoiceTicks.make
  let generation = 0

  const nextId = (key: VoiceKey) => `${voiceId(key)}:${options.name ?? ""}${generation++}`

  const earlier = EarlierSpeech.make({ ...options, decoder, transcriber, now, fork })
  const { toldBefore } = earlier
  const say = options.say ?? CallSpeech.captioning(options, { now, transcriber, toldBefore })
  let isTaking = options.keeps === true

  /** `before`: what is heard first, and what of that is said. */
  const hear = Effect.fnUntraced(function* (
    key: VoiceKey,
    id: string,
    { shed }: Shedding.Shedding,
    before?: KeptVoices.Before
  ) {
    const journal = options.journal.voice(id, key, (position, listener) => voice.tell(position, listener))
    const voice: Voice.HeardVoice = yield* Voice.make({
      id,
      ...(before === undefined ? {} : { queueCapacity: QUEUED + before.packets.length }),
      language: options.language,
      privacy: options.privacy(),
      decoder,
      now,
      listener: journal
    })
    const one: HeardVoice = {
      id,
      key,
      voice,
      shed,
      reported: VoiceAccount.reportOf(voice, 0),
      wasSpeaking: false,
      unansweredSinceMs: undefined,
      mark: before?.begun ?? { position: 0, said: "" },
      heardMs: now(),
      isOver: false
    }
    const mark = (reached: HeardMark) => {
      one.mark = reached
      journal.mark(reached)
    }
    heard.set(id, one)
    if (before?.begun !== undefined) mark(before.begun)
    for (const { atMs, packet } of before?.packets ?? []) give(one, packet, atMs)
    const answered = () => VoiceAccount.answered(one, now(), metrics)
    const heardFrom = before?.begun === undefined ? voice.voice : { ...voice.voice, begun: before.begun }
    yield* say({ id, key, newest: voice.newest, mark, answered, voice: heardFrom }).pipe(
      Effect.ensuring(Effect.sync(() => forget(id))),
      Effect.ensuring(Effect.sync(journal.forget))
    )
  }, Effect.scoped)

  const takeUp = Effect.suspend(() => {
    if (isTaking) return Effect.void
    const { unsaid, voices } = LeftParts.joined(options.journal.take())
    const ids = LeftParts.idsOf(voices, nextId)
    earlier.publish(unsaid, (voice) => ids.get(voice) ?? `${voice}:${generation++}`)
    const spoken = voices.filter(({ hasSpeech }) => hasSpeech)
    const unsaidOf = (id: string) => unsaid.find(({ voice }) => voice === id)
    for (const left of spoken) earlier.retell(left, ids.get(left.id) ?? nextId(left.key), unsaidOf(left.id))
    options.elsewhere?.resume(LeftParts.resumed(voices, unsaid))
    if (spoken.length === 0 && unsaid.length === 0) return Effect.void
    return Effect.logInfo("what was heard before the service was killed is said now", {
      voices: spoken.length,
      captions: unsaid.reduce((sum, { texts }) => sum + texts.length, 0)
    })
  })

  /** A new voice, and who is to be given its packets. */
  const begin = (key: VoiceKey, id: string, before?: KeptVoices.Before): PacketListener => {
    const shedding = Shedding.make(isSaturated)
    fork(id, hear(key, id, shedding, before))
    let known: HeardVoice | undefined
    // Looked up once: this is asked fifty times a second for every voice, and one that is over hears nothing.
    const one = () => {
      known ??= heard.get(id)
      return known
    }
    return {
      onPacket: (packet) => {
        const atMs = packet.atMs ?? now()
        if (!shedding.takes(packet, atMs)) return
        const hearing = one()
        if (hearing === undefined) return
        hearing.heardMs = atMs
        give(hearing, packet, atMs)
      },
      silence: {
        passage: (audioLevel, payloadBytes, atMs) =>
          one()?.voice.silence.passage(audioLevel, payloadBytes, atMs) ?? "open",
        isSilent: (packet) => one()?.voice.silence.isSilent(packet) ?? true,
        mayWait: () => one()?.voice.silence.mayWait?.()
      }
    }
  }

  const kept = KeptVoices.make({ now, nextId, begin })
  if (isTaking) kept.keep(everybody, everybody)
  const goOn = Effect.fnUntraced(function* (given: HandOver.Left | undefined, askedMs: number) {
    if (!isTaking) return
    isTaking = false
    const left = given ?? VoiceGiven.ofJournal(LeftParts.joined(options.journal.take()))
    const voices = left.voices.map((one) => ({ ...one, hasSpeech: one.speech.length > 0 }))
    const ids = LeftParts.idsOf(voices, nextId)
    earlier.publish(left.unsaid, (voice) => ids.get(voice) ?? `${voice}:${generation++}`)
    for (const one of left.voices) {
      const id = ids.get(one.id) ?? nextId(one.key)
      const unsaid = left.unsaid.find(({ voice }) => voice === one.id)
      if (kept.goOn(one, { id, unsaid, askedMs, isLeft: given === undefined })) continue
      const said = VoiceGiven.toJournal(options.room, one)
      if (said?.hasSpeech === true) earlier.retell(said, id, unsaid)
    }
    options.elsewhere?.resume(LeftParts.resumed(voices, left.unsaid))
    kept.keep(nobody, everybody)
    yield* Effect.logInfo("the call goes on here", { voices: left.voices.length, captions: left.unsaid.length })
  })

  const forget = (id: string) => {
    const one = heard.get(id)
    if (one === undefined) return
    heard.delete(id)
    ticks.forget(one)
    VoiceAccount.account(one, metrics, true)
  }

  const give = (one: HeardVoice, packet: RtpPacket, atMs: number) => {
    one.voice.onPacket(packet, atMs)
    ticks.heard(one)
  }
  const isShedding = () => [...heard.values()].some(({ reported, shed }) => shed() > reported.shed)
  const warn = Shedding.warning(options.room, now, isShedding)
  const accountAll = Effect.sync(() => {
    for (const one of heard.values()) VoiceAccount.account(one, metrics)
  })
  yield* Effect.andThen(warn, accountAll).pipe(Effect.repeat(Schedule.spaced("1 second")), Effect.forkScoped)

  const endAll = Effect.sync(() => {
    for (const { voice } of heard.values()) voice.end()
  })
  return {
    takeUp,
    toldBefore,
    retell: (left) => earlier.retell(left, nextId(left.key), undefined),
    keep: (isKept, isOurs) => {
      if (!isTaking) kept.keep(isKept, isOurs)
    },
    take: (left, askedMs) =>
      kept.goOn(left, {
        id: nextId(left.key),
        unsaid: undefined,
        askedMs,
        isLeft: left.newest.length === 0
      }),
    start: (key) => (kept.isKept(key) ? kept.start(key) : begin(key, nextId(key))),
    given: () => [
      ...earlier.given(),
      ...(options.elsewhere?.given() ?? []),
      ...[...heard.values()].map(({ heardMs, id, isOver, key, mark, voice }) =>
        VoiceGiven.give({ id, key, mark, tell: voice.tell, newest: voice.newest, quietMs: now() - heardMs, isOver })
      )
    ],
    goOn,
    end: (key) => {
      kept.end(key)
      for (const one of heard.values()) {
        if (voiceId(one.key) !== voiceId(key)) continue
        one.isOver = true
        one.voice.end()
      }
    },
    isSpeaking: (key) => [...heard.values()].some((one) => voiceId(one.key) === voiceId(key) && one.voice.isSpeaking()),
    silence: FiberMap.clear(fibers),
    drop: (id) => FiberMap.remove(fibers, id),
    finish: endAll.pipe(
      Effect.andThen(Effect.raceFirst(FiberMap.awaitEmpty(fibers), stopping.until("Published"))),
      Effect.timeoutOption(lastWords),
      Effect.andThen(FiberMap.clear(fibers))
    ),
    advice: () =>
      [...heard.values()].some(({ voice: { counters } }) => VoiceAccount.isUndecodable(counters))
        ? "Audio arrives but cannot be decoded; the call may be end-to-end encrypted."
        : EngineAdvice.make(transcriber.trouble?.({ language: options.language, privacy: options.privacy() }))
  }
})

const nobody = () => false
const everybody = () => true

/** Frames that wait for the reader of a voice. */
const QUEUED = 64

interface HeardVoice extends VoiceAccount.CountedVoice {
  readonly id: string
  readonly key: VoiceKey
  mark: HeardMark
  /** When the newest packet came. */
  heardMs: number
  isOver: boolean
}
