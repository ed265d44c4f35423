/**
 * What the streaming doors' audio costs: CPU time per 20 ms, from the bytes of a message to the 80 ms frame in the queue, over many voices in
 * turn. All of it is speech.
 */
import { readFileSync } from "node:fs"
import { Effect, type Scope } from "effect"
import { type AudioFormat, rawAudio } from "../src/domain/AudioFormat.ts"
import { LanguageId } from "../src/domain/Language.ts"
import * as OpusDecoder from "../src/layers/OpusDecoder.ts"
import * as PolyphaseResampler from "../src/layers/PolyphaseResampler.ts"
import * as SocketVoice from "../src/layers/SocketVoice.ts"
import { Decoder } from "../src/services/Decoder.ts"
import { cpuOf, type HearingCost } from "./hearing.ts"

const VOICES = 100
/** 10 s, after 2 s to warm up; messages of 20 ms. */
const MESSAGES = 500
const WARM_UP = 100

interface Client {
  readonly what: string
  readonly format: AudioFormat
  /** Comes first. */
  readonly header: Uint8Array
  /** In turn. */
  readonly messages: ReadonlyArray<Uint8Array>
}

/** Takes some seconds. */
export const intake: Effect.Effect<ReadonlyArray<HearingCost>, never, Scope.Scope> = Effect.gen(function* () {
  const clients = [samples(24_000), samples(16_000), samples(48_000), webm()]
  const native = yield* Effect.forEach(clients, (one) => Effect.provide(cost(one), OpusDecoder.layerNative)).pipe(
    // Not installed everywhere.
    Effect.orElseSucceed(() => [])
  )
  const wasm = yield* Effect.provide(cost(webm()), OpusDecoder.layerWasm)
  return [...native, wasm]
})

const cost = Effect.fnUntraced(function* ({ format, header, messages, what }: Client) {
  const decoder = yield* Decoder
  const voices = yield* Effect.forEach(Array.from({ length: VOICES }), (_, n) =>
    SocketVoice.make({
      id: String(n),
      language: () => LanguageId.make("en"),
      decoder,
      resampler: { make: PolyphaseResampler.make },
      format
    })
  )
  for (const voice of voices) voice.hear(header, 0)
  const play = (from: number, until: number) => {
    for (let n = from; n < until; n++) {
      const message = messages[n % messages.length] ?? header
      for (const voice of voices) {
        voice.hear(message, n * 20)
        voice.tick(n * 20)
      }
    }
  }
  const microseconds = yield* cpuOf(play, { warmUp: WARM_UP, steps: MESSAGES })
  const library = format._tag === "Raw" ? "" : `, ${decoder.library}`
  return { what: `${what}${library}`, microsecondsPerPacket: microseconds / (MESSAGES * VOICES) }
})

/** A voice-like sound as PCM16, two seconds of it. */
const samples = (sampleRate: number): Client => {
  const pcm = Int16Array.from({ length: 2 * sampleRate }, (_, n) => {
    const t = n / sampleRate
    const swell = 0.6 + 0.4 * Math.sin(2 * Math.PI * 4 * t)
    return 8000 * swell * (Math.sin(2 * Math.PI * 310 * t) + Math.sin(2 * Math.PI * 1743.7 * t))
  })
  const bytes = new Uint8Array(pcm.buffer)
  const size = (2 * sampleRate) / 50
  return {
    what: `PCM16 at ${sampleRate / 1000} kHz`,
    format: rawAudio("pcm16", sampleRate),
    header: new Uint8Array(0),
    messages: Array.from({ length: 100 }, (_, n) => bytes.subarray(n * size, (n + 1) * size))
  }
}

/** A recording of Chromium up to its first cluster, and blocks of 20 ms of speech; their times stand still, which means nothing. */
const webm = (): Client => {
  const read = (file: string) => JSON.parse(readFileSync(new URL(`../test/fixtures/${file}`, import.meta.url), "utf8"))
  const first = Buffer.from(read("recordings.json").mono.blobs[0], "base64")
  const blocks = read("opus.json").mono20.map((one: string) => {
    const packet = Buffer.from(one, "base64")
    const length = packet.length + 4
    return Buffer.concat([Buffer.from([0xa3, 0x40 | (length >> 8), length & 255, 0x81, 0, 0, 0x80]), packet])
  })
  const header = first.subarray(0, first.indexOf(Buffer.from([0xe7, 0x81, 0x00])) + 3)
  return {
    what: "WebM with Opus",
    format: { _tag: "Detected", otherwise: rawAudio("pcm16", 24_000) },
    header,
    messages: blocks
  }
}
