/**
 * Machines that share calls through PostgreSQL, a process each, with wires between them that can be cut; people who say words all the time, and what
 * was read of them.
 */
import { hostname } from "node:os"
import { fileURLToPath } from "node:url"
import { Effect, Fiber, Redacted } from "effect"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import type { ReceivedCaption } from "../../src/layers/SimulatedViewer.ts"
import { ENCODER_RATE } from "../../src/layers/SpeechEncoder.ts"
import * as TalkSimulator from "../../src/layers/TalkSimulator.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import * as ToneWords from "../../src/layers/ToneWords.ts"
import type { Postgres } from "./Postgres.ts"
import { freePort, start } from "./ServiceProcess.ts"
import * as SharedCalls from "./SharedCalls.ts"
import * as Standstill from "./Standstill.ts"
import * as Wire from "./Wire.ts"

const preload = fileURLToPath(new URL("throughWires.ts", import.meta.url))
const WORDS_AT_ONCE = 6
const PAUSE = "500 millis"
/** Six of them take 2.2 s. */
const WORD_MS = 400

export interface Talking {
  /** Ends when the sentence has; by then all that will be read is read. */
  readonly stop: Effect.Effect<Account>
  readonly captions: () => ReadonlyArray<ReceivedCaption>
}

/** What was read of what was said, times in ms since 1970. */
export interface Account {
  readonly said: number
  /** In finals. */
  readonly twice: ReadonlyArray<string>
  /**
   * When each began that was in no caption at all. Those do not count in which this process stood still (`Standstill`).
   */
  readonly lost: ReadonlyArray<number>
  /** When each began that was in no final one. */
  readonly unfinished: ReadonlyArray<number>
  /** Sessions that captioned, in the order of their captions; one that takes turns with another is there again. */
  readonly senders: ReadonlyArray<string>
  readonly isInOrder: boolean
  readonly captionsMs: ReadonlyArray<number>
}

/** The longest time without a caption between these moments. */
export const silenceMs = ({ captionsMs }: Account, fromMs: number, toMs: number): number => {
  const times = [fromMs, ...captionsMs.filter((atMs) => atMs > fromMs && atMs < toMs), toMs]
  return Math.max(...times.slice(1).map((atMs, n) => atMs - (times[n] ?? atMs)))
}

/** Two machines, each with its own ways to the database and to the other one. */
export const make = Effect.fnUntraced(function* (postgres: Postgres) {
  const url = new URL(Redacted.value(postgres.url))
  const talk = yield* TalkSimulator.make()
  const engine = yield* KyutaiSimulator.make()
  const ports = [yield* freePort, yield* freePort]
  const between = yield* Effect.forEach(ports, Wire.make)
  const wires = ports.map((port, n) => `${port}=${between[n]?.port}`).join(",")
  const machines = yield* Effect.forEach(
    ports,
    Effect.fnUntraced(function* (runnerPort) {
      const database = yield* Wire.make(postgres.port)
      const port = String(yield* freePort)
      const through = new URL(url)
      through.port = String(database.port)
      const service = yield* start({
        PORT: port,
        LT_HPB_URL: talk.url,
        LT_INTERNAL_SECRET: Redacted.value(talk.internalSecret),
        STT_STREAM_URL: engine.url,
        LT_DATABASE_URL: through.href,
        // Not an address of which this system could say that nobody listens there.
        LT_RUNNER_ADDRESS: `${hostname()}:${runnerPort}`,
        NODE_OPTIONS: `--import=${preload}`,
        WIRES: wires
      })
      yield* service.says(`:${port}"`)
      const joined = () => service.output().split('"room joined"').length - 1
      return { service, database, runnerPort, joined, ...SharedCalls.client(`http://127.0.0.1:${port}`) }
    }),
    { concurrency: "unbounded" }
  )
  const [one, other] = machines
  if (one === undefined || other === undefined) return yield* Effect.die("there are two")
  yield* Effect.sleep("2 seconds")
  const standstill = yield* Standstill.watch
  const wasWhole = (atMs: number) => standstill.wasWhole(atMs, atMs + WORD_MS)

  const talking = Effect.fnUntraced(function* (room: string) {
    const viewer = yield* talk.addViewer({ name: `Vera ${room}`, room })
    const speaker = yield* talk.addSpeaker({ name: `Ada ${room}`, room })
    yield* one.want(room)
    yield* SharedCalls.within(
      60,
      Effect.sync(() => talk.servicesIn(room) > 0)
    )
    const said: Array<{ readonly word: string; readonly atMs: number }> = []
    let isOver = false
    const saying = yield* Effect.forkScoped(
      Effect.gen(function* () {
        while (!isOver) {
          const numbers = Array.from({ length: WORDS_AT_ONCE }, (_, n) => said.length + n)
          const { pcm, words } = ToneModem.speak(numbers, { speaker: 1, sampleRate: ENCODER_RATE })
          const { startedAtMs } = yield* speaker.say(pcm)
          for (const { startMs, word } of words)
            said.push({ word: ToneWords.wordText(word), atMs: startedAtMs + startMs })
          yield* Effect.sleep(PAUSE)
        }
      })
    )
    yield* SharedCalls.within(
      60,
      Effect.sync(() => viewer.captions().length > 0)
    )
    const firstMs = viewer.captions()[0]?.atMs ?? 0
    const stop = Effect.gen(function* () {
      isOver = true
      yield* Fiber.join(saying)
      const isLastRead = () =>
        viewer
          .captions()
          .some(({ message }) => message.split(" ").some((word) => ToneWords.wordIndex(word) === said.length - 1))
      // A busy machine reads late; whom nobody heard at the end nobody reads at all.
      yield* Effect.sleep("50 millis").pipe(Effect.repeat({ until: isLastRead }), Effect.timeoutOption("20 seconds"))
      yield* Effect.sleep("2 seconds")
      const inCaptions = (isMeant: (caption: ReceivedCaption) => boolean) =>
        viewer
          .captions()
          .filter(isMeant)
          .flatMap(({ message }) => message.split(" "))
          .flatMap((word) => ToneWords.wordIndex(word) ?? [])
      const finals = inCaptions(({ final }) => final)
      const read = new Set(inCaptions(() => true))
      const isFinal = new Set(finals)
      const notIn = (words: ReadonlySet<number>) =>
        said.flatMap(({ atMs }, n) => (atMs < firstMs || words.has(n) ? [] : [atMs]))
      return {
        said: said.length,
        twice: finals.filter((word, n) => finals.indexOf(word) !== n).map(ToneWords.wordText),
        lost: notIn(read).filter(wasWhole),
        unfinished: notIn(isFinal),
        senders: viewer
          .captions()
          .map(({ from }) => from)
          .filter((from, n, all) => from !== all[n - 1]),
        isInOrder: finals.every((word, n) => n === 0 || word > (finals[n - 1] ?? word)),
        captionsMs: viewer.captions().map(({ atMs }) => atMs)
      }
    })
    return { stop, captions: viewer.captions } satisfies Talking
  })

  return {
    talk,
    engine,
    machines: [one, other] as const,
    /** No runner reaches another one, or all do again. */
    part: (areParted: boolean) => {
      for (const wire of between) wire.hold(areParted ? "all" : "nothing")
    },
    /** Somebody in this room speaks all the time from now on, and somebody reads; returns when the first caption has come. */
    talking,
    /** Who has the room, as the database has it; and the one who has not. */
    ownerOf: (room: string) =>
      Effect.map(postgres.query(`SELECT address FROM call_seats WHERE room = '${room}'`), (address) =>
        address.endsWith(`:${one.runnerPort}`) ? ([one, other] as const) : ([other, one] as const)
      ),
    leader: Effect.map(postgres.query("SELECT address FROM cluster_locks"), (address) =>
      address.includes(`:${one.runnerPort}`) ? one : other
    )
  }
})
