import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, References } from "effect"
import { TestClock } from "effect/testing"
import { denialOf, elsewhere, here, open } from "../support/AccessScene.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

const apiToken = Redacted.make("the-admins-token")
const shownKey = (lines: ReadonlyArray<string>) =>
  lines.map((line) => /parlance_[\w-]{43}/.exec(line)?.[0]).find(Boolean)

describe("LT_API_TOKEN", () => {
  it.effect("is an admin's: it controls and it streams, without quotas of its own", () =>
    Effect.gen(function* () {
      const { admit, admitAdmin, isSingleUser } = yield* open({ apiToken, minutesPerDay: 5, maxStreams: 50 })
      const grant = { subject: "LT_API_TOKEN", isAdmin: true, concurrentStreams: 50 }
      assert.deepStrictEqual(yield* admit(elsewhere("the-admins-token")), grant)
      assert.deepStrictEqual(yield* admitAdmin(elsewhere("the-admins-token")), grant)
      assert.isFalse(isSingleUser)
    })
  )

  it.effect("is nothing that resembles it, and nothing at all is not enough either, wherever one asks from", () =>
    Effect.gen(function* () {
      const { admit, admitAdmin } = yield* open({ apiToken })
      for (const token of [
        undefined,
        "",
        "the-admins-toke",
        "the-admins-token ",
        "THE-ADMINS-TOKEN",
        "x".repeat(100_000)
      ]) {
        for (const caller of [elsewhere(token), here(token), { ...here(token), noneKnown: true }]) {
          assert.strictEqual(yield* denialOf(admit(caller)), "Unauthorized")
          assert.strictEqual(yield* denialOf(admitAdmin(caller)), "Unauthorized")
        }
      }
    })
  )
})

describe("pages", () => {
  const from = (origin: string | undefined, host?: string) => ({
    ...elsewhere("the-admins-token"),
    origin,
    host: host ?? "captions.example.com"
  })

  it.effect("of our own host and of allowed origins may ask, no others, whatever they know", () =>
    Effect.gen(function* () {
      const { admit, admitAdmin } = yield* open({ apiToken, allowedOrigins: ["https://app.example.com"] })
      for (const welcome of [
        from(undefined),
        from("https://captions.example.com"),
        from("https://captions.example.com", "Captions.Example.com"),
        from("http://localhost:8080", "localhost:8080"),
        from("https://app.example.com")
      ]) {
        yield* admit(welcome)
        yield* admitAdmin(welcome)
      }
      for (const other of [
        from("https://evil.example.com"),
        from("http://app.example.com"),
        from("https://app.example.com:8443"),
        from("https://app.example.com.evil.example.com"),
        from("https://captions.example.com:8443"),
        from("null"),
        from(""),
        { ...from("null"), host: undefined }
      ]) {
        assert.strictEqual(yield* denialOf(admit(other)), "Forbidden", other.origin)
        assert.strictEqual(yield* denialOf(admitAdmin(other)), "Forbidden", other.origin)
      }
    })
  )
})

describe("single-user mode", () => {
  it.effect("shows a key once, knows it ever after, and keeps only its hash where nobody else can look", () =>
    Effect.gen(function* () {
      const first = yield* open({})
      const key = shownKey(first.lines) ?? ""
      assert.strictEqual(first.lines.filter((line) => line.includes(key)).length, 1)
      assert.deepStrictEqual(yield* first.admit(elsewhere(key)), {
        subject: "owner",
        isAdmin: true,
        concurrentStreams: 20
      })
      yield* first.admitAdmin(elsewhere(key))
      assert.strictEqual(yield* denialOf(first.admit(elsewhere(`${key}x`))), "Unauthorized")

      const again = yield* open({ storage: first.storage })
      assert.isUndefined(shownKey(again.lines))
      yield* again.admit(elsewhere(key))
      for (const file of readdirSync(first.storage)) {
        assert.notInclude(readFileSync(join(first.storage, file), "utf8"), key)
        assert.strictEqual(statSync(join(first.storage, file)).mode & 0o777, 0o600)
      }
    })
  )

  it.effect("makes its folder for itself alone", () =>
    Effect.gen(function* () {
      const storage = join(yield* temporaryFolder, "deep", "down")
      yield* open({ storage })
      assert.strictEqual(statSync(storage).mode & 0o777, 0o700)
    })
  )

  it.effect("makes another key when the file is gone or broken, and then the old one is nothing", () =>
    Effect.gen(function* () {
      const first = yield* open({})
      writeFileSync(join(first.storage, "key.sha256"), "no hash")
      const second = yield* open({ storage: first.storage })
      const [old = "", fresh = ""] = [shownKey(first.lines), shownKey(second.lines)]
      assert.notStrictEqual(old, fresh)
      yield* second.admit(elsewhere(fresh))
      assert.strictEqual(yield* denialOf(second.admit(elsewhere(old))), "Unauthorized")
    })
  )

  it.effect("shows the key whatever the level of the log, and says so when it cannot be kept", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "file")
      writeFileSync(file, "no folder")
      const { admit, lines } = yield* Effect.provideService(
        open({ storage: file }),
        References.MinimumLogLevel,
        "Fatal"
      )
      assert.include(lines.join(), "cannot be kept")
      yield* admit(elsewhere(shownKey(lines)))
    })
  )

  it.effect("asks nothing of this machine where the dialect has no credentials, and the key of everybody else", () =>
    Effect.gen(function* () {
      const { admit, isSingleUser } = yield* open({ minutesPerDay: 60, streamsPerToken: 2 })
      assert.isTrue(isSingleUser)
      const free = { ...here(), noneKnown: true }
      const owner = { subject: "owner", isAdmin: true, concurrentStreams: 2, minutesPerDay: 60 }
      for (const caller of [
        free,
        { ...free, host: "127.0.0.1" },
        { ...free, host: "[::1]:8080", peerAddress: "::1" },
        { ...free, origin: "http://localhost:8080" }
      ]) {
        assert.deepStrictEqual(yield* admit(caller), owner)
      }
      for (const caller of [
        here(),
        { ...free, peerAddress: "192.168.1.5" },
        { ...free, peerAddress: undefined },
        { ...free, host: "evil.example.com" },
        { ...free, host: undefined },
        { ...here("wrong"), noneKnown: true }
      ]) {
        assert.strictEqual(yield* denialOf(admit(caller)), "Unauthorized")
      }
      assert.strictEqual(yield* denialOf(admit({ ...free, origin: "https://evil.example.com" })), "Forbidden")
    })
  )

  it.effect("leaves the service API to this machine, and to the key", () =>
    Effect.gen(function* () {
      const { admitAdmin } = yield* open({})
      yield* admitAdmin(here())
      yield* admitAdmin(here("a token for something else"))
      for (const caller of [
        elsewhere(),
        { ...here(), host: "evil.example.com" },
        { ...here(), peerAddress: "192.168.1.5" }
      ]) {
        assert.strictEqual(yield* denialOf(admitAdmin(caller)), "Forbidden")
      }
    })
  )
})

describe("LT_TOKENS_FILE", () => {
  const sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
  const list = [
    { name: "alice", token: "alices-token", concurrentStreams: 3, minutesPerDay: 90 },
    // The SHA-256 of "test".
    { name: "bob", sha256 }
  ]
  const written = Effect.fnUntraced(function* (content: unknown = list) {
    const path = join(yield* temporaryFolder, "tokens.json")
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content), { mode: 0o600 })
    return path
  })

  it.effect("lets its tokens stream, each under its name and with its quotas, and do nothing else", () =>
    Effect.gen(function* () {
      const { admit, admitAdmin, lines } = yield* open({ apiToken, tokensFile: yield* written(), minutesPerDay: 30 })
      assert.deepStrictEqual(yield* admit(elsewhere("alices-token")), {
        subject: "alice",
        isAdmin: false,
        concurrentStreams: 3,
        minutesPerDay: 90
      })
      assert.deepStrictEqual(yield* admit(elsewhere("test")), {
        subject: "bob",
        isAdmin: false,
        concurrentStreams: 20,
        minutesPerDay: 30
      })
      for (const token of ["alice", sha256, "bob", ""]) {
        assert.strictEqual(yield* denialOf(admit(elsewhere(token))), "Unauthorized")
      }
      assert.strictEqual(yield* denialOf(admitAdmin(elsewhere("alices-token"))), "Forbidden")
      assert.strictEqual((yield* admit(elsewhere("the-admins-token"))).subject, "LT_API_TOKEN")
      assert.deepStrictEqual(lines, [])
    })
  )

  it.effect("without LT_API_TOKEN leaves control to nobody: a proxy on this machine would open it to all", () =>
    Effect.gen(function* () {
      const { admit, admitAdmin } = yield* open({ tokensFile: yield* written() })
      for (const caller of [here(), elsewhere(), here("alices-token"), elsewhere("alices-token")]) {
        assert.strictEqual(yield* denialOf(admitAdmin(caller)), "Forbidden")
      }
      assert.strictEqual(yield* denialOf(admit({ ...here(), noneKnown: true })), "Unauthorized")
    })
  )

  it.effect("is read again when it changes: new tokens are let in, those taken away are not", () =>
    Effect.gen(function* () {
      const tokensFile = yield* written()
      const { admit } = yield* open({ tokensFile })
      yield* admit(elsewhere("alices-token"))
      writeFileSync(tokensFile, JSON.stringify([{ name: "carol", token: "carols-token" }]))
      assert.strictEqual((yield* admit(elsewhere("carols-token"))).subject, "carol")
      assert.strictEqual(yield* denialOf(admit(elsewhere("alices-token"))), "Unauthorized")
    })
  )

  it.effect("when it breaks leaves the last good tokens valid, says so in one line, and repeats no secret", () =>
    Effect.gen(function* () {
      const tokensFile = yield* written()
      const { admit, lines } = yield* open({ tokensFile })
      for (const [index, broken] of [
        '[{"name": "alice", "token": "leaked-token"',
        JSON.stringify([{ name: "alice", token: "leaked-token", minutesPerday: 5 }]),
        JSON.stringify([{ name: "alice", token: "leaked-token", minutesPerDay: -5 }]),
        JSON.stringify([{ name: "alice", token: "leaked-token", sha256 }]),
        JSON.stringify([{ name: "alice", token: ["leaked-token"] }]),
        JSON.stringify([{ name: "alice", sha256: "leaked-token" }]),
        JSON.stringify({ alice: "leaked-token" }),
        JSON.stringify([list[0], { name: "alice", token: "leaked-token-2" }])
      ].entries()) {
        writeFileSync(tokensFile, broken)
        yield* Effect.forEach([1, 2, 3], () => admit(elsewhere("alices-token")), { concurrency: 3 })
        assert.strictEqual(yield* denialOf(admit(elsewhere("leaked-token"))), "Unauthorized")
        assert.strictEqual(lines.length, index + 1, broken)
      }
      assert.include(lines[1], "minutesPerday")
      assert.notInclude(lines.join(), "leaked-token")
      writeFileSync(tokensFile, JSON.stringify([{ name: "carol", token: "carols-token" }]))
      yield* admit(elsewhere("carols-token"))
    })
  )

  it.effect("that cannot be used at the start is said before anything is served", () =>
    Effect.gen(function* () {
      const broken = yield* Effect.flip(open({ tokensFile: yield* written("leaked-token") }))
      assert.match(broken.message, /^LT_TOKENS_FILE \(.*\) cannot be used: it is not JSON$/)
      const absent = yield* Effect.flip(open({ tokensFile: "/nonexistent/tokens.json" }))
      assert.include(absent.message, "LT_TOKENS_FILE (/nonexistent/tokens.json) cannot be used")
      assert.notInclude(absent.message, "\n")
    })
  )

  it.effect("that others can open is warned of", () =>
    Effect.gen(function* () {
      const tokensFile = yield* written()
      chmodSync(tokensFile, 0o644)
      const { admit, lines } = yield* open({ tokensFile })
      yield* admit(elsewhere("alices-token"))
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], "chmod 600")
    })
  )
})

describe("short-lived credentials", () => {
  it.effect("stream under the name and quotas of who made them, and do nothing else", () =>
    Effect.gen(function* () {
      const { admit, admitAdmin, mint } = yield* open({ apiToken, maxStreams: 7 })
      const { expiresAtMs, value } = yield* mint(yield* admit(elsewhere("the-admins-token")), 60)
      assert.match(Redacted.value(value), /^ek_[\w.-]+$/)
      const grant = yield* admit(elsewhere(Redacted.value(value)))
      assert.deepStrictEqual(grant, {
        subject: "LT_API_TOKEN",
        isAdmin: false,
        concurrentStreams: 7,
        expiresAtMs,
        isShortLived: true
      })
      assert.strictEqual(yield* denialOf(admitAdmin(elsewhere(Redacted.value(value)))), "Forbidden")
      assert.strictEqual(yield* denialOf(mint(grant, 60)), "Forbidden")
      assert.notStrictEqual(
        Redacted.value(value),
        Redacted.value((yield* mint({ ...grant, isShortLived: false }, 60)).value)
      )
    })
  )

  it.effect("end on time, within bounds, never later than the credential they came from", () =>
    Effect.gen(function* () {
      const { admit, mint } = yield* open({ apiToken })
      const grant = yield* admit(elsewhere("the-admins-token"))
      const lifeOf = (seconds: number, expiresAtMs?: number) =>
        Effect.map(
          mint(expiresAtMs === undefined ? grant : { ...grant, expiresAtMs }, seconds),
          (one) => one.expiresAtMs
        )
      assert.deepStrictEqual(
        [yield* lifeOf(1), yield* lifeOf(1e9), yield* lifeOf(Number.NaN), yield* lifeOf(600, 30_000)],
        [10_000, 7_200_000, 10_000, 30_000]
      )
      const { value } = yield* mint(grant, 60)
      yield* TestClock.adjust("59 seconds")
      yield* admit(elsewhere(Redacted.value(value)))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* denialOf(admit(elsewhere(Redacted.value(value)))), "Unauthorized")
    })
  )

  it.effect("cannot be changed, and are nothing to another process", () =>
    Effect.gen(function* () {
      const { admit, mint } = yield* open({ apiToken })
      const value = Redacted.value((yield* mint(yield* admit(elsewhere("the-admins-token")), 60)).value)
      const [body = "", signature = ""] = value.slice(3).split(".")
      const text = Buffer.from(body, "base64url").toString("utf8")
      const forged = Buffer.from(text.replace('"LT_API_TOKEN"', '"somebody"')).toString("base64url")
      for (const token of [`ek_${forged}.${signature}`, `ek_${body}`, `ek_${body}.`, "ek_.", "ek_", `${value}.x`]) {
        assert.strictEqual(yield* denialOf(admit(elsewhere(token))), "Unauthorized", token)
      }
      const other = yield* open({ apiToken })
      assert.strictEqual(yield* denialOf(other.admit(elsewhere(value))), "Unauthorized")
    })
  )
})
