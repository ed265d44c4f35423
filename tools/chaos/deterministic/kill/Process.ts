/**
 * Process: one life of the service in a call: its journal, engines, transcriber, sink and voices. What it does once it was killed reaches nobody.
 */
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { type Intent, participant, type RoomToken, type SessionId } from "../../../../src/domain/Call.ts"
import { defaultLanguage } from "../../../../src/domain/Language.ts"
import type { VoiceKey } from "../../../../src/domain/Speaker.ts"
import * as CallVoices from "../../../../src/layers/CallVoices.ts"
import * as EngineHealth from "../../../../src/layers/EngineHealth.ts"
import * as EngineTranscriber from "../../../../src/layers/EngineTranscriber.ts"
import * as TalkTranscriptSink from "../../../../src/layers/TalkTranscriptSink.ts"
import { Engines } from "../../../../src/services/Engines.ts"
import type { RtpPacket } from "../../../../src/services/PeerConnection.ts"
import type { SignalingSession } from "../../../../src/services/Signaling.ts"
import { TranscriptSink } from "../../../../src/services/TranscriptSink.ts"
import * as ScriptedSession from "../../../../test/support/ScriptedSession.ts"
import type * as OracleEngine from "../OracleEngine.ts"
import type * as KeptJournal from "./KeptJournal.ts"
import * as Microphones from "./Microphones.ts"

export interface ProcessOptions {
  readonly room: RoomToken
  readonly session: SignalingSession
  readonly journal: KeptJournal.KeptJournal
  readonly readers: ReadonlyArray<string>
  /** As the process finds them. */
  readonly engines: ReadonlyArray<{
    readonly plan: OracleEngine.EnginePlan
    readonly oracle: OracleEngine.OracleEngine
  }>
  readonly isDead: () => boolean
}

export interface Process {
  /** People are heard from now on. */
  readonly hear: (speakers: ReadonlyArray<SessionId>) => void
  /** A packet of the speaker with this index. */
  readonly onPacket: (speaker: number, packet: RtpPacket) => void
  /** The microphones are off; completes when all was said, or will not be. */
  readonly finish: Effect.Effect<void>
  /** Ends everything. */
  readonly end: Effect.Effect<void>
}

/** A process that has taken up what was left to it. */
export const start = Effect.fnUntraced(function* (options: ProcessOptions): Effect.fn.Return<Process> {
  const { isDead, room } = options
  const scope = yield* Scope.make()
  const session: SignalingSession = {
    ...options.session,
    sendTranscript: (to, transcript) => isDead() || options.session.sendTranscript(to, transcript)
  }
  const intents = options.readers.map(
    (name): Intent => ({ room, viewer: participant(ScriptedSession.nextcloudId(name)), language: defaultLanguage })
  )
  const configured = options.engines.map(({ oracle, plan }) => EngineHealth.make(oracle.engine, plan.role))
  return yield* Effect.gen(function* () {
    const built = yield* Layer.build(
      Layer.mergeAll(
        EngineTranscriber.layer.pipe(Layer.provide(Layer.succeed(Engines, configured))),
        TalkTranscriptSink.layer(),
        Microphones.decoder
      )
    )
    const journal = yield* options.journal.open(room, isDead)
    const sink = yield* Context.get(built, TranscriptSink).open({
      session,
      intents: () => intents,
      onUnsaid: journal.unsaid
    })
    const voices = yield* CallVoices.make({
      room,
      sink,
      roster: session.roster,
      language: () => defaultLanguage,
      privacy: () => "any",
      journal
    }).pipe(Effect.provideContext(built))
    yield* voices.takeUp
    let heard: ReadonlyArray<{ readonly key: VoiceKey; readonly onPacket: (packet: RtpPacket) => void }> = []
    return {
      hear: (speakers) => {
        heard = speakers.map((publisher) => {
          const key: VoiceKey = { publisher, roomType: "video" }
          return { key, ...voices.start(key) }
        })
      },
      onPacket: (speaker, packet) => heard[speaker]?.onPacket(packet),
      finish: Effect.andThen(voices.finish, sink.drain),
      end: Scope.close(scope, Exit.void)
    } satisfies Process
  }).pipe(Scope.provide(scope))
})
