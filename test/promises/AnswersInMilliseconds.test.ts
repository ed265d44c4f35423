/**
 * Talk gives an answer three seconds and never asks twice. So no answer waits for the HPB, the engine or Nextcloud, whatever their state.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { kyutaiLanguages } from "../../src/domain/Language.ts"
import * as ClusterCalls from "../../src/layers/ClusterCalls.ts"
import * as InProcessCalls from "../../src/layers/InProcessCalls.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import type { Calls } from "../../src/services/Calls.ts"
import { PeerConnection } from "../../src/services/PeerConnection.ts"
import { Signaling } from "../../src/services/Signaling.ts"
import { Transcriber } from "../../src/services/Transcriber.ts"
import { TranscriptSink } from "../../src/services/TranscriptSink.ts"
import { appApiHeaders, ask, exApp, nextcloud } from "../support/HttpSetup.ts"
import * as Standstill from "../support/Standstill.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

/** A third of Talk's patience, on a machine that may be busy with other tests; where this process stood still nobody could answer. */
const limitMs = 1000

/** An HPB that never lets us in, and a Nextcloud that never answers. */
const silent = nextcloud({
  reportInit: () => Effect.never,
  enabled: Effect.never,
  absoluteUrl: Effect.never,
  iceServers: () => Effect.never
})
const behind = Layer.mergeAll(
  Layer.mock(Signaling, { join: () => Effect.never, refusal: () => undefined }),
  Layer.mock(TranscriptSink, {}),
  Layer.mock(PeerConnection, {}),
  OpusDecoder.layerWasm,
  Layer.mock(Transcriber, { languages: kyutaiLanguages, prepare: () => Effect.void }),
  silent,
  Logger.layer([])
)

const places: Readonly<Record<string, Layer.Layer<Calls>>> = {
  "whose calls are in memory": InProcessCalls.layer().pipe(Layer.provide(behind)),
  "that writes down what is wanted": Layer.unwrap(
    Effect.map(temporaryFolder, (storage) => ClusterCalls.layer({ storage }))
  ).pipe(Layer.provide(behind)),
  "that cannot write it down": ClusterCalls.layer({ storage: "/dev/null/storage" }).pipe(Layer.provide(behind))
}

describe("with everything behind it hanging", () => {
  for (const [place, calls] of Object.entries(places)) {
    it.live(`the ExApp ${place} answers every question of AppAPI and Talk well within Talk's patience`, () =>
      Effect.gen(function* () {
        const headers = appApiHeaders()
        const standstill = yield* Standstill.watch
        const slowest: Array<{ readonly what: string; readonly fromMs: number; readonly toMs: number }> = []
        const timed = Effect.fnUntraced(function* (
          method: "GET" | "POST" | "PUT",
          path: string,
          expected: number,
          body?: unknown
        ) {
          const fromMs = Date.now()
          const answer = yield* ask(method, path, body === undefined ? { headers } : { headers, body })
          assert.strictEqual(answer.status, expected, `${method} ${path}`)
          slowest.push({ what: `${method} ${path}`, fromMs, toMs: Date.now() })
        })
        yield* timed("POST", "/init", 200)
        for (let index = 0; index < 20; index++) {
          const roomToken = `room${index % 5}`
          const viewer = { roomToken, ncSessionId: `session${index}` }
          yield* timed("POST", "/api/v1/call/transcribe", 200, viewer)
          yield* timed("POST", "/api/v1/call/set-language", 200, { roomToken, langId: "fr" })
          yield* timed("GET", "/api/v1/languages", 200)
          yield* timed("GET", "/capabilities", 200)
          yield* timed("GET", "/api/v1/status", 200)
          yield* timed("GET", "/health", 200)
          yield* timed("POST", "/api/v1/translation/set-target-language", 550, { ...viewer, langId: "de" })
          yield* timed("POST", "/api/v1/call/transcribe", 200, { ...viewer, enable: false })
          yield* timed("POST", "/api/v1/call/leave", 200, { roomToken })
        }
        yield* timed("POST", "/api/v1/call/transcribe", 200, { roomToken: "last", ncSessionId: "s" })
        yield* timed("PUT", "/enabled?enabled=0", 200)
        yield* timed("PUT", "/enabled?enabled=1", 200)
        for (const { fromMs, toMs, what } of slowest)
          if (standstill.wasWhole(fromMs, toMs)) assert.isBelow(toMs - fromMs, limitMs, what)
      }).pipe(Effect.provide(exApp({ calls, nextcloud: silent })))
    )
  }
})
