/**
 * Short-lived credentials of our own (`ek_…`) for places where a token should not be: pages, apps.
 *
 * They carry their grant, signed with a key that only this process and its fellow runners have, so nothing is kept for them and a restart of
 * the service ends them all. A token
 * that is taken away leaves those made with it valid until they end by themselves.
 */
import { createHmac, randomBytes, randomUUID } from "node:crypto"
import { Clock, Effect, Redacted, Schema } from "effect"
import { Front } from "../services/Front.ts"
import { digest, hasDigest } from "./Digest.ts"
import type { Grant } from "./Grant.ts"

export interface ClientSecret {
  readonly value: Redacted.Redacted
  /** ms since 1970. */
  readonly expiresAtMs: number
}

/** As OpenAI's, which such clients expect. */
const PREFIX = "ek_"
/** Seconds; OpenAI's bounds for the same thing. */
const SHORTEST = 10
const LONGEST = 7200

const Carried = Schema.fromJsonString(
  Schema.Struct({
    subject: Schema.String,
    concurrentStreams: Schema.Finite,
    minutesPerDay: Schema.optionalKey(Schema.Finite),
    expiresAtMs: Schema.Finite,
    /** No two are the same. */
    id: Schema.String
  })
)
const encode = Schema.encodeEffect(Carried)
const decode = Schema.decodeUnknownEffect(Carried)

export const make = Effect.map(Front, (front) => {
  const key = front?.secret ?? randomBytes(32)
  const signatureOf = (body: string) => createHmac("sha256", key).update(body).digest("base64url")

  return {
    /** The grant's name and quotas, nothing else of it. Ends after so many seconds, and never later than the grant. */
    mint: Effect.fnUntraced(function* (grant: Grant, seconds: number): Effect.fn.Return<ClientSecret> {
      const nowMs = yield* Clock.currentTimeMillis
      const lifeMs = 1000 * Math.min(LONGEST, Math.max(SHORTEST, Number.isFinite(seconds) ? seconds : SHORTEST))
      const expiresAtMs = Math.min(nowMs + lifeMs, grant.expiresAtMs ?? Number.POSITIVE_INFINITY)
      const { concurrentStreams, minutesPerDay, subject } = grant
      const text = yield* encode({
        subject,
        concurrentStreams,
        ...(minutesPerDay === undefined ? {} : { minutesPerDay }),
        expiresAtMs,
        id: randomUUID()
      }).pipe(Effect.orDie)
      const body = Buffer.from(text).toString("base64url")
      return { value: Redacted.make(`${PREFIX}${body}.${signatureOf(body)}`), expiresAtMs }
    }),
    recognise: Effect.fnUntraced(function* (token: string): Effect.fn.Return<Grant | undefined> {
      const [body, signature, ...more] = token.startsWith(PREFIX) ? token.slice(PREFIX.length).split(".") : []
      if (body === undefined || signature === undefined || more.length > 0) return undefined
      if (!hasDigest(signature, digest(signatureOf(body)))) return undefined
      const { id: _, ...carried } = yield* Effect.orDie(decode(Buffer.from(body, "base64url").toString("utf8")))
      const nowMs = yield* Clock.currentTimeMillis
      return nowMs < carried.expiresAtMs ? { ...carried, isAdmin: false, isShortLived: true } : undefined
    })
  }
})
