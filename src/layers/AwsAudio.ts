/**
 * AwsAudio: what one stream to Amazon Transcribe is sent and when: speech as it comes, and silence where there has to be some.
 */
import { Effect, Latch, Stream } from "effect"
import { type AudioFrame, SAMPLE_RATE } from "../domain/Audio.ts"
import * as Pcm16 from "./Pcm16.ts"
import type { StreamTimeline } from "./StreamTimeline.ts"

/** Something that waits for the stream to get past the frames sent before it. */
export interface Waypoint {
  /** Sample of the stream behind those frames; `undefined` while some of them wait. */
  readonly at: () => number | undefined
  readonly release: () => void
}

export interface AwsAudio {
  /** `false`: so much is waiting that the connection must be dead; the frame was dropped. */
  readonly send: (frame: AudioFrame) => boolean
  /** Silence follows what was sent, until somebody speaks again or it is released. */
  readonly pad: () => Waypoint
  /** Nothing follows what was sent. */
  readonly end: () => void
  /** For how long the reader of `chunks` has not come back for a frame that was due, ms. */
  readonly blockedMs: () => number
  /** Everything to send, at real time, as little endian 16-bit samples; ends behind `end`. For one reader, who may wait. */
  readonly chunks: Stream.Stream<Uint8Array>
}

/** Hz. What the service recommends for everything but telephones. */
export const RATE = 16_000
/** 200 ms: the longest piece that is recommended (50–200 ms). Frames are 80 ms. */
const LONGEST = 0.2 * RATE
/** Live audio comes in bursts after a hitch of the network; more than a second at once is not real time any more. */
const AHEAD_MS = 1_000
/** The service gives up after 15 s without audio. */
const KEEP_ALIVE_MS = 10_000
/** 30 s: the network takes nothing any more. */
const MOST_WAITING = 30 * RATE
/** 80 ms, as every frame. What is sent is billed. */
const SILENCE_SAMPLES = 0.08 * RATE
const SILENCE = new Uint8Array(SILENCE_SAMPLES * 2)

/** Nothing sent yet. A piece of silence comes first of all: a service that answers only when it hears something must not wait for speech. */
export const make = (timeline: StreamTimeline, now: () => number): AwsAudio => {
  const encode = Pcm16.encoder()
  const bell = Latch.makeUnsafe(false)
  const waiting: Array<AudioFrame> = []
  const waypoints = new Set<{ readonly after: number; at: number | undefined }>()
  let waitingSamples = 0
  let accepted = 0
  let handedOut = 0
  /** When what was handed out will have been played. */
  let playedMs = now()
  let lastMs = Number.NEGATIVE_INFINITY
  let isEnded = false
  /** The reader waits for the next piece. */
  let isAsked = false
  /** Since when a frame was due that nobody came for. */
  let dueMs = 0

  const handOut = (samples: number): void => {
    lastMs = now()
    playedMs = Math.max(playedMs, lastMs) + (samples * 1000) / RATE
  }
  const reach = (): void => {
    for (const waypoint of waypoints) if (waypoint.after <= handedOut) waypoint.at ??= timeline.sent()
  }
  const frameOut = ({ pcm, position }: AudioFrame): Uint8Array => {
    timeline.frame(position, pcm.length)
    waitingSamples -= pcm.length
    handedOut += 1
    handOut(pcm.length)
    reach()
    // the encoder's memory is used again before the network has taken this
    return Uint8Array.from(encode(pcm))
  }
  const silenceOut = (): Uint8Array => {
    timeline.silence(SILENCE_SAMPLES)
    handOut(SILENCE_SAMPLES)
    return SILENCE
  }
  const wantsSilence = (): boolean => [...waypoints].some(({ after }) => after === accepted)

  const next: Effect.Effect<Uint8Array | undefined> = Effect.gen(function* () {
    isAsked = true
    for (;;) {
      const aheadMs = playedMs - now()
      const [frame] = waiting
      if (frame !== undefined && aheadMs > AHEAD_MS) {
        yield* Effect.sleep(aheadMs - AHEAD_MS)
      } else if (frame !== undefined) {
        waiting.shift()
        return frameOut(frame)
      } else if (isEnded) {
        return undefined
      } else {
        // silence never comes between two frames of live speech: it waits until all was played
        const dueInMs = wantsSilence() ? aheadMs : lastMs + KEEP_ALIVE_MS - now()
        if (dueInMs <= 0) return silenceOut()
        yield* Effect.timeoutOption(
          Effect.tap(bell.await, () => bell.close),
          dueInMs
        )
      }
    }
  })

  return {
    send: ({ pcm, ...frame }) => {
      if (waitingSamples > MOST_WAITING) return false
      if (waiting.length === 0) dueMs = now()
      for (let from = 0; from < pcm.length; from += LONGEST) {
        const part = pcm.subarray(from, from + LONGEST)
        waiting.push({ ...frame, position: frame.position + Math.round((from * SAMPLE_RATE) / RATE), pcm: part })
        waitingSamples += part.length
        accepted += 1
      }
      bell.openUnsafe()
      return true
    },
    pad: () => {
      const waypoint: { readonly after: number; at: number | undefined } = { after: accepted, at: undefined }
      waypoints.add(waypoint)
      reach()
      bell.openUnsafe()
      return {
        at: () => waypoint.at,
        release: () => {
          waypoints.delete(waypoint)
        }
      }
    },
    end: () => {
      isEnded = true
      bell.openUnsafe()
    },
    blockedMs: () => (isAsked || waiting.length === 0 ? 0 : now() - Math.max(dueMs, lastMs)),
    chunks: Stream.unfold(undefined, () =>
      Effect.map(next, (chunk) => {
        isAsked = false
        return chunk === undefined ? undefined : [chunk, undefined]
      })
    )
  }
}
