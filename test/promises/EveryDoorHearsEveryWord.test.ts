import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Redacted } from "effect"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import { sampleRates } from "../../src/services/Resampler.ts"
import * as ClientAudio from "../support/ClientAudio.ts"
import { clients, type Sound } from "../support/DoorClients.ts"
import * as DoorSetup from "../support/DoorSetup.ts"
import { apiToken } from "../support/HttpSetup.ts"

const WORDS = [3, 1000, 2047, 512]
const SILENCE_MS = 500

/** The words with silence around them; at 8 kHz in the format of a telephone. */
const speech = (sampleRate: number): Float32Array => {
  const format = formatAt(sampleRate)
  const { pcm } = ToneModem.speak(WORDS, { speaker: 9, sampleRate, format })
  const silence = Math.round((SILENCE_MS * sampleRate) / 1000)
  const sound = new Float32Array(pcm.length + 3 * silence)
  sound.set(pcm, silence)
  return sound
}
const formatAt = (sampleRate: number) => (sampleRate <= 8000 ? ToneModem.narrow : ToneModem.normal)

const raw = (encoding: "pcm16" | "float32" | "pcmu" | "pcma", sampleRate: number, channels: 1 | 2 = 1): Sound => ({
  bytes: ClientAudio.rawBytes(speech(sampleRate), { encoding, channels }),
  encoding,
  sampleRate,
  channels
})
const bothChannels = [1, 2] as const

const wavs = sampleRates.flatMap((sampleRate) =>
  bothChannels.map((channels): Sound => {
    const samples = ClientAudio.rawBytes(speech(sampleRate), { encoding: "pcm16", channels })
    return { bytes: ClientAudio.wav(samples, { sampleRate, channels }), encoding: "wav", sampleRate, channels }
  })
)

/** WebM and Ogg with Opus made from sound of each of its rates. */
const recordings = Effect.forEach([8000, 12_000, 16_000, 24_000, 48_000] as const, (sampleRate) =>
  Effect.forEach(bothChannels, (channels) =>
    Effect.map(ClientAudio.opus(speech(sampleRate), { sampleRate, channels }), (packets): ReadonlyArray<Sound> => {
      const container = { sampleRate, channels }
      return [
        { ...container, encoding: "webm", bytes: ClientAudio.webm(packets, { channels }) },
        { ...container, encoding: "ogg", bytes: Buffer.concat(ClientAudio.ogg(packets, { channels })) }
      ]
    })
  )
).pipe(Effect.map((all) => all.flat(2)))

const raws = (...encodings: ReadonlyArray<"pcm16" | "float32" | "pcmu" | "pcma">) =>
  encodings.flatMap((encoding) =>
    sampleRates.flatMap((sampleRate) => bothChannels.map((channels) => raw(encoding, sampleRate, channels)))
  )
const mono = (...encodings: ReadonlyArray<"pcm16" | "float32">) =>
  encodings.flatMap((encoding) => sampleRates.map((sampleRate) => raw(encoding, sampleRate)))

/** What clients of each door may send. */
const sounds: Readonly<Record<keyof typeof clients, Effect.Effect<ReadonlyArray<Sound>>>> = {
  tuon: Effect.map(recordings, (containers) => [...containers, ...wavs, ...raws("pcm16", "float32", "pcmu", "pcma")]),
  tuonV2: Effect.map(recordings, (containers) => [...containers, raw("pcm16", 24_000)]),
  nemo: Effect.succeed([...mono("float32"), raw("pcm16", 16_000)]),
  recorder: Effect.succeed([raw("pcm16", 16_000)]),
  kyutai: Effect.succeed([raw("float32", 24_000)]),
  moshi: Effect.succeed([raw("float32", 24_000)]),
  vosk: Effect.succeed(mono("pcm16")),
  realtime: Effect.succeed([raw("pcm16", 24_000), raw("pcmu", 8000), raw("pcma", 8000)])
}

const nameOf = ({ channels, encoding, sampleRate }: Sound) => `${encoding} ${sampleRate} Hz, ${channels}`
/** Engines compute at four times real time; more clients at once only make each wait longer. */
const AT_ONCE = 8

const doorsFor = (format: ToneModem.ToneFormat) =>
  DoorSetup.start({ engine: DoorSetup.hearing({ format }), settings: { apiToken: Redacted.make(apiToken) } })

describe("Every door hears every word, once and in order, from every container, at every rate, mono and stereo", () => {
  for (const [name, door] of Object.entries(clients)) {
    it.live(
      name,
      () =>
        Effect.gen(function* () {
          const [wide, narrow] = [yield* doorsFor(ToneModem.normal), yield* doorsFor(ToneModem.narrow)]
          const all = yield* soundsOf(name)
          const expected = WORDS.map(wordText).join(" ")
          const hear = (sound: Sound) =>
            Effect.gen(function* () {
              const doors = sound.sampleRate <= 8000 ? narrow : wide
              const client = yield* doors.connect(door.path, { headers: { authorization: `Bearer ${apiToken}` } })
              return yield* door.say(client, sound)
            }).pipe(Effect.scoped)
          const together = yield* Effect.forEach(all, (sound) => Effect.exit(hear(sound)), { concurrency: AT_ONCE })
          const isHeard = (exit: (typeof together)[number] | undefined) =>
            exit !== undefined && Exit.isSuccess(exit) && exit.value === expected
          assert.isAtLeast(together.filter(isHeard).length, all.length / 2)
          // An engine that a busy machine keeps from answering is given up after seconds: what was not heard by then is said again, alone.
          const heard = yield* Effect.forEach(all, (sound, n) =>
            Effect.map(
              isHeard(together[n]) ? Effect.succeed(expected) : hear(sound),
              (text) => [nameOf(sound), text] as const
            )
          )
          assert.deepStrictEqual(
            heard,
            all.map((sound) => [nameOf(sound), expected] as const)
          )
        }),
      300_000
    )
  }
})

const soundsOf = (name: string) =>
  Object.entries(sounds).find(([door]) => door === name)?.[1] ?? Effect.die(`no sounds for ${name}`)
