/**
 * Access: who may ask, by what they show. One place for all credentials, of the service API and of every streaming door.
 */
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import type { AppConfig } from "../layers/AppConfig.ts"
import { digest, hasDigest } from "./Digest.ts"
import { isThisMachine, isWelcome, type Provenance } from "./Origin.ts"

/** Why somebody is not let in; the text says what to do and repeats nothing that was given. */
export class AccessRefusal extends Schema.TaggedError<AccessRefusal>()("AccessRefusal", {
  denial: Schema.Literals(["Unauthorized", "Forbidden"]),
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** Who it is, and what this one may use. */
export interface Grant {
  /** Whom streams and minutes are counted for: a name that was given, never a secret. */
  readonly subject: string
  /** May also control calls, and read metrics and documentation. */
  readonly isAdmin: boolean
  readonly concurrentStreams: number
  /** Absent: as many as they like. */
  readonly minutesPerDay?: number
  /** When the credential ends (ms since 1970), where it does. */
  readonly expiresAtMs?: number
  /** By a credential of `mint`, which cannot mint others. */
  readonly isShortLived?: boolean
}

/** Somebody who asks: where from (`provenanceOf`), and what they show. */
export interface Caller extends Provenance {
  /** Absent or empty: nothing. */
  readonly credential: Redacted.Redacted | undefined
  /** The dialect's own servers ask for nothing: in single-user mode callers on this machine need nothing here either. */
  readonly noneKnown?: boolean | undefined
}

/** A credential of ours that ends soon, for browsers and other places where a token should not be. */
export interface ClientSecret {
  readonly value: Redacted.Redacted
  readonly expiresAtMs: number
}

/**
 * Tells who asks. Every wrong credential costs the same time. Pages of other origins are refused before anything else is looked at.
 */
export class Access extends Context.Service<
  Access,
  {
    /** For streaming: any valid credential. */
    readonly admit: (caller: Caller) => Effect.Effect<Grant, AccessRefusal>
    /** For control: `LT_API_TOKEN` or the generated key; without `LT_API_TOKEN` also whoever is on this machine, without anything. */
    readonly admitAdmin: (caller: Caller) => Effect.Effect<Grant, AccessRefusal>
    /** A credential with the grant's name and quotas, without its other rights. It ends after so many seconds (10 to 7,200), and never later than the grant. */
    readonly mint: (grant: Grant, seconds: number) => Effect.Effect<ClientSecret, AccessRefusal>
    /** No credential was configured: one person, one machine, a generated key. */
    readonly isSingleUser: boolean
  }
>()("parlance/http/Access") {}

/** What `layer` needs to know of the configuration. */
export type AccessSettings = Pick<
  AppConfig,
  | "allowedOrigins"
  | "apiToken"
  | "jwtAudience"
  | "jwtPublicKey"
  | "jwtSecret"
  | "maxStreams"
  | "minutesPerDay"
  | "storage"
  | "streamsPerToken"
  | "tokensFile"
>

/** No token is longer (RSA-signed ones have about a thousand characters); nothing longer is looked at. */
const MAX_CREDENTIAL_CHARACTERS = 8192

/** Credentials from the configuration. */
export const layer = (settings: AccessSettings): Layer.Layer<Access> =>
  Layer.effect(
    Access,
    Effect.sync(() => {
      const { allowedOrigins = [], apiToken, maxStreams } = settings
      const isSingleUser = apiToken === undefined
      const owner: Grant = { subject: "owner", isAdmin: true, concurrentStreams: maxStreams }
      const known = apiToken === undefined ? undefined : digest(Redacted.value(apiToken))

      const recognise = (token: string): Effect.Effect<Grant | undefined> =>
        Effect.sync(() =>
          known !== undefined && hasDigest(token, known) ? { ...owner, subject: "LT_API_TOKEN" } : undefined
        )

      const grantOf = ({ credential }: Caller): Effect.Effect<Grant | undefined> => {
        const token = credential === undefined ? "" : Redacted.value(credential)
        return token === "" || token.length > MAX_CREDENTIAL_CHARACTERS ? Effect.undefined : recognise(token)
      }
      const checkOrigin = (caller: Caller) =>
        isWelcome(caller, allowedOrigins) ? Effect.void : refuse("Forbidden", "asked by a page of another origin")

      return Access.of({
        isSingleUser,
        admit: Effect.fnUntraced(function* (caller) {
          yield* checkOrigin(caller)
          const grant = yield* grantOf(caller)
          if (grant !== undefined) return grant
          const showsNothing = caller.credential === undefined || Redacted.value(caller.credential) === ""
          if (isSingleUser && caller.noneKnown === true && showsNothing && isThisMachine(caller)) return owner
          return yield* refuse("Unauthorized", "a valid token is needed")
        }),
        admitAdmin: Effect.fnUntraced(function* (caller) {
          yield* checkOrigin(caller)
          const grant = yield* grantOf(caller)
          if (grant?.isAdmin === true) return grant
          if (apiToken === undefined && isThisMachine(caller)) return owner
          if (grant !== undefined) return yield* refuse("Forbidden", "this token is for streaming only")
          if (apiToken === undefined) {
            return yield* refuse("Forbidden", "without LT_API_TOKEN only this machine may ask, as localhost")
          }
          return yield* refuse("Unauthorized", "the token of LT_API_TOKEN is needed (Authorization: Bearer …)")
        }),
        mint: () => refuse("Forbidden", "not yet")
      })
    })
  )

const refuse = (denial: AccessRefusal["denial"], detail: string) => Effect.fail(new AccessRefusal({ denial, detail }))
