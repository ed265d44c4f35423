/**
 * Quotas: how many streams at a time, and how many minutes of audio in a day (UTC), each subject and all together may use.
 */
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Context, Effect, Layer, Schema, type Scope } from "effect"
import { type AppConfig, storageOf } from "../layers/AppConfig.ts"
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

/** Counts streams and minutes. Nothing here needs a disk to go on: see `SpentMinutes`. */
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
      const active = new Map<string, number>()
      let all = 0

      const change = (subject: string, by: 1 | -1) => {
        const left = (active.get(subject) ?? 0) + by
        all += by
        if (left === 0) active.delete(subject)
        else active.set(subject, left)
      }
      const refusalOf = (grant: Grant): QuotaRefusal | undefined => {
        if (all >= settings.maxStreams) return tooManyStreams
        if ((active.get(grant.subject) ?? 0) >= grant.concurrentStreams) return concurrentStreams(grant)
        return isWithin(grant, spent.of(grant.subject)) ? undefined : dailyMinutes(grant)
      }
      const take = (grant: Grant) =>
        Effect.suspend(() => {
          const refusal = refusalOf(grant)
          if (refusal !== undefined) return Effect.fail(refusal)
          change(grant.subject, 1)
          return Effect.void
        })

      return Quotas.of({
        reserve: (grant) =>
          Effect.acquireRelease(take(grant), () => Effect.sync(() => change(grant.subject, -1))).pipe(
            Effect.as({ spend: (seconds: number) => isWithin(grant, spent.add(grant.subject, seconds)) })
          ),
        usage: (grant) =>
          Effect.sync(() => ({
            spentSeconds: spent.of(grant.subject),
            activeStreams: active.get(grant.subject) ?? 0,
            refusal: refusalOf(grant)
          }))
      })
    })
  ).pipe(Layer.provide(NodeFileSystem.layer))

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
