/**
 * The stage on simulators, where the real stack cannot be had: the HPB, Janus and the people are simulated in this process, over real
 * sockets and real WebRTC; the service and the engines are processes of their own, as on the real stack.
 */
import { Effect, Redacted, type Scope } from "effect"
import { ENCODER_RATE } from "../../../src/layers/SpeechEncoder.ts"
import * as TalkSimulator from "../../../src/layers/TalkSimulator.ts"
import * as ToneModem from "../../../src/layers/ToneModem.ts"
import { wordText } from "../../../src/layers/ToneWords.ts"
import { machineMs } from "../../../test/talk/HpbClient.ts"
import { makeOverlay } from "../../../test/talk/Overlay.ts"
import { attempt, because, type ProofError } from "../../../test/talk/ProofError.ts"
import { textsOf } from "../../../test/talk/WireTap.ts"
import * as Engine from "./Engine.ts"
import * as FaultyProxy from "./FaultyProxy.ts"
import * as Record from "./Record.ts"
import type { Mouth, Stage } from "./Stage.ts"
import * as Subject from "./Subject.ts"

const ROOM = "chaosroom"
/** People are back in the call so long after the HPB answers: the simulator's own habit. */
const BACK_MS = 1000

/** Up and answering, for as long as the scope. */
export const make = (options: {
  readonly folder: string
  readonly main: string
  readonly voices: ReadonlyArray<string>
}): Effect.Effect<Stage, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const { folder } = options
    const record = Record.make(options.voices)
    const talk = yield* Effect.mapError(TalkSimulator.make(), because("simulated HPB"))
    const joins: Array<number> = []
    const hpb = yield* FaultyProxy.make({
      target: Number(new URL(talk.url).port),
      tap: (sent) => {
        if (textsOf(sent).some((text) => text.includes('"type":"room"'))) joins.push(machineMs())
      }
    })
    const engines = { primary: yield* Engine.make(folder, "modal"), cover: yield* Engine.make(folder, "moshi") }
    const port = yield* Engine.freePort
    const api = `http://127.0.0.1:${port}`
    const service = yield* Subject.make({
      folder,
      main: options.main,
      heartbeat: `${api}/heartbeat`,
      metricsUrl: `${api}/metrics`,
      env: {
        LT_HPB_URL: `http://127.0.0.1:${hpb.port}`,
        LT_INTERNAL_SECRET: Redacted.value(talk.internalSecret),
        LT_ENGINE: "modal,moshi",
        STT_STREAM_URL: engines.primary.url,
        LT_MOSHI_URL: engines.cover.url,
        LT_MOSHI_KEY: "public_token",
        LT_LISTEN_HOST: "127.0.0.1",
        APP_PERSISTENT_STORAGE: `${folder}/storage`,
        PORT: String(port),
        LOG_LEVEL: "debug"
      }
    })
    const heard = new Map<string, Array<number>>()
    /** Sessions change, voices do not. */
    const voices = new Map<string, string>()
    const speakers = yield* Effect.forEach(record.voices, (name) => {
      const times: Array<number> = []
      heard.set(name, times)
      return talk.addSpeaker({ name, room: ROOM, onHeard: () => times.push(machineMs()) })
    })
    const learn = () => {
      for (const speaker of speakers) voices.set(speaker.sessionId(), speaker.name)
    }
    const viewers = yield* Effect.forEach(["vera", "vic"], (name) => talk.addViewer({ name, room: ROOM }))
    const readers = viewers.map((viewer) => {
      const isHere = (session: string) => speakers.some((speaker) => speaker.sessionId() === session)
      const overlay = makeOverlay(isHere)
      viewer.onCaption(overlay.receive)
      return { viewer, overlay }
    })
    const mouths = speakers.map((speaker, number): Mouth => {
      const words = record.wordsOf(speaker.name)
      let spoken = 0
      return {
        voice: speaker.name,
        say: Effect.fnUntraced(function* (count) {
          const next = Array.from({ length: count }, (_, i) => words[(spoken + i) % words.length] ?? 0)
          const firstSequence = spoken % ToneModem.limits.sequences
          const utterance = ToneModem.speak(next, { speaker: number, sampleRate: ENCODER_RATE, firstSequence })
          spoken += count
          const { startedAtMs } = yield* speaker.say(utterance.pcm)
          for (const { endMs, word } of utterance.words) record.note(speaker.name, wordText(word), startedAtMs + endMs)
        }),
        republish: Effect.sync(() => speaker.republish("silently"))
      }
    })
    return {
      isReal: false,
      about: "simulated HPB and Janus (the real stack was not used); engines simulated",
      folder,
      record,
      mouths,
      received: () => viewers.reduce((sum, viewer) => sum + viewer.captions().length, 0),
      pages: () => {
        learn()
        return readers.map(({ overlay, viewer }) => ({
          reader: viewer.name,
          captions: viewer.captions().map(({ atMs, message, speakerSessionId }) => ({
            voice: voices.get(speakerSessionId),
            text: message,
            atMs
          })),
          blocks: overlay.blocks.map((block) => ({ voice: voices.get(block.speaker), text: overlay.textOf(block) })),
          rewritten: overlay.rewrites.length
        }))
      },
      engines,
      hpb,
      joins: () => joins,
      deafness: (voice, breakMs) => {
        const untilMs = heard.get(voice)?.find((atMs) => atMs > breakMs)
        return untilMs === undefined ? undefined : { fromMs: breakMs, untilMs }
      },
      restartHpb: (downMs) =>
        Effect.gen(function* () {
          learn()
          yield* talk.restart(downMs)
          learn()
          return { answersMs: machineMs() - BACK_MS, publishedMs: machineMs() }
        }),
      restartJanus: (downMs) => Effect.map(talk.restartMedia(downMs), () => ({ publishedMs: machineMs() })),
      setAir: () => undefined,
      service,
      press: attempt("asking for captions", () =>
        fetch(`${api}/api/v1/call/transcribe`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ roomToken: ROOM, languageId: "en" })
        })
      )
    }
  })
