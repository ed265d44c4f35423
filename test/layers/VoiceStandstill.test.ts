/**
 * What stands still is not silent: all words are heard, whether the network held packets up or this process did not run. Packets are late here, none
 * is lost.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { type AudioFrame, FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import * as SimulatedRecogniser from "../../src/layers/SimulatedRecogniser.ts"
import * as SocketReader from "../../src/layers/SocketReader.ts"
import * as SpeechEncoder from "../../src/layers/SpeechEncoder.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import * as Voice from "../../src/layers/Voice.ts"
import { Decoder } from "../../src/services/Decoder.ts"
import { hasAddon } from "../support/OpusRecordings.ts"
import * as SealedVoice from "../support/SealedVoice.ts"
import * as UdpPair from "../support/UdpPair.ts"

const MS = SpeechEncoder.PACKET_MS
const words = [28, 35, 42]
/** Packets of silence before and behind the words. */
const BEFORE = 40
const BEHIND = 60

const spokenPackets = Effect.gen(function* () {
  const { encode } = yield* SpeechEncoder.make
  const { pcm } = ToneModem.speak(words, { speaker: 1, sampleRate: SpeechEncoder.ENCODER_RATE })
  const count = Math.ceil(pcm.length / SpeechEncoder.PACKET_SAMPLES)
  return Array.from({ length: BEFORE + count + BEHIND }, (_, n) => {
    const from = (n - BEFORE) * SpeechEncoder.PACKET_SAMPLES
    return Uint8Array.from(
      encode(from < 0 ? new Float32Array(0) : pcm.subarray(from, from + SpeechEncoder.PACKET_SAMPLES))
    )
  })
})

/** What an engine understands that is flushed whenever speech ends, as sessions are that are open when somebody speaks. */
const understood = (frames: ReadonlyArray<AudioFrame>): ReadonlyArray<number> => {
  const heard: Array<number> = []
  const recogniser = SimulatedRecogniser.make({
    delayMs: 500,
    format: ToneModem.normal,
    punctuation: false,
    onWord: ({ word }) => heard.push(word),
    onFault: () => {}
  })
  for (const { endsSpeech, pcm } of frames) {
    recogniser.push(pcm, 0)
    for (let n = 0; endsSpeech && n < 10; n++) recogniser.push(new Float32Array(FRAME_SAMPLES), 0)
  }
  return heard
}

const places = (frames: ReadonlyArray<AudioFrame>) =>
  frames.map(({ endsSpeech, position }) => ({ endsSpeech, position }))

describe("a network that stands still", () => {
  it.effect(
    "for up to a second tears no word, wherever it does",
    () =>
      Effect.gen(function* () {
        const decoder = yield* Decoder
        const packets = yield* spokenPackets
        for (const held of [10, 21, 35, 49]) {
          for (let from = BEFORE; from < packets.length - BEHIND; from++) {
            const voice = yield* Voice.make({
              id: "a",
              language: () => LanguageId.make("en"),
              decoder,
              now: () => packets.length * MS,
              queueCapacity: 1000
            })
            for (let n = 0, given = 0; n < packets.length; n++) {
              voice.tick(n * MS)
              if (n >= from && n < from + held) continue
              for (; given <= n; given++) {
                const payload = packets[given] ?? assert.fail()
                voice.onPacket({ sequenceNumber: given, timestamp: given * 960, ssrc: 1, payload }, n * MS)
              }
            }
            voice.end()
            const frames = [...(yield* Stream.runCollect(voice.voice.frames))]
            assert.deepStrictEqual(understood(frames), words, `${held * MS} ms from packet ${from} on`)
          }
        }
      }).pipe(Effect.scoped, Effect.provide(OpusDecoder.layer)),
    60_000
  )
})

describe.runIf(hasAddon)("a process that stands still", () => {
  interface Stand {
    /** Packets that come together, when nothing has run for as long as they took. */
    readonly from: number
    readonly count: number
    readonly first: "timers" | "sockets"
    readonly levels: boolean
  }
  /** Frames of packets that a socket brings. */
  const heard = Effect.fnUntraced(function* (packets: ReadonlyArray<Uint8Array>, stand: Stand) {
    const until = stand.from + stand.count
    const { send, socket } = yield* UdpPair.make()
    let due: (() => void) | undefined
    let hasMore = false
    const voice = yield* SealedVoice.make({
      way: (receiver, now) => {
        SocketReader.make({
          now,
          schedule: (read, ms) => {
            due = read
            hasMore = ms === 0
          }
        }).take(socket, { onRtp: receiver.receive, rest: receiver.rest, onDefect: () => assert.fail("a defect") })
        return send
      }
    })
    const read = () => {
      due?.()
      while (hasMore) {
        // What has come takes its time.
        voice.wait()
        due?.()
      }
    }
    for (const [n, payload] of packets.entries()) {
      const level = n < BEFORE || n >= packets.length - BEHIND ? 127 : 20
      const isStanding = n >= stand.from && n < until
      if (isStanding) voice.standStill(MS)
      else if (n === until && stand.first === "sockets") read()
      if (!isStanding) voice.wait()
      voice.give(stand.levels ? { payload, level } : { payload })
      if (!isStanding) read()
    }
    // What waits for company is given when it is due.
    for (let n = 0; n < 30; n++) {
      voice.wait()
      read()
    }
    const { late, lost, packets: came } = voice.voice.counters
    assert.deepStrictEqual([came, late, lost, voice.counts.refused], [packets.length, 0, 0, 0])
    return [...(yield* voice.finish)]
  }, Effect.scoped)

  for (const [first, levels] of [
    ["timers", true],
    ["sockets", false]
  ] as const) {
    it.effect(
      `for up to two seconds hears every frame it would have heard, wherever it does: ${first} come first behind it`,
      () =>
        Effect.gen(function* () {
          const packets = yield* spokenPackets
          const expected = yield* heard(packets, { from: 0, count: 0, first, levels })
          assert.deepStrictEqual(understood(expected), words)
          for (const count of [1, 4, 10, 20, 35, 100]) {
            for (let from = BEFORE - 4; from < packets.length - 20; from += 3) {
              const frames = yield* heard(packets, { from, count, first, levels })
              assert.deepStrictEqual(places(frames), places(expected), `${count * MS} ms from packet ${from} on`)
              assert.deepStrictEqual(understood(frames), words)
            }
          }
        }).pipe(Effect.scoped, Effect.provide(OpusDecoder.layer)),
      60_000
    )
  }
})
