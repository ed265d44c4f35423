/**
 * The lead of a call that is heard in parts: who hears whom, what the parts are told, and what becomes of their voices when one of them is gone.
 */
import { Deferred, Effect, FiberMap, Option, Redacted, Scope, Stream } from "effect"
import type { IceServer, RoomToken } from "../domain/Call.ts"
import * as Parts from "../domain/CallParts.ts"
import type { LanguageId } from "../domain/Language.ts"
import type { Privacy } from "../domain/Privacy.ts"
import type { Incarnation, Rank } from "../domain/Seat.ts"
import { type VoiceKey, voiceId } from "../domain/Speaker.ts"
import type { LeftVoice } from "../services/SpeechJournal.ts"
import type { CallParts, PartEnd, PartLink, PartOrder } from "./CallPart.ts"
import type { RemoteVoices } from "./RemoteVoices.ts"

export interface CallDivisionOptions {
  readonly room: RoomToken
  readonly rank: Rank
  readonly parts: CallParts
  readonly remote: RemoteVoices
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
  /** Voices of parts with a connected peer. */
  readonly connected: () => number
  /** Last words of the parts; then there are none. */
  readonly finish: Effect.Effect<void>
}

interface Part {
  readonly link: PartLink
  isListening: boolean
  /** Nobody is heard there any more. */
  isLeaving: boolean
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
const LISTEN_AGAIN = "100 millis"
/** A disk that takes longer holds up nobody's captions. */
const FOUND_WITHIN = "1 second"

/** Takes over the parts that run already; opens others where the call has too many voices. */
export const make = Effect.fnUntraced(function* (
  options: CallDivisionOptions
): Effect.fn.Return<CallDivision, never, Scope.Scope> {
  const { iceServers, language, most, onChange, parts, privacy, rank, remote, room } = options
  const fibers = yield* FiberMap.make<string, void, never>()
  const fork = yield* FiberMap.runtime(fibers)()
  const scope = yield* Effect.scope
  const running = new Map<Incarnation, Part>()
  let wanted: ReadonlyArray<VoiceKey> = []
  let heardBy: ReadonlyMap<string, Place> = new Map()
  /** A part is being opened: who has no place waits for it. Or there is none to be had, and everybody else is heard here. */
  let opening: "No" | "Yes" | "InVain" = "No"
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

  const tell = (part: Part) => {
    // parts of a lead before go on as they are, until it is known who reads
    if (!hasBegun) return
    const { link } = part
    const hears = wanted.filter((key) => heardBy.get(voiceId(key)) === link.incarnation)
    const rules = { language: language(), privacy: privacy() }
    const order = { lead: rank, hears, isHearing, turn: remote.turn(), ...rules }
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
    const take = hear(rank, remote.resumed()).pipe(
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
    const takeAll = Effect.forever(Effect.andThen(take, Effect.sleep(LISTEN_AGAIN)))
    fork(`${incarnation} says`, Effect.asVoid(Effect.raceFirst(takeAll, Deferred.await(gone))))
  }

  const add = (part: Part) => {
    running.set(part.link.incarnation, part)
    tell(part)
    if (isHearing) listen(part)
  }
  const lose: (part: Part, end: PartEnd) => Effect.Effect<void> = Effect.fnUntraced(function* (part, end) {
    const { incarnation } = part.link
    running.delete(incarnation)
    yield* FiberMap.remove(fibers, `${incarnation} is acknowledged`)
    yield* FiberMap.remove(fibers, `${incarnation} leaves`)
    const left =
      isHearing && end === "Died"
        ? yield* Effect.timeoutOption(options.findLeft(incarnation), FOUND_WITHIN)
        : Option.none()
    const unsaid = remote.lost(
      incarnation,
      Option.getOrElse(left, () => [])
    )
    for (const voice of unsaid) options.retell(voice)
    yield* Effect.logWarning("a part of the call is gone: its voices are heard elsewhere", { unsaid: unsaid.length })
    divide()
    yield* onChange
  })

  const leave = (part: Part) =>
    Effect.suspend(() => {
      part.isLeaving = true
      divide()
      return onChange
    })

  const open = Effect.gen(function* () {
    const link = yield* parts
      .open(room)
      .pipe(Scope.provide(scope), Effect.timeoutOrElse({ duration: OPENED_WITHIN, orElse: () => Effect.void }))
    opening = link === undefined ? "InVain" : "No"
    if (link !== undefined) {
      add({ link, isListening: false, isLeaving: false, told: undefined })
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
    for (const part of running.values()) tell(part)
    if (division.beyond.length === 0 || opening !== "No" || !isHearing) return
    opening = "Yes"
    fork("opening", open)
  }

  for (const link of yield* parts.running(room)) {
    heardBy = new Map([...heardBy, ...link.hears().map((key) => [voiceId(key), link.incarnation] as const)])
    wanted = [...wanted, ...link.hears()]
    running.set(link.incarnation, { link, isListening: false, isLeaving: false, told: undefined })
  }

  return {
    isOurs: (key) => heardBy.get(voiceId(key)) === "here",
    follow: (next) => {
      wanted = next
      divide()
    },
    setHearing: (on) => {
      if (on === isHearing && hasBegun) return
      isHearing = on
      hasBegun = true
      if (!on) remote.silence()
      divide()
      if (on) for (const part of running.values()) listen(part)
    },
    connected: () => [...running.values()].reduce((sum, { link }) => sum + link.connected(), 0),
    finish: Effect.suspend(() =>
      Effect.forEach(running.values(), ({ link }) => link.finish, { concurrency: "unbounded", discard: true })
    )
  }
})
