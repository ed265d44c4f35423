/**
 * The scene of one scenario: stack, engine and service up, and ways to bring in people.
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import * as Engine from "./Engine.ts"
import * as Metronome from "./Metronome.ts"
import { failure, type ProofError } from "./ProofError.ts"
import type { Generation } from "./Provision.ts"
import * as Service from "./Service.ts"
import * as Stack from "./Stack.ts"
import * as Viewer from "./Viewer.ts"
import * as WeriftSpeaker from "./WeriftSpeaker.ts"

export const ROOM = "proofroom"

export interface SceneOptions extends Omit<Stack.StackOptions, "bench" | "hpb" | "name"> {
  readonly env?: Readonly<Record<string, string>>
  /** Flags of the engine: `fast`, `punctuation`. */
  readonly engine?: ReadonlyArray<string>
  readonly roomType?: "video" | "screen"
  /** Speakers have a bad connection. */
  readonly rough?: boolean
}

export interface Scene {
  readonly stack: Stack.Stack
  readonly engine: Engine.Engine
  readonly service: Service.Service
  readonly viewer: (name: string) => Effect.Effect<Viewer.Viewer, ProofError, Scope.Scope>
  readonly speaker: (name: string, number: number) => Effect.Effect<WeriftSpeaker.Speaker, ProofError, Scope.Scope>
  /** Somebody who speaks through a SIP bridge. */
  readonly caller: (name: string, number: number) => Effect.Effect<WeriftSpeaker.Speaker, ProofError, Scope.Scope>
  /** Switches captions on (or off) for a viewer. */
  readonly captions: (
    viewer: { readonly ncSession: string; readonly name?: string },
    on: boolean,
    langId?: string
  ) => Effect.Effect<Service.Answer, ProofError>
}

/** A scenario's own corner of the bench. */
export interface Corner {
  readonly bench: Stack.Bench
  readonly name: string
  readonly generation: Generation
}

/** What was said, recognised and received, for whoever has to find out where a word went. */
const keepEvidence = (stack: Stack.Stack, engine: Engine.Engine, viewers: ReadonlyArray<Viewer.Viewer>) =>
  Effect.gen(function* () {
    const told = yield* engine.told
    const counters = yield* engine.counters
    const received = viewers.map((viewer) => ({ name: viewer.name, received: viewer.received }))
    const stalls = Metronome.stalls()
    const evidence = { stalls, said: stack.ledger.said, told, counters, received }
    writeFileSync(join(stack.folder, "evidence.json"), JSON.stringify(evidence, null, 1))
  })

export const make = (corner: Corner, options: SceneOptions = {}): Effect.Effect<Scene, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const { bench, generation, name } = corner
    const hpb = bench.hpbs.find((one) => one.generation === generation)
    if (hpb === undefined) return yield* failure(`no HPB ${generation}`)
    const stack = yield* Stack.make({ bench, name, hpb, ...options })
    const engine = yield* Engine.make(stack.folder, options.engine ?? [])
    const service = yield* Service.make(stack, engine, options.env)
    const viewers: Array<Viewer.Viewer> = []
    yield* Effect.addFinalizer(() => Effect.ignore(keepEvidence(stack, engine, viewers)))
    const people = { nextcloud: stack.nextcloud, ledger: stack.ledger, room: ROOM }
    return {
      stack,
      engine,
      service,
      viewer: (who) =>
        Effect.tap(Viewer.make({ ...people, name: who }), (viewer) => Effect.sync(() => viewers.push(viewer))),
      speaker: (who, number) =>
        WeriftSpeaker.make({
          ...people,
          name: who,
          number,
          roomType: options.roomType ?? "video",
          rough: options.rough === true
        }),
      caller: (who, number) => WeriftSpeaker.make({ ...people, name: who, number, phone: true }),
      captions: (viewer, enable, langId) =>
        service.transcribe(
          {
            roomToken: ROOM,
            ncSessionId: viewer.ncSession,
            enable,
            ...(langId === undefined ? {} : { langId })
          },
          viewer.name
        )
    }
  })
