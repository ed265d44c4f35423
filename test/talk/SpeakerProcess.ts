/**
 * A speaker in a process of its own, put into the call by us, to be killed.
 */
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, Option, Schema, type Scope } from "effect"
import * as Processes from "./Processes.ts"
import { type ProofError, until } from "./ProofError.ts"
import { ROOM, type Scene } from "./Scene.ts"
import { TALKING } from "./WeriftSpeaker.ts"

export interface SpeakerProcess {
  readonly process: Processes.Daemon
  readonly session: () => string
}

const Line = Schema.fromJsonString(
  Schema.Union([
    Schema.Struct({ session: Schema.String }),
    Schema.Struct({ ncSession: Schema.String }),
    Schema.Struct({ word: Schema.String, speaker: Schema.String, atMs: Schema.Finite })
  ])
)
const decodeLine = Schema.decodeUnknownOption(Line)

/** Speaks from now on until it is ended; the ledger has what it says. */
export const make = (
  scene: Scene,
  name: string,
  number: number
): Effect.Effect<SpeakerProcess, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const { folder, ledger, nextcloud } = scene.stack
    const options = { backend: nextcloud.backend, room: ROOM, name, number }
    const running = yield* Processes.daemon({
      name,
      command: process.execPath,
      args: [fileURLToPath(new URL("runSpeaker.ts", import.meta.url)), JSON.stringify(options)],
      logFile: join(folder, `${name}.log`)
    })
    let session = ""
    let ncSession = ""
    let read = 0
    const readLines = () => {
      const lines = running.log().split("\n")
      for (const line of lines.slice(read, -1)) {
        const said = Option.getOrUndefined(decodeLine(line))
        if (said === undefined) continue
        if ("word" in said) ledger.note(said)
        else if ("ncSession" in said) ncSession = said.ncSession
        else {
          session = said.session
          ledger.name(session, name)
        }
      }
      read = lines.length - 1
    }
    yield* Effect.forkScoped(Effect.forever(Effect.delay(Effect.sync(readLines), "50 millis")))
    yield* until(`${name} to join`, () => ncSession !== "")
    yield* nextcloud.setInCall(ROOM, ncSession, TALKING)
    return { process: running, session: () => session }
  })
