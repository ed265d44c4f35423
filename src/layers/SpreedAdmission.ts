/**
 * Whether the HPB lets us in, and under which backend URL: known once for all rooms. The HPB locks out an address after ten failed hellos
 * in half an hour, so a wrong setting may cost one attempt now and then, not one per call.
 */
import { Effect, Metric, Result, Schema, Semaphore } from "effect"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import type { HelloRefused, HpbSession } from "./SpreedHello.ts"
import { SocketLost } from "./SpreedSocket.ts"

/** A setting is wrong, on our side or the HPB's; `advice` tells an admin which. Nothing is tried before `untilMs` (monotonic clock). */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  code: Schema.String,
  advice: Schema.String,
  untilMs: Schema.Finite
}) {
  override get message() {
    return `${this.code}: ${this.advice}`
  }
}

export interface Admission {
  /** To be called before a socket is opened for a new session: finds the backend URLs to try, which the HPB would not wait for. */
  readonly prepare: Effect.Effect<void, Refused>
  /** A new session, under the accepted backend URL or else one candidate after the other; one caller at a time finds out. */
  readonly enter: (
    introduce: (backend: string) => Effect.Effect<HpbSession, HelloRefused | SocketLost>
  ) => Effect.Effect<HpbSession, Refused | SocketLost>
  /** The HPB refused for this reason: nobody tries before the time is over. */
  readonly refuse: (code: string) => Effect.Effect<never, Refused>
  /** The newest refusal, until a hello succeeds. */
  readonly refusal: () => Refused | undefined
}

const minutes = (count: number) => count * 60_000

const consequences: Readonly<Record<string, { readonly waitMs: number; readonly advice: string }>> = {
  invalid_token: {
    waitMs: minutes(5),
    advice:
      "The HPB does not know our secret. LT_INTERNAL_SECRET must be `internalsecret` of section [clients] in the HPB's server.conf, not the shared secret from Talk's settings page."
  },
  invalid_client_type: {
    waitMs: minutes(5),
    advice:
      "The HPB accepts no internal clients. Set `internalsecret` in section [clients] of its server.conf and give the same value as LT_INTERNAL_SECRET."
  },
  invalid_backend: {
    waitMs: minutes(5),
    advice:
      "The HPB knows this Nextcloud server under none of the addresses we tried. Set LT_BACKEND_URL to the address written in section [backend] of the HPB's server.conf, http or https included."
  },
  invalid_hello_version: {
    waitMs: minutes(5),
    advice: "The HPB no longer speaks version 1.0 of the protocol. Update this app."
  },
  too_many_requests: {
    waitMs: minutes(6),
    advice:
      "The HPB has locked us out after too many failed attempts; it forgets them within 30 minutes. Check the secret and the backend URL."
  },
  // No failed hello: the HPB has lost Janus, which comes back by itself.
  no_mcu: {
    waitMs: 1_500,
    advice:
      "The HPB runs without Janus (feature `mcu` is missing), so there is no audio to hear. Check section [mcu] of its server.conf and Janus."
  },
  no_backend_url: {
    waitMs: 30_000,
    advice: "Nothing tells us the address of Nextcloud. Set LT_BACKEND_URL or NEXTCLOUD_URL."
  }
}
/** A refusal that costs nothing may be tried soon, and half as often each time. */
const longestSoonMs = 15_000
const unknownRefusal = { waitMs: minutes(1), advice: "The HPB refused our hello. Its log may say why." }

/** Faults of the moment, not of a setting. */
const temporary: ReadonlySet<string> = new Set(["internal_error", "no_such_session"])
/** Ten failures in 30 minutes are too many. */
const waitPerFailureMs = minutes(4)
/** So many fail at most when a setting of the HPB was changed under us; alone only whoever finds out which backend URL is right. */
const hellosAtOnce = 4
/** Nextcloud may have to be asked for its address. */
const backendUrlsTimeout = "10 seconds"

/** `backendUrls` in order of preference; asked for anew until one was accepted. */
export const make = Effect.fnUntraced(function* (backendUrls: Effect.Effect<ReadonlyArray<string>>) {
  const now = yield* monotonicMs
  const hellos = yield* Semaphore.make(hellosAtOnce)
  const refusedUrls = new Set<string>()
  let candidates: ReadonlyArray<string> = []
  let accepted: string | undefined
  let refusal: Refused | undefined
  /** Rounds which all ended with the same refusal. */
  let rounds = 0

  const refuse = Effect.fnUntraced(function* (code: string): Effect.fn.Return<never, Refused> {
    const { advice, waitMs } = consequences[code] ?? unknownRefusal
    const isNews = refusal?.code !== code
    // Rooms that ask at the same time are one round.
    if (isNews) rounds = 0
    else if (refusal !== undefined && now() >= refusal.untilMs) rounds++
    const grownMs = waitMs < longestSoonMs ? Math.min(longestSoonMs, waitMs * 2 ** rounds) : waitMs
    refusal = new Refused({
      code,
      advice,
      untilMs: now() + Math.max(grownMs, refusedUrls.size * waitPerFailureMs)
    })
    refusedUrls.clear()
    candidates = []
    yield* isNews ? Effect.logError(advice, { code }) : Effect.logDebug("still refused", { code })
    return yield* refusal
  })

  const allowed = Effect.suspend(() =>
    refusal !== undefined && now() < refusal.untilMs ? Effect.fail(refusal) : Effect.void
  )

  /** Asked for once per round: the answer may come over the network, and every room asks. */
  const nameBackends = Effect.gen(function* () {
    if (accepted !== undefined || candidates.length > 0) return
    candidates = yield* backendUrls.pipe(
      Effect.timeoutOrElse({ duration: backendUrlsTimeout, orElse: () => Effect.succeed([]) })
    )
    if (candidates.length === 0) return yield* refuse("no_backend_url")
  })

  const attempt = Effect.fnUntraced(function* (
    introduce: (backend: string) => Effect.Effect<HpbSession, HelloRefused | SocketLost>
  ): Effect.fn.Return<HpbSession, Refused | SocketLost> {
    yield* Effect.andThen(allowed, nameBackends)
    while (true) {
      const backend = accepted ?? candidates.find((url) => !refusedUrls.has(url))
      if (backend === undefined) return yield* refuse("invalid_backend")
      const answer = yield* Effect.result(introduce(backend))
      if (Result.isSuccess(answer)) {
        accepted = backend
        refusedUrls.clear()
        if (!answer.success.features.has("mcu")) return yield* refuse("no_mcu")
        refusal = undefined
        return answer.success
      }
      if (answer.failure._tag === "SocketLost") return yield* answer.failure
      const { code } = answer.failure
      yield* Metric.update(Metric.withAttributes(Metrics.signalingRefusals, { code }), 1)
      if (temporary.has(code)) return yield* new SocketLost({ reason: "Closed", detail: code })
      if (code !== "invalid_backend") return yield* refuse(code)
      refusedUrls.add(backend)
      if (accepted === backend) accepted = undefined
    }
  })

  return {
    prepare: Effect.andThen(allowed, nameBackends),
    enter: (introduce) =>
      Effect.suspend(() => hellos.withPermits(accepted === undefined ? hellosAtOnce : 1)(attempt(introduce))),
    refuse,
    refusal: () => refusal
  } satisfies Admission
})
