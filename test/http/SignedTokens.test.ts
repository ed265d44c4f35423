import { generateKeyPairSync } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { type JWTPayload, SignJWT, UnsecuredJWT } from "jose"
import { denialOf, elsewhere, open } from "../support/AccessScene.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

const pairOf = (modulusLength: number) => {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength })
  return {
    privateKey,
    publicPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
    privatePem: privateKey.export({ type: "pkcs8", format: "pem" }).toString()
  }
}
const ours = pairOf(2048)
/** Long enough for the stronger hashes too, which must be refused all the same. */
const secret = "a secret of more than sixty-four characters, as HS512 asks for it"
const secretBytes = new TextEncoder().encode(secret)

/** The test clock starts in 1970. */
const valid = { sub: "alice", aud: "transcribe", exp: 60 }

const sign = (claims: JWTPayload, algorithm: string, key: Parameters<SignJWT["sign"]>[0], header: object = {}) =>
  Effect.promise(() => new SignJWT(claims).setProtectedHeader({ ...header, alg: algorithm }).sign(key))

const both = { jwtSecret: Redacted.make(secret), jwtPublicKey: ours.publicPem }

describe("a signed token", () => {
  it.effect("lets its subject stream until it ends, by either key", () =>
    Effect.gen(function* () {
      const { admit, admitAdmin } = yield* open({ ...both, minutesPerDay: 30 })
      for (const token of [
        yield* sign(valid, "HS256", secretBytes),
        yield* sign({ ...valid, aud: ["other", "transcribe"] }, "RS256", ours.privateKey)
      ]) {
        const grant = {
          subject: "alice",
          isAdmin: false,
          concurrentStreams: 20,
          minutesPerDay: 30,
          expiresAtMs: 60_000
        }
        assert.deepStrictEqual(yield* admit(elsewhere(token)), grant)
        assert.strictEqual(yield* denialOf(admitAdmin(elsewhere(token))), "Forbidden")
      }
      const token = yield* sign({ ...valid, concurrentStreams: 2, minutesPerDay: 5 }, "HS256", secretBytes)
      assert.deepInclude(yield* admit(elsewhere(token)), { concurrentStreams: 2, minutesPerDay: 5 })
      yield* TestClock.adjust("59 seconds")
      yield* admit(elsewhere(token))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* denialOf(admit(elsewhere(token))), "Unauthorized")
    })
  )

  it.effect("must say who, until when and for what, and mean now", () =>
    Effect.gen(function* () {
      const { admit } = yield* open(both)
      for (const claims of [
        { aud: "transcribe", exp: 60 },
        { ...valid, sub: "" },
        { ...valid, sub: "x".repeat(201) },
        { sub: "alice", aud: "transcribe" },
        { ...valid, exp: -60 },
        { ...valid, nbf: 30 },
        { sub: "alice", exp: 60 },
        { ...valid, aud: "other" },
        { ...valid, concurrentStreams: 0 },
        { ...valid, minutesPerDay: "many" },
        { ...valid, minutesPerDay: -1 }
      ]) {
        const token = yield* sign(claims, "HS256", secretBytes)
        assert.strictEqual(yield* denialOf(admit(elsewhere(token))), "Unauthorized", JSON.stringify(claims))
      }
    })
  )

  it.effect("counts only with the one algorithm of the key it was signed with", () =>
    Effect.gen(function* () {
      const { admit } = yield* open(both)
      const genuine = yield* sign(valid, "HS256", secretBytes)
      const [header = "", body = "", signature = ""] = genuine.split(".")
      const changed = Buffer.from(JSON.stringify({ ...valid, sub: "mallory" })).toString("base64url")
      for (const token of [
        // The public key, which everybody may have, as if it were the shared secret.
        yield* sign(valid, "HS256", new TextEncoder().encode(ours.publicPem)),
        yield* sign(valid, "HS256", new TextEncoder().encode(ours.publicPem.trim())),
        new UnsecuredJWT(valid).encode(),
        `${Buffer.from('{"alg":"none"}').toString("base64url")}.${body}.`,
        `${header}.${body}.`,
        `${header}.${changed}.${signature}`,
        `${header}.${body}.${signature.slice(0, -4)}`,
        yield* sign(valid, "HS384", secretBytes),
        yield* sign(valid, "HS512", secretBytes),
        yield* sign(valid, "RS512", ours.privateKey),
        yield* sign(valid, "PS256", ours.privateKey),
        yield* sign(valid, "RS256", pairOf(2048).privateKey),
        yield* sign(valid, "HS256", new TextEncoder().encode(`${secret}!`)),
        "a.b.c",
        ".."
      ]) {
        assert.strictEqual(yield* denialOf(admit(elsewhere(token))), "Unauthorized", token)
      }
      yield* admit(elsewhere(genuine))
    })
  )

  it.effect("is nothing where its kind of key was not configured", () =>
    Effect.gen(function* () {
      const secretOnly = yield* open({ jwtSecret: Redacted.make(secret) })
      const keyOnly = yield* open({ jwtPublicKey: ours.publicPem })
      const [byKey, bySecret] = [yield* sign(valid, "RS256", ours.privateKey), yield* sign(valid, "HS256", secretBytes)]
      assert.strictEqual(yield* denialOf(secretOnly.admit(elsewhere(byKey))), "Unauthorized")
      assert.strictEqual(yield* denialOf(keyOnly.admit(elsewhere(bySecret))), "Unauthorized")
      yield* secretOnly.admit(elsewhere(bySecret))
      yield* keyOnly.admit(elsewhere(byKey))
    })
  )
})

describe("LT_JWT_PUBLIC_KEY", () => {
  it.effect("is a file, or the text, also with its line breaks written out", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "jwt.pem")
      writeFileSync(file, ours.publicPem)
      const token = yield* sign(valid, "RS256", ours.privateKey)
      for (const jwtPublicKey of [file, ours.publicPem, ours.publicPem.replaceAll("\n", "\\n")]) {
        const { admit } = yield* open({ jwtPublicKey })
        assert.strictEqual((yield* admit(elsewhere(token))).subject, "alice")
      }
    })
  )

  it.effect("that cannot be used is said in one line, which repeats nothing of it", () =>
    Effect.gen(function* () {
      const curve = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ type: "spki", format: "pem" })
      for (const [jwtPublicKey, reason] of [
        ["/nonexistent/jwt.pem", "cannot be read"],
        ["-----BEGIN PUBLIC KEY-----\nbm8=\n-----END PUBLIC KEY-----", "is not a public key"],
        [ours.privatePem, "not the private one"],
        [pairOf(1024).publicPem, "2048 bits"],
        [String(curve), "RSA"]
      ] as const) {
        const { message } = yield* Effect.flip(open({ jwtPublicKey }))
        assert.match(message, /^LT_JWT_PUBLIC_KEY [^\n]*$/)
        assert.include(message, reason)
        assert.notInclude(message, "BEGIN")
      }
    })
  )
})
