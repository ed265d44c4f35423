/**
 * A participant with a microphone in a simulated call.
 */
import { randomInt } from "node:crypto"
import { Deferred, Effect, type Scope } from "effect"
import { InCall } from "../domain/Roster.ts"
import type { SimulatedHpb } from "./SimulatedHpb.ts"
import * as SimulatedMicrophone from "./SimulatedMicrophone.ts"
import * as SimulatedPerson from "./SimulatedPerson.ts"
import * as Protocol from "./SimulatedProtocol.ts"
import * as SimulatedPublisher from "./SimulatedPublisher.ts"
import type { SpeechClock } from "./SpeechClock.ts"
import { PACKET_MS, type SpeechEncoder } from "./SpeechEncoder.ts"

export interface SpeakerOptions {
  readonly name: string
  readonly room: string
  /** Offers a camera and a data channel as well. */
  readonly camera?: boolean
  /** Called whenever a new subscription hears its first packet. */
  readonly onHeard?: () => void
}

export interface SimulatedSpeaker {
  readonly name: string
  readonly room: string
  /** Public session id, by which captions name the speaker; new after every restart of the HPB. */
  readonly sessionId: () => string
  readonly nextcloudSession: () => string
  /**
   * Says this after what waits already, and completes when the last packet has left. Gives the moment of the first sample: ms since 1970,
   * 20 ms before the packet that carries it.
   */
  readonly say: (speech: SimulatedMicrophone.Speech) => Effect.Effect<{ readonly startedAtMs: number }>
  /** As Talk does it: the others are told and packets stop; what is to be said waits. */
  readonly mute: () => void
  readonly unmute: () => void
  /** Out of the call, still in the room. */
  readonly leaveCall: () => void
  /** Out of the call and the room. */
  readonly leave: () => void
  readonly isHere: () => boolean
  /** The microphone is published anew: with the in-call flag going 0 and 3, or `silently`, which nobody is told (rig drill B2). */
  readonly republish: (how: "announced" | "silently") => void
  /** Back in the call with a new session: after the HPB or Janus was restarted. */
  readonly comeBack: () => void
}

const TALKING = InCall.IN_CALL | InCall.WITH_AUDIO
const SAMPLES_PER_PACKET = (48_000 * PACKET_MS) / 1000

export interface SpeakerParts {
  readonly hpb: SimulatedHpb
  readonly clock: SpeechClock
  readonly encoder: SpeechEncoder
}

/** In the call and publishing, until its scope closes. */
export const make = (
  { clock, encoder, hpb }: SpeakerParts,
  options: SpeakerOptions
): Effect.Effect<SimulatedSpeaker, never, Scope.Scope> =>
  Effect.gen(function* () {
    const person = SimulatedPerson.make(hpb, options)
    const publisher = yield* SimulatedPublisher.make({ camera: options.camera ?? false, onHeard: options.onHeard })
    const microphone = SimulatedMicrophone.make(encoder)
    let isHere = false
    let timestamp = randomInt(0x1_0000_0000)

    const stopTicking = clock.onTick((dueMs) => {
      timestamp = (timestamp + SAMPLES_PER_PACKET) % 0x1_0000_0000
      const packet = microphone.next(dueMs)
      if (packet !== undefined) publisher.send(packet, timestamp)
    })
    const appear = () => {
      hpb.mcu.addPublisher(person.sessionId(), publisher)
      person.setInCall(TALKING)
      publisher.publish()
    }
    const disappear = () => {
      person.setInCall(0)
      hpb.mcu.removePublisher(person.sessionId())
    }
    const leave = () => {
      isHere = false
      disappear()
      person.leave()
    }
    const comeBack = () => {
      leave()
      person.enter()
      appear()
      isHere = true
    }
    const tellMuted = (type: "mute" | "unmute") => {
      microphone.setMuted(type === "mute")
      const data = { type, payload: { name: "audio" }, roomType: "video" }
      const from = person.sessionId()
      hpb.room(person.room).broadcast(from, Protocol.relayed(from, data), "call")
    }

    comeBack()
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        stopTicking()
        leave()
      })
    )
    return {
      name: person.name,
      room: person.room,
      sessionId: person.sessionId,
      nextcloudSession: person.nextcloudSession,
      say: Effect.fnUntraced(function* (speech) {
        const said = yield* Deferred.make<void>()
        let startedAtMs = 0
        microphone.say({
          speech,
          onStart: (firstSampleMs) => {
            startedAtMs = firstSampleMs
          },
          onEnd: () => Deferred.doneUnsafe(said, Effect.void)
        })
        yield* Deferred.await(said)
        return { startedAtMs }
      }),
      mute: () => tellMuted("mute"),
      unmute: () => tellMuted("unmute"),
      leaveCall: disappear,
      leave,
      isHere: () => isHere,
      republish: (how) => {
        if (how === "announced") {
          disappear()
          appear()
        } else {
          publisher.withdraw()
          publisher.publish()
        }
      },
      comeBack
    }
  })
