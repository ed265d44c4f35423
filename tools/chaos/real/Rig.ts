/**
 * The stage on the real stack: a real HPB and Janus, people with real peer connections, a fake Nextcloud.
 */
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import { machineMs } from "../../../test/talk/HpbClient.ts"
import type { Ledger } from "../../../test/talk/Ledger.ts"
import * as NextcloudFake from "../../../test/talk/NextcloudFake.ts"
import { failure, type ProofError } from "../../../test/talk/ProofError.ts"
import { expectOk, request } from "../../../test/talk/Service.ts"
import * as RealStack from "../../../test/talk/Stack.ts"
import * as Viewer from "../../../test/talk/Viewer.ts"
import * as WeriftSpeaker from "../../../test/talk/WeriftSpeaker.ts"
import * as AirPath from "./AirPath.ts"
import * as Engine from "./Engine.ts"
import * as FaultyProxy from "./FaultyProxy.ts"
import * as Hearing from "./Hearing.ts"
import * as Record from "./Record.ts"
import type { Stage } from "./Stage.ts"
import * as Subject from "./Subject.ts"

const ROOM = "chaosroom"
const APP_PORT = "23000"
const API_PORT = "8095"

/** Publishing fails while Janus and the HPB find each other again. */
const publishAgain = { times: 8, while: () => Effect.as(Effect.sleep("500 millis"), true) }

const makePeople = (stack: RealStack.Stack, record: Record.Record, ledger: Ledger) =>
  Effect.gen(function* () {
    const { nextcloud } = stack
    const paths = new Map(record.voices.map((voice) => [voice, AirPath.make()]))
    const viewers = yield* Effect.forEach(["vera", "vic"], (name) => Viewer.make({ nextcloud, room: ROOM, name }))
    const speakers = yield* Effect.forEach(record.voices, (name, number) =>
      WeriftSpeaker.make({
        nextcloud,
        ledger,
        room: ROOM,
        name,
        number,
        words: record.wordsOf(name),
        through: (write) => paths.get(name)?.through(write) ?? write
      })
    )
    return { paths, viewers, speakers }
  })

const ledgerOf = (record: Record.Record): Ledger => {
  const names = new Map<string, string>()
  return {
    said: [],
    note: ({ atMs, speaker, word }) => record.note(speaker, word, atMs ?? machineMs()),
    name: (session, speaker) => names.set(session, speaker),
    speakerOf: (session) => names.get(session)
  }
}

/** Up and answering, for as long as the scope. */
export const make = (
  bench: RealStack.Bench,
  options: { readonly name: string; readonly voices: ReadonlyArray<string>; readonly runners?: number }
): Effect.Effect<Stage, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const binary = bench.hpbs.find(({ generation }) => generation === "2")
    if (binary === undefined) return yield* failure("no HPB 2")
    const stack = yield* RealStack.make({ bench, name: options.name, hpb: binary })
    const { folder, nextcloud } = stack
    const record = Record.make(options.voices)
    const ledger = ledgerOf(record)
    const hearing = yield* Hearing.make(ledger.speakerOf)
    const hpb = yield* FaultyProxy.make({ target: 8080, tap: hearing.tap })
    const engines = { primary: yield* Engine.make(folder, "modal"), cover: yield* Engine.make(folder, "moshi") }
    const app = `http://127.0.0.1:${APP_PORT}`
    const service = yield* Subject.make({
      folder,
      main: bench.main,
      heartbeat: `${app}/heartbeat`,
      metricsUrl: `http://127.0.0.1:${API_PORT}/metrics`,
      env: {
        LT_HPB_URL: `http://127.0.0.1:${hpb.port}`,
        LT_INTERNAL_SECRET: RealStack.INTERNAL_SECRET,
        LT_ENGINE: "modal,moshi",
        STT_STREAM_URL: engines.primary.url,
        LT_MOSHI_URL: engines.cover.url,
        LT_MOSHI_KEY: "public_token",
        NEXTCLOUD_URL: nextcloud.backend,
        APP_ID: NextcloudFake.APP.id,
        APP_SECRET: NextcloudFake.APP.secret,
        APP_VERSION: NextcloudFake.APP.version,
        APP_HOST: "127.0.0.1",
        APP_PORT,
        APP_PERSISTENT_STORAGE: join(folder, "storage"),
        PORT: API_PORT,
        LT_RUNNERS: String(options.runners ?? 1),
        LOG_LEVEL: "debug"
      }
    })
    const ask = (method: string, path: string, body?: object) =>
      Effect.flatMap(request(`${app}${path}`, method, body), expectOk)
    yield* ask("POST", "/init")
    yield* ask("PUT", "/enabled?enabled=1")
    const { paths, speakers, viewers } = yield* makePeople(stack, record, ledger)
    const everybody = <A>(act: (speaker: WeriftSpeaker.Speaker) => Effect.Effect<A, ProofError>) =>
      Effect.forEach(speakers, act, { concurrency: "unbounded", discard: true })
    return {
      isReal: true,
      about: `real stack: HPB ${binary.version}, Janus, werift; engines simulated`,
      folder,
      record,
      mouths: speakers.map((speaker) => ({
        voice: speaker.name,
        say: (count) => speaker.say(count),
        republish: speaker.unpublish.pipe(
          // Until Janus has hung up, a new offer would be taken for a renegotiation of the dead connection.
          Effect.andThen(Effect.sleep("1500 millis")),
          Effect.andThen(Effect.retry(speaker.publish, publishAgain))
        )
      })),
      received: () => viewers.reduce((sum, { received }) => sum + received.length, 0),
      pages: () =>
        viewers.map(({ name, overlay, received }) => ({
          reader: name,
          captions: received.map(({ atMs, message, speaker }) => ({
            voice: ledger.speakerOf(speaker),
            text: message,
            atMs
          })),
          blocks: overlay.blocks.map((block) => ({
            voice: ledger.speakerOf(block.speaker),
            text: overlay.textOf(block)
          })),
          rewritten: overlay.rewrites.length
        })),
      engines,
      hpb,
      joins: hearing.joins,
      deafness: hearing.deafness,
      restartHpb: (downMs) =>
        Effect.gen(function* () {
          yield* stack.hpb.stop()
          nextcloud.forget()
          yield* Effect.sleep(downMs)
          yield* stack.hpb.start
          const answersMs = machineMs()
          yield* Effect.forEach(viewers, (viewer) => viewer.comeBack, { concurrency: "unbounded", discard: true })
          yield* everybody((speaker) => Effect.retry(speaker.comeBack, publishAgain))
          return { answersMs, publishedMs: machineMs() }
        }),
      restartJanus: (downMs) =>
        Effect.gen(function* () {
          yield* stack.janus.stop("SIGKILL")
          yield* Effect.sleep(downMs)
          yield* stack.janus.start
          yield* everybody((speaker) =>
            speaker.leaveCall.pipe(
              Effect.andThen(Effect.sleep("300 millis")),
              Effect.andThen(speaker.enterCall),
              Effect.andThen(Effect.retry(speaker.publish, publishAgain))
            )
          )
          return { publishedMs: machineMs() }
        }),
      setAir: (voice, air) => paths.get(voice)?.set(air),
      service,
      press: Effect.forEach(
        viewers,
        ({ ncSession }) =>
          ask("POST", "/api/v1/call/transcribe", { roomToken: ROOM, ncSessionId: ncSession, enable: true }),
        { discard: true }
      )
    }
  })
