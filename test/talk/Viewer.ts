/**
 * A participant who reads: no devices, an overlay as Talk's page has it, and a note of when each word first arrived.
 */
import { randomInt } from "node:crypto"
import { Effect, Schema, type Scope } from "effect"
import * as HpbClient from "./HpbClient.ts"
import type { NextcloudFake } from "./NextcloudFake.ts"
import { makeOverlay, type Overlay } from "./Overlay.ts"
import type { ProofError } from "./ProofError.ts"

export interface ViewerOptions {
  readonly nextcloud: Pick<NextcloudFake, "backend" | "setInCall">
  readonly room: string
  readonly name: string
}

export interface Received {
  readonly message: string
  readonly langId: string
  readonly speaker: string
  readonly final: boolean
  readonly atMs: number
}

export interface Viewer {
  readonly name: string
  readonly ncSession: string
  readonly client: HpbClient.HpbClient
  readonly overlay: Overlay
  readonly received: ReadonlyArray<Received>
  /** When a message first carried this word. */
  readonly firstSeen: ReadonlyMap<string, number>
  /** Internal sessions in the room, ours among them. */
  readonly bots: () => ReadonlyArray<string>
  readonly enterCall: Effect.Effect<void, ProofError>
  readonly leaveCall: Effect.Effect<void, ProofError>
  /** After the HPB was restarted: a new session there, the page stays. */
  readonly comeBack: Effect.Effect<void, ProofError>
}

/** IN_CALL, without devices. */
const READING = 1

const Transcript = Schema.Struct({
  type: Schema.Literal("transcript"),
  message: Schema.String,
  langId: Schema.String,
  speakerSessionId: Schema.String,
  final: Schema.optionalKey(Schema.Boolean)
})
const isTranscript = Schema.is(Transcript)

export const wordsOf = (text: string): ReadonlyArray<string> =>
  text
    .toLowerCase()
    .split(/\s+/)
    .map((word) => word.replaceAll(/[^a-z]/g, ""))
    .filter((word) => word !== "")

/** In the call for as long as the scope. */
export const make = (options: ViewerOptions): Effect.Effect<Viewer, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const { name, nextcloud, room } = options
    const ncSession = `nc-${name}-${randomInt(1e9)}`
    const client = yield* HpbClient.join({ userId: name, room, ncSession, backend: nextcloud.backend })
    // Talk shows everybody in the call but itself and services.
    const knows = (speaker: string) => {
      const person = client.people.get(speaker)
      return person !== undefined && speaker !== client.sessionId() && !person.internal && (person.inCall & 1) === 1
    }
    const overlay = makeOverlay(knows)
    const received: Array<Received> = []
    const firstSeen = new Map<string, number>()
    client.onMessage(({ message }, atMs) => {
      if (message === undefined || !isTranscript(message.data)) return
      const { final = true, langId, message: text, speakerSessionId } = message.data
      received.push({ message: text, langId, speaker: speakerSessionId, final, atMs })
      overlay.receive(message.data)
      for (const word of wordsOf(text)) if (!firstSeen.has(word)) firstSeen.set(word, atMs)
    })
    const enterCall = nextcloud.setInCall(room, ncSession, READING)
    yield* enterCall
    return {
      name,
      ncSession,
      client,
      overlay,
      received,
      firstSeen,
      bots: () => [...client.people].filter(([, person]) => person.internal).map(([session]) => session),
      enterCall,
      leaveCall: nextcloud.setInCall(room, ncSession, 0),
      comeBack: Effect.andThen(client.rejoin, enterCall)
    }
  })
