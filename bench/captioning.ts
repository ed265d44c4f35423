/**
 * What captions cost: CPU time per word, from what an engine says to the message for the call, over many voices in turn.
 */
import { Effect, Stream } from "effect"
import { type Intent, NextcloudSessionId, RoomToken, SessionId } from "../src/domain/Call.ts"
import { LanguageId } from "../src/domain/Language.ts"
import type { Participant } from "../src/domain/Roster.ts"
import * as CallCaptions from "../src/layers/CallCaptions.ts"
import * as SegmentCutter from "../src/layers/SegmentCutter.ts"
import type { SignalingSession } from "../src/services/Signaling.ts"
import { cpuOf, type HearingCost } from "./hearing.ts"

const CALLS = 25
const SPEAKERS = 4
/** Of each voice, after 30 to warm up. */
const WORDS = 150
const WARM_UP = 30
/** 2.8 words a second. */
const WORD_MS = 360
const SENTENCE_WORDS = 9
const ROOM = RoomToken.make("bench")
const LANGUAGE = LanguageId.make("en")
const text = (n: number) => (n % SENTENCE_WORDS === SENTENCE_WORDS - 1 ? "captions." : "words")

/** Takes a second: segments alone, then with all that Talk's page needs (turns, pace, confirmation), up to the message for the socket. */
export const captioning: Effect.Effect<ReadonlyArray<HearingCost>> = Effect.gen(function* () {
  const cutters = Array.from({ length: CALLS * SPEAKERS }, (_, n) => SegmentCutter.make(String(n)))
  let atMs = 0
  const cut = (cutter: SegmentCutter.SegmentCutter, n: number) =>
    cutter.take({ _tag: "Appended", item: "1", words: [{ text: text(n), joiner: "space" }] }, atMs)
  const segments = yield* cost("word to segment", (n) => {
    atMs = n * WORD_MS
    for (const cutter of cutters) cut(cutter, n)
  })

  let sent = 0
  const calls = Array.from({ length: CALLS }, () => {
    const session = inCall(() => sent++)
    const captions = CallCaptions.make({ session, intents: () => [everyone], now: () => atMs, observer: unobserved })
    const voices = speakers.map((speaker) => ({ speaker, cutter: SegmentCutter.make(speaker) }))
    return { captions, voices }
  })
  const whole = yield* cost("word to message for the call", (n) => {
    atMs = n * WORD_MS
    for (const { captions, voices } of calls) {
      for (const { cutter, speaker } of voices) {
        for (const segment of cut(cutter, n)) captions.publish({ room: ROOM, speaker, language: LANGUAGE, segment })
      }
      // What had to wait for its turn or for the pace is due by the next word.
      if (captions.dueMs() <= atMs) captions.attend()
      if (captions.needsProof()) captions.prove()(true)
    }
  })
  if (sent < (CALLS * SPEAKERS * WORDS) / SENTENCE_WORDS) return yield* Effect.die(new Error("captions are missing"))
  return [segments, whole]
})

const cost = Effect.fnUntraced(function* (what: string, word: (n: number) => void) {
  const play = (from: number, until: number) => {
    for (let n = from; n < until; n++) word(n)
  }
  const microseconds = yield* cpuOf(play, { warmUp: WARM_UP, steps: WORDS })
  return { what, microsecondsPerPacket: microseconds / (WORDS * CALLS * SPEAKERS) }
})

const everyone: Intent = { room: ROOM, viewer: { _tag: "Everyone" }, language: LANGUAGE }
const speakers = Array.from({ length: SPEAKERS }, (_, n) => SessionId.make(`speaker-${n}`))
const participants = new Map<SessionId, Participant>(
  speakers.map((session, n) => [
    session,
    { session, nextcloudSession: NextcloudSessionId.make(`nc-${n}`), inCall: 3, internal: false, virtual: false }
  ])
)
const nothing = () => {}
const unobserved: CallCaptions.CaptionObserver = {
  onSent: nothing,
  onResent: nothing,
  onDropped: nothing,
  onDelay: nothing
}

/** A session with all speakers in the call, on an HPB that reaches everybody with one message. */
const inCall = (onSent: () => void): SignalingSession => ({
  room: ROOM,
  events: Stream.never,
  roster: () => ({ participants }),
  state: () => ({ _tag: "Joined" }),
  canReachCall: () => true,
  keepsFailed: () => false,
  requestOffer: nothing,
  answer: nothing,
  sendCandidate: nothing,
  sendTranscript: () => {
    onSent()
    return true
  },
  confirm: Effect.succeed(true),
  mark: nothing,
  recall: Effect.undefined
})
