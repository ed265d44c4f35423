/**
 * The scene: a simulated call, the real service, people who speak and people who read.
 */
import { Effect, Redacted, type Scope } from "effect"
import * as KyutaiSimulator from "../src/layers/KyutaiSimulator.ts"
import type { LocalServerError } from "../src/layers/LocalServer.ts"
import type { SimulatedSpeaker } from "../src/layers/SimulatedSpeaker.ts"
import { ENCODER_RATE } from "../src/layers/SpeechEncoder.ts"
import * as TalkSimulator from "../src/layers/TalkSimulator.ts"
import * as ToneModem from "../src/layers/ToneModem.ts"
import { wordText } from "../src/layers/ToneWords.ts"
import type { DemoOptions } from "./Options.ts"
import * as Reader from "./Reader.ts"
import * as Score from "./Score.ts"
import type { Screen } from "./Screen.ts"
import * as Script from "./Script.ts"
import * as ServiceProcess from "./ServiceProcess.ts"

export interface Outcome {
  readonly spoken: number
  readonly verdicts: ReadonlyArray<Score.Verdict>
  readonly latencies: Score.Latencies
  /** Where to look for what went wrong, in plain lines; empty when nothing did. */
  readonly clues: ReadonlyArray<string>
}

type SceneError = LocalServerError | ServiceProcess.ServiceError

const room = "demo"
const names = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Niklaus"]

/** Plays it from beginning to end. */
export const play = (options: DemoOptions, screen: Screen): Effect.Effect<Outcome, SceneError, Scope.Scope> =>
  Effect.gen(function* () {
    const talk = yield* TalkSimulator.make()
    const kyutai = yield* KyutaiSimulator.make()
    const viewers = [yield* talk.addViewer({ name: "Vera", room }), yield* talk.addViewer({ name: "Viktor", room })]
    const speakers = yield* Effect.forEach(Array.from({ length: options.speakers }), (_, i) =>
      // One of them has a camera too: its video is offered and must be declined.
      talk.addSpeaker({ name: names[i] ?? `Guest ${i + 1}`, room, camera: i === 0 })
    )
    const nameOf = (session: string) =>
      speakers.find((one) => one.sessionId() === session)?.name ?? "(somebody unknown)"
    const readers = viewers.map((viewer) => Reader.make(viewer, () => speakers.map((one) => one.sessionId())))
    for (const viewer of viewers.slice(0, 1)) screen.follow(viewer, nameOf)

    screen.say("Starting the service …")
    const service = yield* ServiceProcess.make({
      LT_HPB_URL: talk.url,
      LT_INTERNAL_SECRET: Redacted.value(talk.internalSecret),
      STT_STREAM_URL: kyutai.url,
      LOG_LEVEL: "warn"
    })
    yield* service.start(room)
    yield* hears(service, options.speakers)
    screen.say(`Everybody is heard. What ${viewers[0]?.name} reads:\n`)

    const said = yield* perform(speakers, Script.write(options.speakers, options.seconds))
    yield* allRead(readers, said.length)
    yield* service.stop(room)
    const told = kyutai.log()
    const lost = readers.flatMap((reader) => Score.lostBy(reader, said, told))
    return {
      spoken: said.length,
      verdicts: readers.map((reader) => Score.judge(reader, said)),
      latencies: Score.latencies(readers, said, told),
      clues: [
        ...lost.map(
          ({ reader, speaker, wasTold, word }) =>
            `${reader} never read "${wordText(word)}" of ${nameOf(speaker)}: the engine ${wasTold ? "told it" : "did not hear it"}`
        ),
        ...service.log()
      ]
    }
  })

const hears = (service: ServiceProcess.ServiceProcess, count: number) =>
  service.speakers(room).pipe(
    Effect.delay("100 millis"),
    Effect.repeat({ until: (heard) => heard === count }),
    Effect.timeoutOrElse({
      duration: "40 seconds",
      orElse: () =>
        Effect.fail(
          new ServiceProcess.ServiceError({ detail: `not everybody was heard in time:\n${service.log().join("\n")}` })
        )
    })
  )

/** Everybody says their turns; gives every word with the moment of its last sound. */
const perform = Effect.fnUntraced(function* (
  speakers: ReadonlyArray<SimulatedSpeaker>,
  script: ReadonlyArray<Script.Turn>
) {
  const said: Array<Score.SaidWord> = []
  yield* Effect.forEach(
    speakers,
    Effect.fnUntraced(function* (speaker, i) {
      const own = script.filter((turn) => turn.speaker === i)
      let count = 0
      let nowMs = 0
      for (const { atMs, isCrossTalk, words } of own) {
        yield* Effect.sleep(Math.max(0, atMs - nowMs))
        const utterance = ToneModem.speak(words, {
          speaker: i,
          sampleRate: ENCODER_RATE,
          firstSequence: count % ToneModem.limits.sequences
        })
        const { startedAtMs } = yield* speaker.say(utterance.pcm)
        count += words.length
        nowMs = atMs + (utterance.pcm.length / ENCODER_RATE) * 1000
        for (const { endMs, word } of utterance.words) {
          said.push({ word, speaker: speaker.sessionId(), endedAtMs: startedAtMs + endMs, isCrossTalk })
        }
      }
    }),
    { concurrency: "unbounded", discard: true }
  )
  return said
})

/** The last words need the engine's half second and may wait for their turn; after 10 s whatever is missing is lost. */
const allRead = (readers: ReadonlyArray<Reader.Reader>, spoken: number) =>
  Effect.sync(() => readers.every((reader) => reader.words().length >= spoken)).pipe(
    Effect.delay("200 millis"),
    Effect.repeat({ until: (isComplete) => isComplete }),
    Effect.timeoutOption("10 seconds"),
    // Long enough for a word that is shown twice.
    Effect.andThen(Effect.sleep("1 second"))
  )
