/**
 * The certificate with which the service speaks TLS: read from PEM files, and again when they change, for connections from then on.
 */
import { createPrivateKey, X509Certificate } from "node:crypto"
import type { Server } from "node:https"
import { createSecureContext } from "node:tls"
import { Clock, Effect, FileSystem, Queue, type Scope } from "effect"
import { ConfigurationError } from "../layers/ConfigurationError.ts"
import { versionOf } from "../layers/FileVersion.ts"

/** Where the two halves are. */
export interface CertificateFiles {
  readonly certificate: string
  readonly key: string
}

/** As `node:tls` takes it. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** Tools that renew certificates do it weeks before the end; nobody waits for this. */
const LOOK_EVERY = "10 seconds"

/** Reads both, and sees that they are what they should be and belong together. An expired one is served, with a warning. */
export const read = Effect.fnUntraced(function* (paths: CertificateFiles) {
  const cert = yield* textOf("LT_TLS_CERT", paths.certificate)
  const key = yield* textOf("LT_TLS_KEY", paths.key)
  const parsed = yield* Effect.try({
    try: () => new X509Certificate(cert),
    catch: () => unusable("LT_TLS_CERT", "is not a certificate in PEM")
  })
  const secret = yield* Effect.try({
    try: () => createPrivateKey(key),
    catch: () => unusable("LT_TLS_KEY", "is not a private key in PEM without a passphrase")
  })
  if (!parsed.checkPrivateKey(secret)) {
    return yield* unusable("LT_TLS_KEY", "does not belong to the certificate of LT_TLS_CERT")
  }
  if (parsed.validToDate.getTime() < (yield* Clock.currentTimeMillis)) {
    yield* Effect.logWarning("the certificate of LT_TLS_CERT has expired", { since: parsed.validToDate.toISOString() })
  }
  const certificate: Certificate = { cert, key }
  // What OpenSSL finds too weak, for one; better here than while somebody connects.
  yield* Effect.try({
    try: () => createSecureContext(certificate),
    catch: () => unusable("LT_TLS_CERT", "is a certificate that TLS refuses, perhaps for a key that is too short")
  })
  return certificate
})

/**
 * While the scope is open: when a file has changed, or at a SIGHUP, new connections get what is in the files then; those that are open
 * keep what they have. What cannot be used changes nothing and is one line in the log.
 */
export const renew = Effect.fnUntraced(function* (
  server: Server,
  paths: CertificateFiles
): Effect.fn.Return<void, never, FileSystem.FileSystem | Scope.Scope> {
  const version = Effect.map(Effect.all([versionOf(paths.certificate), versionOf(paths.key)]), (both) => both.join())
  // More than one wish to look again is one.
  const wishes = yield* Queue.dropping<void>(1)
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const onHangUp = () => void Queue.offerUnsafe(wishes, undefined)
      process.on("SIGHUP", onHangUp)
      return onHangUp
    }),
    (onHangUp) => Effect.sync(() => process.off("SIGHUP", onHangUp))
  )
  const replace = read(paths).pipe(
    Effect.tap((certificate) => Effect.sync(() => server.setSecureContext(certificate))),
    Effect.andThen(Effect.logInfo("the certificate was read again")),
    Effect.catch(({ message }) =>
      Effect.logError("the certificate was not read again: the one from before is served", { reason: message })
    )
  )
  let seen = yield* version
  const look = Effect.gen(function* () {
    const isAsked = yield* Queue.take(wishes).pipe(
      Effect.as(true),
      Effect.timeoutOrElse({ duration: LOOK_EVERY, orElse: () => Effect.succeed(false) })
    )
    const now = yield* version
    if (!isAsked && now === seen) return
    seen = now
    yield* replace
  })
  yield* Effect.forkScoped(Effect.forever(look))
})

const unusable = (name: string, reason: string) => new ConfigurationError({ detail: `${name} ${reason}` })

const textOf = Effect.fnUntraced(function* (name: string, path: string) {
  const files = yield* FileSystem.FileSystem
  return yield* Effect.mapError(files.readFileString(path), ({ reason }) =>
    unusable(name, `names a file that cannot be read (${path}: ${reason._tag})`)
  )
})
