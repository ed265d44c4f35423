/**
 * SimulatedVoice: a planned voice as the Transcriber gets it: frames at their time, and a ring with what was heard.
 */
import { type Cause, Effect, Queue, Stream } from "effect"
import { type AudioFrame, FRAME_SAMPLES, msOfSamples } from "../../../src/domain/Audio.ts"
import { defaultLanguage } from "../../../src/domain/Language.ts"
import type { TakeFrame, Voice } from "../../../src/services/Transcriber.ts"
import { endOf, type VoicePlan } from "./Scenario.ts"
import * as Sound from "./Sound.ts"

export interface SimulatedVoice {
  readonly voice: Voice
  /** What comes, in order: when (ms since the scenario began), and what then happens. */
  readonly schedule: ReadonlyArray<{ readonly atMs: number; readonly happen: () => void }>
  /** The first sample that can be heard again. */
  readonly oldest: () => number
  /** The frames that make up `samples` of speech from `position` on: where that ends. */
  readonly endOfSpeech: (position: number, samples: number) => number
}

/** What a live voice's queue holds: 5 s. */
const QUEUE_FRAMES = 64

export const make = Effect.fnUntraced(function* (plan: VoicePlan, index: number, now: () => number) {
  const isLive = plan.source === "live"
  // bounded as in `Voice`: 64 frames, the oldest goes; a client's is held up, and all of it is here already
  const queue = yield* isLive
    ? Queue.sliding<AudioFrame, Cause.Done>(QUEUE_FRAMES)
    : Queue.unbounded<AudioFrame, Cause.Done>()
  const ring: Array<AudioFrame> = []
  const spoken = plan.stretches.flatMap((stretch) => Sound.framesOf(index, stretch))
  let overwritten = 0
  let take: TakeFrame | undefined
  let queuedAt = Number.NEGATIVE_INFINITY

  const dueMs = (position: number): number => {
    if (plan.source === "recording") return plan.startsMs
    const atMs = plan.startsMs + msOfSamples(position + FRAME_SAMPLES)
    const hitch = plan.hitches.find((one) => atMs >= one.atMs && atMs < one.atMs + one.forMs)
    return hitch === undefined ? atMs : hitch.atMs + hitch.forMs
  }
  const direct = (next: TakeFrame | undefined) => {
    take = next
  }
  const voice: Voice = {
    id: plan.id,
    frames: isLive
      ? Stream.fromQueue(queue)
      : Stream.fromPull(Effect.succeed(Effect.map(Queue.take(queue), (frame) => [frame] as const))),
    replay: function* (position) {
      for (let at = overwritten; at < ring.length; at = Math.max(at + 1, overwritten)) {
        const frame = ring[at]
        if (frame !== undefined && frame.position + frame.pcm.length > position)
          yield { ...frame, pcm: frame.pcm.slice() }
      }
    },
    // what comes all at once is read as a journal is: only as a stream
    ...(plan.source === "recording" ? {} : { direct }),
    language: () => defaultLanguage,
    privacy: plan.privacy,
    ...(isLive ? {} : { waits: true, utterances: true })
  }
  const arrive = (frame: Omit<AudioFrame, "heardAtMs">) => () => {
    const heard = { ...frame, heardAtMs: now() }
    ring.push(heard)
    overwritten = Math.max(0, ring.length - plan.ringFrames)
    if ((take?.(heard, queuedAt) ?? "Left") !== "Left") return
    Queue.offerUnsafe(queue, heard)
    queuedAt = heard.position
  }
  const leave = { atMs: Math.max(plan.leavesMs, endOf(plan)), happen: () => Queue.endUnsafe(queue) }
  const simulated: SimulatedVoice = {
    voice,
    schedule: [...spoken.map((frame) => ({ atMs: dueMs(frame.position), happen: arrive(frame) })), leave],
    oldest: () => ring[overwritten]?.position ?? 0,
    endOfSpeech: (position, samples) => {
      let left = samples
      for (const frame of spoken) {
        const end = frame.position + frame.pcm.length
        if (end <= position) continue
        const from = Math.max(position, frame.position)
        if (end - from >= left) return from + left
        left -= end - from
      }
      return Number.POSITIVE_INFINITY
    }
  }
  return simulated
})
