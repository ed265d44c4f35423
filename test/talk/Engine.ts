/**
 * The speech engine of a scenario: a simulator of Kyutai in its own process, reachable from both namespaces.
 */
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, Schema, type Scope } from "effect"
import * as Processes from "./Processes.ts"
import { attempt, because, type ProofError } from "./ProofError.ts"
import * as TcpProxy from "./TcpProxy.ts"

const ENGINE_PORT = 8998
/** The simulator listens on loopback; the far namespace comes in by this door. */
const DOOR_PORT = 8999

const ToldWords = Schema.Array(
  Schema.Struct({
    text: Schema.String,
    session: Schema.Finite,
    audioArrivedAtMs: Schema.Finite,
    tokenSentAtMs: Schema.Finite
  })
)
export type ToldWord = (typeof ToldWords.Type)[number]
const Counters = Schema.Struct({
  opened: Schema.Finite,
  active: Schema.Finite,
  audioSeconds: Schema.Finite,
  corrupt: Schema.Finite,
  gaps: Schema.Finite
})

export interface Engine {
  readonly url: (host: string) => string
  /** Every word it told. */
  readonly told: Effect.Effect<ReadonlyArray<ToldWord>, ProofError>
  readonly counters: Effect.Effect<typeof Counters.Type, ProofError>
}

const get = <A>(path: string, decode: (input: unknown) => Effect.Effect<A, Schema.SchemaError>) =>
  attempt(`engine ${path}`, () =>
    fetch(`http://127.0.0.1:${ENGINE_PORT}${path}`).then((response): Promise<unknown> => response.json())
  ).pipe(Effect.flatMap((body) => Effect.mapError(decode(body), because(`engine ${path}`))))

/** Runs for as long as the scope. */
export const make = (folder: string, flags: ReadonlyArray<string>): Effect.Effect<Engine, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const process_ = yield* Processes.daemon({
      name: "engine",
      command: process.execPath,
      args: [fileURLToPath(new URL("runEngine.ts", import.meta.url)), String(ENGINE_PORT), ...flags],
      logFile: join(folder, "engine.log")
    })
    yield* Processes.says(process_, "engine at ")
    yield* TcpProxy.make(DOOR_PORT, ENGINE_PORT)
    return {
      url: (host) => `ws://${host}:${DOOR_PORT}/v1/stream`,
      told: get("/log", Schema.decodeUnknownEffect(ToldWords)),
      counters: get("/counters", Schema.decodeUnknownEffect(Counters))
    }
  })
