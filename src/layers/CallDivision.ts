/**
 * The lead of a call that is heard in parts: who hears whom, what the parts are told, and what becomes of their voices when one of them is gone.
 */
import { Deferred, Effect, FiberMap, Option, Redacted, Scope, Stream } from "effect"
import type { IceServer, RoomToken } from "../domain/Call.ts"
import * as Parts from "../domain/CallParts.ts"
import type * as HandOver from "../domain/HandOver.ts"
import type { LanguageId } from "../domain/Language.ts"
import type { Privacy } from "../domain/Privacy.ts"
import type { Incarnation } from "../domain/Seat.ts"
import { type VoiceKey, voiceId } from "../domain/Speaker.ts"
import type { LeftVoice } from "../services/SpeechJournal.ts"
import type { CallParts, Heir, PartEnd, PartLink, PartOrder } from "./CallPart.ts"
import type { CallSeat } from "./CallSeat.ts"
import type { CallVoices } from "./CallVoices.ts"
import type { RemoteVoices } from "./RemoteVoices.ts"
import * as VoiceGiven from "./VoiceGiven.ts"

export interface CallDivisionOptions {
  readonly room: RoomToken
  readonly seat: Pick<CallSeat, "rank" | "isGoing">
  readonly parts: CallParts
  readonly remote: RemoteVoices
  /** The voices that are heard here, and which of them are kept for now. */
  readonly own: Heir
  readonly keep: CallVoices["keep"]
  readonly language: () => LanguageId
  readonly privacy: () => Privacy
  readonly iceServers: () => ReadonlyArray<IceServer> | undefined
  /** What the journal of a part that has died has of the call, where it can be read here. */
  readonly findLeft: (part: Incarnation) => Effect.Effect<ReadonlyArray<LeftVoice>>
  readonly retell: (left: LeftVoice) => void
  /** Other voices are to be heard here than before. */
  readonly onChange: Effect.Effect<void>
  /** Voices that one runner hears. */
  readonly most?: number
}

export interface CallDivision {
  /** Whether a voice is heard here. */
  readonly isOurs: (voice: VoiceKey) => boolean
  /** Whoever has a voice in the call, and whatever else parts are told, as it is now. */
  readonly follow: (wanted: ReadonlyArray<VoiceKey>) => void
  /** `true`: the parts are listened to, and hear. `false`: nobody reads; also those of a lead before, which go on until either is said. */
  readonly setHearing: (on: boolean) => void
  /** Voices of parts with a connected peer, without those that are about to be heard here. */
  readonly connected: () => number
  /** Last words of the parts; then there are none. */
  readonly finish: Effect.Effect<void>
}

interface Part {
  readonly link: PartLink
  isListening: boolean
  /** Its runner ends: nobody is to be heard there any more. */
  isLeaving: boolean
  /** Its voices (their ids) that go on elsewhere by now. */
  readonly moved: Array<string>
  /** The newest order. */
  told: { readonly text: string; readonly servers: PartOrder["iceServers"] } | undefined
}

/** Which part hears a voice; the lead itself. */
type Place = Incarnation | "here"

/** A runner that is asked for a part answers within this, or its voices are heard here; and until another is asked. */
const OPENED_WITHIN = "3 seconds"
const AGAIN = "10 seconds"
/** A journal that works has it by then; acknowledged is what is older. */
const JOURNALLED_WITHIN = "100 millis"
const SOON = "100 millis"
/** A disk that takes longer holds up nobody's captions. */
const FOUND_WITHIN = "1 second"

/** Takes over the parts that run already; opens others where the call has too many voices. */
export const make = Effect.fnUntraced(function* (
  options: CallDivisionOptions
): Effect.fn.Return<CallDivision, never, Scope.Scope> {
  const { iceServers, language, most, onChange, parts, privacy, remote, room, seat } = options
  const fibers = yield* FiberMap.make<string, void, never>()
  const fork = yield* FiberMap.runtime(fibers)()
  const scope = yield* Effect.scope
  const running = new Map<Incarnation, Part>()
  let wanted: ReadonlyArray<VoiceKey> = []
  let heardBy: ReadonlyMap<string, Place> = new Map()
  /** Who ends and hears these until somebody else does. */
  const givenBy = new Map<string, Incarnation>()
  /** A part is being opened: who has no place waits for it. Or there is none to be had, and everybody else is heard here. */
  let opening: "No" | "Yes" | "InVain" | "Never" = "No"
  let isHearing = false
  let hasBegun = false
  let given:
    | { readonly servers: PartOrder["iceServers"]; readonly of: ReadonlyArray<IceServer> | undefined }
    | undefined
  /** The same object as long as they are the same. */
  const redacted = () => {
    const of = iceServers()
    if (given === undefined || given.of !== of) given = { of, servers: of && Redacted.make(of) }
    return given.servers
  }

  const isOurs = (key: VoiceKey) => heardBy.get(voiceId(key)) === "here"
  const isGoing = () => seat.isGoing?.() === true
  const isKept = (key: VoiceKey) => isOurs(key) && givenBy.has(voiceId(key))
  const tell = (part: Part) => {
    // parts of a lead before go on as they are, until it is known who reads
    if (!hasBegun) return
    const { link, moved } = part
    const isThere = (key: VoiceKey) => heardBy.get(voiceId(key)) === link.incarnation
    const hears = wanted.filter((key) => isThere(key) || givenBy.get(voiceId(key)) === link.incarnation)
    const keeps = hears.filter((key) => isThere(key) && givenBy.has(voiceId(key)))
    const rules = { isHearing, turn: remote.turn(), language: language(), privacy: privacy() }
    const order = { lead: seat.rank, hears, keeps, moved: [...moved], ...rules }
    const told = { text: JSON.stringify(order), servers: redacted() }
    if (told.text === part.told?.text && told.servers === part.told.servers) return
    part.told = told
    link.order({ ...order, iceServers: told.servers })
  }
  const listen = (part: Part) => {
    if (part.isListening) return
    part.isListening = true
    const { acknowledge, gone, incarnation, leaving, listen: hear } = part.link
    // not before it is known how far a lead before has said its voices
    fork(
      `${incarnation} lives`,
      Effect.flatMap(Deferred.await(gone), (end) => lose(part, end))
    )
    fork(`${incarnation} leaves`, Effect.andThen(Deferred.await(leaving), leave(part)))
    let taken: Array<number> = []
    let older: ReadonlyArray<number> = []
    const take = hear(seat.rank, remote.resumed()).pipe(
      Stream.runForEach((batches) =>
        Effect.sync(() => {
          for (const batch of batches) remote.take(incarnation, batch, (number) => taken.push(number))
        })
      )
    )
    const prove = Effect.sync(() => {
      if (older.length > 0) acknowledge(older)
      older = taken
      taken = []
    })
    fork(`${incarnation} is acknowledged`, Effect.forever(Effect.andThen(Effect.sleep(JOURNALLED_WITHIN), prove)))
    // the way there may break: what was not acknowledged comes again
    const takeAll = Effect.forever(Effect.andThen(take, Effect.sleep(SOON)))
    fork(`${incarnation} says`, Effect.asVoid(Effect.raceFirst(takeAll, Deferred.await(gone))))
  }

  const add = (part: Part) => {
    running.set(part.link.incarnation, part)
    tell(part)
    if (isHearing) listen(part)
  }
  const lose: (part: Part, end: PartEnd) => Effect.Effect<void> = Effect.fnUntraced(function* (part, end) {
    const { incarnation } = part.link
    // whoever takes the call sees to its voices
    while (part.isLeaving && end === "Left" && isGoing()) yield* Effect.sleep(SOON)
    running.delete(incarnation)
    yield* FiberMap.remove(fibers, `${incarnation} is acknowledged`)
    yield* FiberMap.remove(fibers, `${incarnation} leaves`)
    const left =
      isHearing && end === "Died"
        ? yield* Effect.timeoutOption(options.findLeft(incarnation), FOUND_WITHIN)
        : Option.none()
    const found = Option.getOrElse(left, (): ReadonlyArray<LeftVoice> => [])
    const unsaid = remote.lost(incarnation, found)
    const voices = wanted.filter((key) => givenBy.get(voiceId(key)) === incarnation)
    const going = new Set(voices.map(voiceId))
    for (const voice of unsaid) if (!going.has(voiceId(voice.key))) options.retell(voice)
    yield* goOn(
      VoiceGiven.ofJournal({ unsaid: [], voices: unsaid.filter(({ key }) => going.has(voiceId(key))) }).voices
    )
    for (const voice of going) givenBy.delete(voice)
    yield* part.isLeaving
      ? Effect.logInfo("a part of the call has left")
      : Effect.logWarning("a part of the call is gone: its voices are heard elsewhere", { unsaid: unsaid.length })
    divide()
    yield* onChange
  })

  const heirAt = (place: Place | undefined): Heir | undefined =>
    place === "here" ? options.own : place && running.get(place)?.link
  const byPlace = <A extends { readonly key: VoiceKey }>(voices: ReadonlyArray<A>) =>
    Map.groupBy(voices, ({ key }) => heardBy.get(voiceId(key)))
  /** Each at its place; who cannot is said here. */
  const goOn = Effect.fnUntraced(function* (given: ReadonlyArray<HandOver.LeftVoice>) {
    const left = yield* Effect.forEach(
      byPlace(given),
      ([place, voices]) => heirAt(place)?.take(voices) ?? Effect.succeed(voices.map(({ id }) => id)),
      { concurrency: "unbounded" }
    )
    const unsaid = new Set(left.flat())
    for (const voice of given) {
      const said = unsaid.has(voice.id) ? VoiceGiven.toJournal(room, voice) : undefined
      if (said?.hasSpeech === true) options.retell(said)
    }
  })
  /** Of whom the part hears, those who are heard elsewhere by now go on there. */
  const move = Effect.fnUntraced(function* ({ link: { given, incarnation }, moved }: Part) {
    const isHeld = (key: VoiceKey) => givenBy.get(voiceId(key)) === incarnation
    const kept = yield* Effect.forEach(
      byPlace(wanted.filter(isHeld).map((key) => ({ key }))),
      ([place, voices]) =>
        Effect.map(heirAt(place)?.kept(voices.map(({ key }) => key)) ?? Effect.succeed([]), (ready) =>
          ready.map((key) => ({ key, place }))
        ),
      { concurrency: "unbounded" }
    )
    const ready = () =>
      kept.flat().flatMap(({ key, place }) => (isHeld(key) && heardBy.get(voiceId(key)) === place ? [key] : []))
    const swap = Effect.gen(function* () {
      const left = isGoing() || ready().length === 0 ? undefined : yield* given(ready())
      if (left === undefined) return
      const going = new Set(ready().map(voiceId))
      const mine = left.filter(({ key }) => going.has(voiceId(key)))
      yield* goOn(remote.moved(incarnation, mine))
      moved.push(...mine.map(({ id }) => id))
      for (const voice of going) givenBy.delete(voice)
      divide()
    })
    const hold = Effect.sync(() => remote.hold(incarnation))
    yield* Effect.uninterruptible(Effect.acquireUseRelease(hold, () => swap, Effect.sync))
  })
  /** It goes on until all are heard elsewhere. */
  const leave = Effect.fnUntraced(function* (part: Part) {
    const { incarnation } = part.link
    part.isLeaving = true
    // whom it only keeps is still heard by another, and nobody is where nobody reads
    for (const [voice, place] of isHearing ? heardBy : [])
      if (place === incarnation && !givenBy.has(voice)) givenBy.set(voice, incarnation)
    divide()
    yield* onChange
    while ([...givenBy.values()].includes(incarnation)) yield* Effect.andThen(move(part), Effect.sleep(SOON))
  })

  const open = Effect.gen(function* () {
    const link = yield* parts
      .open(room)
      .pipe(Scope.provide(scope), Effect.timeoutOrElse({ duration: OPENED_WITHIN, orElse: () => Effect.void }))
    opening = link === undefined ? "InVain" : "No"
    if (link !== undefined) {
      add({ link, isListening: false, isLeaving: false, moved: [], told: undefined })
      yield* Effect.logInfo("the call is heard in parts", { parts: running.size + 1, another: link.incarnation })
    }
    divide()
    yield* onChange
    if (link !== undefined) return
    yield* Effect.sleep(AGAIN)
    opening = "No"
  })
  const divide = () => {
    const before = heardBy
    const others = [...running.values()].flatMap(({ isLeaving, link }) => (isLeaving ? [] : [link.incarnation]))
    const places: ReadonlyArray<Place> = ["here", ...others]
    const division = Parts.divide(wanted.map(voiceId), before, places, most)
    const everywhere = new Map(division.heardBy)
    if (opening === "InVain") for (const voice of division.beyond) everywhere.set(voice, "here")
    heardBy = everywhere
    const present = new Set(wanted.map(voiceId))
    for (const voice of givenBy.keys()) if (!present.has(voice)) givenBy.delete(voice)
    options.keep(isKept, (key) => isHearing && isOurs(key))
    for (const part of running.values()) tell(part)
    if (division.beyond.length === 0 || opening !== "No" || !isHearing) return
    opening = "Yes"
    fork("opening", open)
  }

  for (const link of yield* parts.running(room)) {
    heardBy = new Map([...heardBy, ...link.hears().map((key) => [voiceId(key), link.incarnation] as const)])
    wanted = [...wanted, ...link.hears()]
    running.set(link.incarnation, { link, isListening: false, isLeaving: false, moved: [], told: undefined })
  }

  return {
    isOurs,
    follow: (next) => {
      wanted = next
      divide()
    },
    setHearing: (on) => {
      if (on === isHearing && hasBegun) return
      isHearing = on
      hasBegun = true
      if (!on) {
        remote.silence()
        givenBy.clear()
      }
      divide()
      if (on) for (const part of running.values()) listen(part)
    },
    connected: () => {
      const elsewhere = [...running.values()].reduce((sum, { link }) => sum + link.connected(), 0)
      return Math.max(0, elsewhere - wanted.filter(isKept).length)
    },
    finish: Effect.suspend(() => {
      opening = "Never"
      return Effect.forEach(running.values(), ({ link }) => link.finish, { concurrency: "unbounded", discard: true })
    })
  }
})
