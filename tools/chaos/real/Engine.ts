/**
 * A speech engine of the chaos: a simulator in its own process behind a faulty door.
 */
import { createServer } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, type Scope } from "effect"
import * as Processes from "../../../test/talk/Processes.ts"
import { attempt, type ProofError } from "../../../test/talk/ProofError.ts"
import * as FaultyProxy from "./FaultyProxy.ts"

export type EngineKind = "modal" | "moshi"

export interface Engine {
  readonly kind: EngineKind
  readonly door: FaultyProxy.FaultyProxy
  /** What the service is told. */
  readonly url: string
  readonly process: Processes.Restartable
  /** Sessions that are open now are told no word any more; later ones are served. Kyutai on Modal only. */
  readonly stallSessions: Effect.Effect<void, ProofError>
}

const PATH: Record<EngineKind, string> = { modal: "/v1/stream", moshi: "/api/asr-streaming" }

export const freePort = Effect.callback<number>((resume) => {
  const probe = createServer()
  probe.listen(0, "127.0.0.1", () => {
    const address = probe.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    probe.close(() => resume(Effect.succeed(port)))
  })
})

/** Runs for as long as the scope. */
export const make = (folder: string, kind: EngineKind): Effect.Effect<Engine, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const port = yield* freePort
    let starts = 0
    const process_ = yield* Processes.restartable(
      {
        name: `engine ${kind}`,
        command: process.execPath,
        args: [fileURLToPath(new URL("runEngine.ts", import.meta.url)), kind, String(port)],
        logFile: join(folder, `engine-${kind}.log`)
      },
      (one) => {
        starts += 1
        return Processes.says(one, new RegExp(`(engine at [^]*){${starts}}`))
      }
    )
    const door = yield* FaultyProxy.make({ target: port })
    const control = (change: object) =>
      Effect.asVoid(
        attempt("engine control", () =>
          fetch(`http://127.0.0.1:${port}/control`, { method: "POST", body: JSON.stringify(change) })
        )
      )
    return {
      kind,
      door,
      url: `ws://127.0.0.1:${door.port}${PATH[kind]}`,
      process: process_,
      stallSessions: control({ _tag: "Stall" })
    }
  })
