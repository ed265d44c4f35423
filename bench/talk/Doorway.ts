/**
 * How a publisher's offer comes to Janus: over a participant's session on the HPB, as Talk's page does it.
 */
import { randomInt } from "node:crypto"
import { Effect, Schema, type Scope } from "effect"
import * as HpbClient from "../../test/talk/HpbClient.ts"
import type { NextcloudFake } from "../../test/talk/NextcloudFake.ts"
import type { ProofError } from "../../test/talk/ProofError.ts"
import { TALKING } from "../../test/talk/WeriftSpeaker.ts"

export interface DoorwayOptions {
  readonly nextcloud: Pick<NextcloudFake, "backend" | "setInCall">
  readonly room: string
  readonly name: string
  readonly onAnswer: (sdp: string) => void
  /** Only behind the answer. */
  readonly onCandidate: (candidate: string) => void
}

export interface Doorway {
  readonly offer: (sdp: string) => void
}

const FromJanus = Schema.Struct({
  type: Schema.Literals(["answer", "candidate"]),
  payload: Schema.Struct({
    sdp: Schema.optionalKey(Schema.String),
    candidate: Schema.optionalKey(Schema.Struct({ candidate: Schema.String }))
  })
})
const isFromJanus = Schema.is(FromJanus)

/** In the call with a microphone, for as long as the scope. */
export const open = Effect.fnUntraced(function* ({
  name,
  nextcloud,
  onAnswer,
  onCandidate,
  room
}: DoorwayOptions): Effect.fn.Return<Doorway, ProofError, Scope.Scope> {
  const ncSession = `nc-${name}`
  const client = yield* HpbClient.join({ userId: name, room, ncSession, backend: nextcloud.backend })
  const self = client.sessionId()
  const early: Array<string> = []
  let isAnswered = false
  client.onMessage(({ message }) => {
    if (message?.sender.sessionid !== self || !isFromJanus(message.data)) return
    const { candidate, sdp } = message.data.payload
    if (sdp !== undefined) {
      isAnswered = true
      onAnswer(sdp)
      early.splice(0).forEach(onCandidate)
    }
    if (candidate === undefined || candidate.candidate === "") return
    if (isAnswered) onCandidate(candidate.candidate)
    else early.push(candidate.candidate)
  })
  yield* nextcloud.setInCall(room, ncSession, TALKING)
  return {
    offer: (sdp) => {
      const payload = { nick: name, type: "offer", sdp }
      client.tell(self, { type: "offer", to: self, sid: String(randomInt(1e12)), roomType: "video", payload })
    }
  }
})
