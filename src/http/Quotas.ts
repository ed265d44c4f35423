/**
 * Quotas: how many streams at a time, and how many minutes of audio in a day (UTC), each subject and all together may use.
 */
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Context, Effect, Layer, Schema, type Scope } from "effect"
import { type AppConfig, storageOf } from "../layers/AppConfig.ts"
import { Front } from "../services/Front.ts"
import type { OpenStreams, Reserved } from "../supervisor/Messages.ts"
import * as StreamCounts from "../supervisor/StreamCounts.ts"
import type { Grant } from "./Grant.ts"
import * as SpentMinutes from "./SpentMinutes.ts"

/** Why somebody who may stream may not stream now. */
export class QuotaRefusal extends Schema.TaggedError<QuotaRefusal>()("QuotaRefusal", {
  denial: Schema.Literals(["ConcurrentStreams", "DailyMinutes", "TooManyStreams"]),
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** The right to one stream, until its scope closes. */
export interface Lease {
  /**
   * Counts seconds of audio that were heard; never waits. `false`: the minutes of the day are used up and the stream has to end
   * (`DailyMinutes`). What was heard is counted whole, so a day ends as much too late as is counted at once: a second of each stream.
   */
  readonly spend: (seconds: number) => boolean
}

/** What a subject uses now. */
export interface Usage {
  readonly spentSeconds: number
  readonly activeStreams: number
  /** What `reserve` would say. */
  readonly refusal: QuotaRefusal | undefined
}

/**
 * Counts streams and minutes, in all runners where there are several. Nothing here needs a disk to go on: see `SpentMinutes`, which also says
 * how much later a day ends with several runners.
 */
export class Quotas extends Context.Service<
  Quotas,
  {
    /** Takes one stream for as long as the scope, or says at once why not. */
    readonly reserve: (grant: Grant) => Effect.Effect<Lease, QuotaRefusal, Scope.Scope>
    readonly usage: (grant: Grant) => Effect.Effect<Usage>
  }
>()("parlance/http/Quotas") {}

/** Minutes are kept in `quotas.json` in the storage folder. */
export const layer = (settings: Pick<AppConfig, "maxStreams" | "storage">): Layer.Layer<Quotas> =>
  Layer.effect(
    Quotas,
    Effect.gen(function* () {
      const spent = yield* SpentMinutes.make(join(storageOf(settings), "quotas.json"))
      const counts = yield* openStreams
      const limitsOf = (grant: Grant) => ({ ofSubject: grant.concurrentStreams, ofAll: settings.maxStreams })
      const refusalOf = (grant: Grant, answer: Reserved): QuotaRefusal | undefined => {
        if (answer === "TooManyStreams") return tooManyStreams
        if (answer === "ConcurrentStreams") return concurrentStreams(grant)
        return isWithin(grant, spent.of(grant.subject)) ? undefined : dailyMinutes(grant)
      }
      const take = Effect.fnUntraced(function* (grant: Grant) {
        const answer = yield* counts.reserve(grant.subject, limitsOf(grant))
        const refusal = refusalOf(grant, answer)
        if (refusal === undefined) return
        if (answer === "Reserved") counts.release(grant.subject)
        return yield* refusal
      })

      return Quotas.of({
        reserve: (grant) =>
          Effect.acquireRelease(take(grant), () => Effect.sync(() => counts.release(grant.subject))).pipe(
            Effect.as({ spend: (seconds: number) => isWithin(grant, spent.add(grant.subject, seconds)) })
          ),
        usage: Effect.fnUntraced(function* (grant) {
          const open = yield* counts.of(grant.subject)
          return {
            spentSeconds: spent.of(grant.subject),
            activeStreams: open.ofSubject,
            refusal: refusalOf(grant, StreamCounts.answerOf(open, limitsOf(grant)))
          }
        })
      })
    })
  ).pipe(Layer.provide(NodeFileSystem.layer))

/** Of this process, or of all runners. */
const openStreams = Effect.map(Front, (front): OpenStreamsOfAll => {
  if (front !== undefined) return { reserve: front.reserve, release: front.release, of: front.openStreams }
  const counts = StreamCounts.make()
  return {
    reserve: (subject, limits) => Effect.sync(() => counts.reserve(subject, limits)),
    release: counts.release,
    of: (subject) => Effect.sync(() => counts.of(subject))
  }
})

interface OpenStreamsOfAll {
  readonly reserve: Front["reserve"]
  readonly release: (subject: string) => void
  readonly of: (subject: string) => Effect.Effect<OpenStreams>
}

const isWithin = ({ minutesPerDay }: Grant, seconds: number) =>
  minutesPerDay === undefined || seconds < minutesPerDay * 60

const tooManyStreams = new QuotaRefusal({
  denial: "TooManyStreams",
  detail: "this service has as many streams as it takes; try again later"
})
const concurrentStreams = ({ concurrentStreams }: Grant) =>
  new QuotaRefusal({
    denial: "ConcurrentStreams",
    detail: `no more than ${concurrentStreams} ${concurrentStreams === 1 ? "stream" : "streams"} at a time`
  })
const dailyMinutes = ({ minutesPerDay }: Grant) =>
  new QuotaRefusal({
    denial: "DailyMinutes",
    detail: `the quota of ${minutesPerDay} min for this day is used up; the next day begins at 00:00 UTC`
  })
