/** Kyutai on Modal within the test, on the test's clock: its ears, its delay, its speed and the way to it, without a socket. */
import { Effect, FiberSet, Layer, Queue, Stream } from "effect"
import { SAMPLE_RATE } from "../../src/domain/Audio.ts"
import { monotonicMs } from "../../src/layers/Monotonic.ts"
import * as SimulatedRecogniser from "../../src/layers/SimulatedRecogniser.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { ModalClient, type ModalError, type ModalMessage } from "../../src/services/ModalClient.ts"

export interface Options {
  /** Times real time at which a session's audio is computed. */
  readonly speed: number
  /** To the server and back. */
  readonly wayMs: number
}

/** A session as the server saw it. */
export interface Seen {
  readonly openedMs: number
  closedMs: number
  /** When something else than silence came last. */
  soundMs: number
  samples: number
  /** When silence followed on sound. */
  readonly silences: Array<number>
  words: number
}

/** The client, and all sessions it ever opened. */
export const make = Effect.fnUntraced(function* ({ speed, wayMs }: Options) {
  const now = yield* monotonicMs
  const sessions: Array<Seen> = []
  const open = Effect.gen(function* () {
    const fork = yield* FiberSet.makeRuntime<never, void, never>()
    const incoming = yield* Queue.unbounded<ModalMessage, ModalError>()
    const seen: Seen = {
      openedMs: now(),
      closedMs: Number.POSITIVE_INFINITY,
      soundMs: now(),
      samples: 0,
      words: 0,
      silences: []
    }
    sessions.push(seen)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        seen.closedMs = now()
      })
    )
    const recogniser = SimulatedRecogniser.make({
      delayMs: 500,
      format: ToneModem.normal,
      punctuation: false,
      onFault: () => {},
      onWord: ({ text }) => {
        seen.words++
        Queue.offerUnsafe(incoming, { _tag: "Token", text, atMs: now() })
      }
    })
    let busyUntilMs = 0
    let wasSilent = true
    const send = (pcm: Float32Array) => {
      seen.samples += pcm.length
      const isSilent = pcm.every((sample) => sample === 0)
      if (isSilent && !wasSilent) seen.silences.push(now())
      if (!isSilent) seen.soundMs = now()
      wasSilent = isSilent
      busyUntilMs = Math.max(now(), busyUntilMs) + (pcm.length / SAMPLE_RATE / speed) * 1000
      // what is sent is only lent
      const sound = pcm.slice()
      const hear = Effect.sync(() => recogniser.push(sound, now()))
      fork(Effect.andThen(Effect.sleep(busyUntilMs - now() + wayMs), hear))
      return true
    }
    return { send, keepAlive: () => {}, messages: Stream.fromQueue(incoming) }
  })
  return { sessions, layer: Layer.succeed(ModalClient, { open, probe: Effect.void, isLocal: false }) }
})
