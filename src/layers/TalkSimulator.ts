/**
 * A Talk call on this machine: a simulated High-Performance Backend over a real websocket, speakers whose Opus travels over real
 * ICE, DTLS and SRTP, and viewers who receive captions. For demonstrations, tests and embedders.
 *
 * Real: the messages, their order and their refusals, resumption within 30 s, media. Simulated: Janus (every subscription has a sending
 * peer of its own here, which goes silent without a word as Janus' do), the people, and Nextcloud behind the HPB. Nobody outside
 * this machine is contacted.
 */
import { Context, Effect, Layer, Redacted, Scope } from "effect"
import type { LocalServerError } from "./LocalServer.ts"
import * as SimulatedHpb from "./SimulatedHpb.ts"
import type { HpbVersion } from "./SimulatedProtocol.ts"
import * as SimulatedSpeaker from "./SimulatedSpeaker.ts"
import * as SimulatedViewer from "./SimulatedViewer.ts"
import * as SpeechClock from "./SpeechClock.ts"
import * as SpeechEncoder from "./SpeechEncoder.ts"

export interface TalkSimulatorOptions {
  /** 0, the default, takes any free port. */
  readonly port?: number
  /** What `LT_INTERNAL_SECRET` must be. */
  readonly internalSecret?: Redacted.Redacted
  /** The only Nextcloud a hello may name; any by default. */
  readonly backend?: string
  /** Whose habits are simulated; 2.0.2 by default. */
  readonly version?: HpbVersion
  /** 30,000 as the real one. */
  readonly resumeMs?: number
  /** How long a request for an offer waits for its publisher; 10,000 as the real one. */
  readonly mcuTimeoutMs?: number
}

/** What can be done to a simulated call; people and everything else end with the simulator's scope. */
export interface Simulation {
  /** What `LT_HPB_URL` takes. */
  readonly url: string
  readonly internalSecret: Redacted.Redacted
  readonly addSpeaker: (options: SimulatedSpeaker.SpeakerOptions) => Effect.Effect<SimulatedSpeaker.SimulatedSpeaker>
  readonly addViewer: (options: {
    readonly name: string
    readonly room: string
  }) => Effect.Effect<SimulatedViewer.SimulatedViewer>
  /** How many services (internal sessions) are in the room. */
  readonly servicesIn: (room: string) => number
  /** Cuts every websocket; sessions wait for their resumption. */
  readonly dropSockets: () => void
  /** The HPB dies and is back after `downMs`; people are back 1 s later, with new sessions. Completes then. */
  readonly restart: (downMs: number) => Effect.Effect<void>
  /** Janus dies and is back after `downMs`: no message says so. Speakers come back to the call after it. */
  readonly restartMedia: (downMs: number) => Effect.Effect<void>
  /** A moderator ends the call for everybody. */
  readonly endCall: (room: string) => void
  /** The conversation is deleted. */
  readonly deleteRoom: (room: string) => void
}

/** A simulated call as a service. */
export class TalkSimulator extends Context.Service<TalkSimulator, Simulation>()("parlance/layers/TalkSimulator") {}

const defaultSecret = Redacted.make("the-internal-secret-of-the-simulated-hpb")

/** Starts the HPB on loopback; it ends with the scope. */
export const make = Effect.fn("TalkSimulator.make")(function* (
  options: TalkSimulatorOptions = {}
): Effect.fn.Return<Simulation, LocalServerError, Scope.Scope> {
  const {
    internalSecret = defaultSecret,
    mcuTimeoutMs = 10_000,
    port = 0,
    resumeMs = 30_000,
    version = "2.0.2"
  } = options
  const hpb = yield* SimulatedHpb.make({
    ...(options.backend === undefined ? {} : { backend: options.backend }),
    internalSecret,
    mcuTimeoutMs,
    port,
    resumeMs,
    version
  })
  const clock = yield* SpeechClock.make
  const scope = yield* Effect.scope
  const speakers: Array<SimulatedSpeaker.SimulatedSpeaker> = []
  const viewers: Array<SimulatedViewer.SimulatedViewer> = []

  return {
    url: `http://127.0.0.1:${hpb.port}`,
    internalSecret,
    addSpeaker: Effect.fnUntraced(function* (wanted) {
      const speaker = yield* SpeechEncoder.make.pipe(
        Effect.flatMap((encoder) => SimulatedSpeaker.make({ hpb, clock, encoder }, wanted)),
        Scope.provide(scope)
      )
      speakers.push(speaker)
      return speaker
    }),
    addViewer: (wanted) =>
      Effect.sync(() => {
        const viewer = SimulatedViewer.make(hpb, wanted)
        viewers.push(viewer)
        return viewer
      }),
    servicesIn: hpb.servicesIn,
    dropSockets: hpb.dropSockets,
    restart: Effect.fnUntraced(function* (downMs) {
      hpb.stop()
      yield* Effect.sleep(downMs)
      hpb.start()
      yield* Effect.sleep("1 second")
      for (const person of [...viewers, ...speakers]) if (person.isHere()) person.comeBack()
    }),
    restartMedia: Effect.fnUntraced(function* (downMs) {
      hpb.mcu.setDown(true)
      yield* Effect.sleep(downMs)
      hpb.mcu.setDown(false)
      for (const speaker of speakers) if (speaker.isHere()) speaker.republish("announced")
    }),
    endCall: (room) => {
      hpb.room(room).endForAll(version !== "0.4.1")
      for (const speaker of speakers) if (speaker.room === room) speaker.leaveCall()
    },
    deleteRoom: (room) => hpb.room(room).remove()
  }
})

/** A simulated call for as long as the layer lives. */
export const layer = (options: TalkSimulatorOptions = {}) => Layer.effect(TalkSimulator, make(options))
