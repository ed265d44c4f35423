/**
 * A participant who reads captions in a simulated call, without a microphone.
 */
import { Option, Schema } from "effect"
import { InCall } from "../domain/Roster.ts"
import type { SimulatedHpb } from "./SimulatedHpb.ts"
import * as SimulatedPerson from "./SimulatedPerson.ts"
import * as Protocol from "./SimulatedProtocol.ts"
import { epochMs } from "./SpeechClock.ts"

/** A caption as it came: Talk's five fields, which session sent it, and when (ms since 1970, fractional). */
export interface ReceivedCaption {
  readonly message: string
  readonly langId: string
  readonly speakerSessionId: string
  readonly final: boolean
  readonly from: string
  readonly atMs: number
}

export interface SimulatedViewer {
  readonly name: string
  readonly sessionId: () => string
  /** What the request for captions names the viewer by. */
  readonly nextcloudSession: () => string
  /** Everything so far, in order. */
  readonly captions: () => ReadonlyArray<ReceivedCaption>
  readonly onCaption: (listener: (caption: ReceivedCaption) => void) => void
  readonly leave: () => void
  readonly isHere: () => boolean
  /** As a browser: everything is new, in a moment it is in the call again. Captions must be asked for anew. */
  readonly reload: () => void
  /** Back in the call with a new session: after the HPB was restarted. */
  readonly comeBack: () => void
}

/** In the call at once. */
export const make = (hpb: SimulatedHpb, options: { readonly name: string; readonly room: string }): SimulatedViewer => {
  const person = SimulatedPerson.make(hpb, options)
  const captions: Array<ReceivedCaption> = []
  const listeners: Array<(caption: ReceivedCaption) => void> = []

  person.onMessage((message) => {
    const atMs = epochMs()
    const relayed = Option.getOrUndefined(decodeRelayed(message))
    const transcript = Option.getOrUndefined(Protocol.decodeTranscript(relayed?.message.data))
    if (relayed === undefined || transcript === undefined) return
    const { final = true, langId, message: text, speakerSessionId } = transcript
    const caption = { message: text, langId, speakerSessionId, final, from: relayed.message.sender.sessionid, atMs }
    captions.push(caption)
    for (const listener of listeners) listener(caption)
  })
  let isHere = false
  const enterCall = () => {
    isHere = true
    person.enter()
    person.setInCall(InCall.IN_CALL)
  }
  const leave = () => {
    isHere = false
    person.setInCall(0)
    person.leave()
  }

  enterCall()
  return {
    name: person.name,
    sessionId: person.sessionId,
    nextcloudSession: person.nextcloudSession,
    captions: () => captions,
    onCaption: (listener) => {
      listeners.push(listener)
    },
    leave,
    isHere: () => isHere,
    reload: () => {
      leave()
      person.reload()
      enterCall()
    },
    comeBack: () => {
      leave()
      enterCall()
    }
  }
}

/** As `Protocol.relayed` writes it. */
const decodeRelayed = Schema.decodeUnknownOption(
  Schema.Struct({
    message: Schema.Struct({ sender: Schema.Struct({ sessionid: Schema.String }), data: Schema.Unknown })
  })
)
