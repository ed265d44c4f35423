/**
 * VoiceAccount: what a voice of a call counts, as metrics. Plain, but for the metrics themselves.
 */
import { type Context, Metric } from "effect"
import { msOfSamples } from "../domain/Audio.ts"
import * as Metrics from "./Metrics.ts"
import type * as Voice from "./Voice.ts"

export interface CountedVoice {
  readonly voice: Voice.HeardVoice
  readonly shed: () => number
  /** Counters as they were last added to the metrics. */
  reported: Report
  wasSpeaking: boolean
  /** When the speech began of which nothing has been read yet. */
  unansweredSinceMs: number | undefined
}

/** Packets that no decoder understands, in a row, before we say so: 2 s. */
const undecodableLimit = 100

export const notice = (one: CountedVoice, atMs: number) => {
  const isSpeaking = one.voice.isSpeaking()
  if (isSpeaking && !one.wasSpeaking) one.unansweredSinceMs = atMs
  one.wasSpeaking = isSpeaking
}

export const answered = (one: CountedVoice, atMs: number, metrics: Context.Context<never>): void => {
  const since = one.unansweredSinceMs
  one.unansweredSinceMs = undefined
  if (since !== undefined) Metrics.firstCaption.updateUnsafe((atMs - since) / 1000, metrics)
}

export type Report = Voice.VoiceCounters & { readonly queued: number; readonly shed: number }

export const reportOf = (voice: Voice.HeardVoice, shed: number): Report => ({
  ...voice.counters,
  queued: voice.queued(),
  shed
})
const nothingHeld = { queued: 0, ringBytes: 0 }

export const isUndecodable = (counters: Voice.VoiceCounters): boolean =>
  counters.undecodable >= undecodableLimit && counters.undecodable > counters.packets / 2

/** Adds to the metrics what a voice counted since the last time; what a voice that is over held is given back. */
export const account = (one: CountedVoice, metrics: Context.Context<never>, isOver = false): void => {
  const { reported } = one
  const now = reportOf(one.voice, one.shed())
  const report = isOver ? { ...now, ...nothingHeld } : now
  one.reported = report
  Metrics.packets.updateUnsafe(report.packets - reported.packets, metrics)
  Metrics.packetsLost.updateUnsafe(report.lost - reported.lost, metrics)
  talkSeconds.updateUnsafe(msOfSamples(report.spokenSamples - reported.spokenSamples) / 1000, metrics)
  Metrics.frameQueueDepth.modifyUnsafe(report.queued - reported.queued, metrics)
  Metrics.ringBytes.modifyUnsafe(report.ringBytes - reported.ringBytes, metrics)
  for (const [reason, name] of droppedByReason) {
    const dropped = report[name] - reported[name]
    if (dropped > 0) Metric.withAttributes(Metrics.drops, { reason }).updateUnsafe(dropped, metrics)
  }
}

const talkSeconds = Metrics.series(Metrics.speechSeconds, { source: "talk" })

const droppedByReason = [
  ["late", "late"],
  ["undecodable", "undecodable"],
  ["frame_queue_full", "droppedFrames"],
  ["overload", "shed"],
  ["late_samples", "cutSamples"],
  ["ring_overwritten", "ringOverwritten"]
] as const
