/**
 * Access: who may ask, by what they show. One place for all credentials, of the service API and of every streaming door.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import { type AppConfig, hasCredentials, storageOf } from "../layers/AppConfig.ts"
import type { ConfigurationError } from "../layers/ConfigurationError.ts"
import * as ClientSecrets from "./ClientSecrets.ts"
import { digest, hasDigest } from "./Digest.ts"
import * as GeneratedKey from "./GeneratedKey.ts"
import { type Grant, streaming } from "./Grant.ts"
import { isThisMachine, isWelcome, type Provenance } from "./Origin.ts"
import * as SignedTokens from "./SignedTokens.ts"
import * as TokensFile from "./TokensFile.ts"

/** Why somebody is not let in; the text says what to do and repeats nothing that was given. */
export class AccessRefusal extends Schema.TaggedError<AccessRefusal>()("AccessRefusal", {
  denial: Schema.Literals(["Unauthorized", "Forbidden"]),
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** Somebody who asks: where from (`provenanceOf`), and what they show. */
export interface Caller extends Provenance {
  /** Absent or empty: nothing. */
  readonly credential: Redacted.Redacted | undefined
  /** The dialect's own servers ask for nothing: in single-user mode callers on this machine need nothing here either. */
  readonly noneKnown?: boolean | undefined
}

/**
 * Tells who asks. Every wrong credential costs the same time. Pages of other origins are refused before anything else is looked at.
 */
export class Access extends Context.Service<
  Access,
  {
    /** For streaming: any valid credential. */
    readonly admit: (caller: Caller) => Effect.Effect<Grant, AccessRefusal>
    /** For control: `LT_API_TOKEN`; in single-user mode the generated key, or without anything whoever is on this machine. */
    readonly admitAdmin: (caller: Caller) => Effect.Effect<Grant, AccessRefusal>
    /** A credential with the grant's name and quotas, without its other rights. It ends after so many seconds (10 to 7,200), and never later than the grant. */
    readonly mint: (grant: Grant, seconds: number) => Effect.Effect<ClientSecrets.ClientSecret, AccessRefusal>
    /** Whose pages may ask besides our own. */
    readonly allowedOrigins: ReadonlyArray<string>
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

/** Whoever has `LT_API_TOKEN`. */
const ADMIN = "LT_API_TOKEN"
/** Whoever has the generated key, or needs none: the person whose machine it is. */
const OWNER = "owner"

/**
 * All credentials of the configuration. In single-user mode a key is generated and kept in the storage folder, see `GeneratedKey`. Fails
 * where a file or key that was configured cannot be used.
 */
export const layer = (settings: AccessSettings): Layer.Layer<Access, ConfigurationError> =>
  Layer.effect(
    Access,
    Effect.gen(function* () {
      const { allowedOrigins = [], apiToken, maxStreams, tokensFile } = settings
      const isSingleUser = !hasCredentials(settings)
      const admin: Grant = { subject: ADMIN, isAdmin: true, concurrentStreams: maxStreams }
      const owner: Grant = { ...streaming(OWNER, {}, settings), isAdmin: true }
      const clientSecrets = yield* ClientSecrets.make
      const recognisers: ReadonlyArray<Recogniser> = [
        ...(apiToken === undefined ? [] : [isText(digest(Redacted.value(apiToken)), admin)]),
        ...(isSingleUser ? [isText(yield* GeneratedKey.make(storageOf(settings)), owner)] : []),
        ...(tokensFile === undefined ? [] : [yield* TokensFile.make(tokensFile, settings)]),
        clientSecrets.recognise,
        yield* SignedTokens.make(settings, settings)
      ]

      const grantOf = Effect.fnUntraced(function* ({ credential }: Caller) {
        const token = textOf(credential)
        if (token === "" || token.length > MAX_CREDENTIAL_CHARACTERS) return undefined
        for (const recognise of recognisers) {
          const grant = yield* recognise(token)
          if (grant !== undefined) return grant
        }
        return undefined
      })
      const checkOrigin = (caller: Caller) =>
        isWelcome(caller, allowedOrigins)
          ? Effect.void
          : refuse("Forbidden", "asked by a page of another origin (LT_ALLOWED_ORIGINS lists those that may)")

      return Access.of({
        isSingleUser,
        allowedOrigins,
        admit: Effect.fnUntraced(function* (caller) {
          yield* checkOrigin(caller)
          const grant = yield* grantOf(caller)
          if (grant !== undefined) return grant
          const needsNothing = isSingleUser && caller.noneKnown === true && isThisMachine(caller)
          if (needsNothing && textOf(caller.credential) === "") return owner
          return yield* refuse(
            "Unauthorized",
            isSingleUser
              ? "the key is needed that was shown when this service was first started"
              : "a valid token is needed"
          )
        }),
        admitAdmin: Effect.fnUntraced(function* (caller) {
          yield* checkOrigin(caller)
          const grant = yield* grantOf(caller)
          if (grant?.isAdmin === true) return grant
          if (isSingleUser && isThisMachine(caller)) return owner
          if (grant !== undefined) return yield* refuse("Forbidden", "this token is for streaming only")
          if (isSingleUser) {
            return yield* refuse("Forbidden", "without LT_API_TOKEN only this machine may ask, as localhost")
          }
          if (apiToken === undefined)
            return yield* refuse("Forbidden", "LT_API_TOKEN is not set, and nothing else lets anybody in here")
          return yield* refuse("Unauthorized", "the token of LT_API_TOKEN is needed (Authorization: Bearer …)")
        }),
        mint: (grant, seconds) =>
          grant.isShortLived === true
            ? refuse("Forbidden", "a short-lived credential cannot make others")
            : clientSecrets.mint(grant, seconds)
      })
    })
  ).pipe(Layer.provide(NodeFileSystem.layer))

/** The grant of a token, where it is one of these and valid now. */
type Recogniser = (token: string) => Effect.Effect<Grant | undefined>

const isText =
  (expected: Uint8Array, grant: Grant): Recogniser =>
  (token) =>
    Effect.sync(() => (hasDigest(token, expected) ? grant : undefined))

const textOf = (credential: Redacted.Redacted | undefined): string =>
  credential === undefined ? "" : Redacted.value(credential)

const refuse = (denial: AccessRefusal["denial"], detail: string) => Effect.fail(new AccessRefusal({ denial, detail }))
