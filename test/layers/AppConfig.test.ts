import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Redacted } from "effect"
import * as AppConfig from "../../src/layers/AppConfig.ts"
import { VERSION } from "../../src/layers/ExAppSettings.ts"

const load = (environment: Record<string, string>) =>
  AppConfig.load.pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment))))

const whole = {
  LT_HPB_URL: "wss://hpb.example.com/spreed",
  LT_INTERNAL_SECRET: "hpb-secret",
  STT_STREAM_URL: "ws://127.0.0.1:8000/v1/stream"
}

describe("AppConfig", () => {
  it.effect("needs nothing to be read and has the documented defaults", () =>
    Effect.gen(function* () {
      const config = yield* load({})
      assert.strictEqual(config.appId, "live_transcription")
      assert.strictEqual(config.appVersion, VERSION)
      assert.isUndefined(config.defaultLanguage)
      assert.strictEqual(config.shutdownSeconds, 8)
      assert.strictEqual(config.logLevel, "Info")
      assert.isFalse(config.skipCertVerify)
      assert.isUndefined(config.servicePort)
    })
  )

  it.effect("takes values as existing deployments write them", () =>
    Effect.gen(function* () {
      const config = yield* load({
        LOG_LEVEL: "WARNING",
        SKIP_CERT_VERIFY: "True",
        PORT: " 9000 ",
        LT_INTERNAL_SECRET: "secret\n",
        LT_HPB_URL: "https://hpb.example.com/",
        LT_DEFAULT_LANGUAGE: "",
        APP_PORT: "23000"
      })
      assert.strictEqual(config.logLevel, "Warn")
      assert.isTrue(config.skipCertVerify)
      assert.strictEqual(config.servicePort, 9000)
      assert.strictEqual(Redacted.value(config.internalSecret ?? Redacted.make("")), "secret")
      assert.isUndefined(config.defaultLanguage)
    })
  )

  for (const [name, value] of [
    ["PORT", "abc"],
    ["PORT", "70000"],
    ["APP_PORT", "-1"],
    ["LT_HPB_URL", "ftp://hpb.example.com"],
    ["STT_STREAM_URL", "https://example.com"],
    ["NEXTCLOUD_URL", "ftp://example.com"],
    ["SKIP_CERT_VERIFY", "perhaps"],
    ["LT_MAX_SPEAKERS", "many"],
    ["LT_SHUTDOWN_SECONDS", "1e9"],
    ["LT_DEFAULT_LANGUAGE", "Klingon!"],
    ["LT_DATABASE_URL", "mysql://parlance:s3cret@db.example.com/parlance"],
    ["LT_DATABASE_URL", "postgres://parlance:s3cret@db.example.com/parlance?sslmode=perhaps"],
    ["LT_DATABASE_URL", "postgres://parlance:s3cret@db.example.com"],
    ["LOG_LEVEL", "loud"]
  ] as const) {
    it.effect(`says in one line that ${name}=${value} cannot be, without repeating the value`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(load({ ...whole, [name]: value }))
        assert.match(error.message, new RegExp(`^${name} must be `))
        assert.notInclude(error.message, "\n")
        assert.notInclude(error.message, value)
      })
    )
  }

  it.effect("runners of other machines reach this one over a private network, unless an admin says otherwise", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(load({ LT_RUNNER_ADDRESS: "203.0.113.7:23100" }))
      assert.include(error.message, "LT_RUNNER_ADDRESS")
      const open = yield* load({ LT_RUNNER_ADDRESS: "203.0.113.7:23100", LT_RUNNER_PUBLIC: "true" })
      assert.deepStrictEqual(open.runnerAddress, { host: "203.0.113.7", port: 23_100 })
      for (const host of ["10.0.0.5", "192.168.1.1", "172.31.0.1", "127.0.0.1", "[fd00::1]", "runner-1"]) {
        yield* load({ LT_RUNNER_ADDRESS: `${host}:23100` })
      }
      for (const wrong of ["10.0.0.5", ":23100", "10.0.0.5:0", "10.0.0.5:70000", "http://10.0.0.5:23100"]) {
        assert.include((yield* Effect.flip(load({ LT_RUNNER_ADDRESS: wrong }))).message, "a host and a port")
      }
    })
  )

  it.effect("all runners of a machine have a port", () =>
    Effect.gen(function* () {
      yield* load({ LT_RUNNER_ADDRESS: "10.0.0.5:65532", LT_RUNNERS: "4" })
      const error = yield* Effect.flip(load({ LT_RUNNER_ADDRESS: "10.0.0.5:65533", LT_RUNNERS: "4" }))
      assert.match(error.message, /^LT_RUNNER_ADDRESS must have a port low enough for all 4 runners/)
    })
  )

  it.effect("a database of another machine is used only with an address that its other users reach", () =>
    Effect.gen(function* () {
      const there = "postgres://parlance:s3cret@db.example.com/parlance"
      for (const LT_RUNNER_ADDRESS of [undefined, "127.0.0.1:23100", "localhost:23100", "[::1]:23100"]) {
        const error = yield* Effect.flip(
          load({ LT_DATABASE_URL: there, ...(LT_RUNNER_ADDRESS === undefined ? {} : { LT_RUNNER_ADDRESS }) })
        )
        assert.match(error.message, /LT_RUNNER_ADDRESS must be .*LT_DATABASE_URL/)
        assert.notInclude(error.message, "s3cret")
      }
      yield* load({ ...whole, LT_DATABASE_URL: there, LT_RUNNER_ADDRESS: "10.0.0.5:23100" })
      for (const here of ["postgres://a:b@localhost/parlance", "postgres://a:b@db/parlance?host=/var/run/postgresql"]) {
        yield* load({ ...whole, LT_DATABASE_URL: here })
      }
    })
  )

  it.effect("a database that others use is used only with the secret by which its runners know each other", () =>
    Effect.gen(function* () {
      const LT_DATABASE_URL = "postgres://parlance:s3cret@localhost/parlance"
      for (const secret of [{}, { LT_INTERNAL_SECRET: "" }, { LT_INTERNAL_SECRET: " \n" }]) {
        const error = yield* Effect.flip(load({ LT_DATABASE_URL, ...secret }))
        assert.match(error.message, /^LT_INTERNAL_SECRET must be set where LT_DATABASE_URL is/)
      }
    })
  )

  it.effect("a secret of nothing but white space is none: an empty file, mounted as a secret, lets nobody in", () =>
    Effect.gen(function* () {
      for (const empty of ["", " ", "\n"]) {
        const config = yield* load({ ...whole, LT_INTERNAL_SECRET: empty, LT_API_TOKEN: empty, APP_SECRET: empty })
        assert.isUndefined(config.internalSecret)
        assert.isFalse(AppConfig.hasCredentials(config))
        assert.isFalse(AppConfig.isExApp(config))
        assert.deepStrictEqual(
          AppConfig.missing(config).map(({ name }) => name),
          ["LT_INTERNAL_SECRET"]
        )
      }
    })
  )

  it.effect("listens for others only where somebody was given a credential", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(load({ LT_LISTEN_HOST: "0.0.0.0" }))
      assert.include(error.message, "LT_API_TOKEN")
      for (const host of ["127.0.0.1", "localhost", "::1"]) yield* load({ LT_LISTEN_HOST: host })
      for (const credential of [
        { LT_API_TOKEN: "token" },
        { LT_TOKENS_FILE: "/run/secrets/tokens.json" },
        { LT_JWT_SECRET: "x".repeat(32) },
        { LT_JWT_PUBLIC_KEY: "/run/secrets/jwt.pem" }
      ]) {
        yield* load({ LT_LISTEN_HOST: "0.0.0.0", ...credential })
      }
    })
  )

  it.effect("takes no secret that could be guessed, and no certificate without its key", () =>
    Effect.gen(function* () {
      const short = yield* Effect.flip(load({ LT_JWT_SECRET: "s3cret".repeat(5) }))
      assert.strictEqual(short.message, "LT_JWT_SECRET must have 32 characters or more")
      for (const name of ["LT_TLS_CERT", "LT_TLS_KEY"]) {
        const half = yield* Effect.flip(load({ [name]: "/run/secrets/tls.pem" }))
        assert.strictEqual(half.message, "LT_TLS_CERT and LT_TLS_KEY must be set together")
      }
    })
  )

  it.effect("knows what is missing for captions", () =>
    Effect.gen(function* () {
      const names = (environment: Record<string, string>) =>
        Effect.map(load(environment), (config) => AppConfig.missing(config).map(({ name }) => name))
      assert.deepStrictEqual(yield* names(whole), [])
      assert.deepStrictEqual(yield* names({}), ["LT_HPB_URL", "LT_INTERNAL_SECRET", "a speech engine"])
      for (const engine of [
        { LT_MOSHI_URL: "ws://gpu:8080/api/asr-streaming" },
        { OPENAI_API_KEY: "sk-1" },
        { AWS_REGION: "us-east-1" },
        { LT_TLDW_URL: "ws://gpu:8000/stream" },
        { LT_VOSK_SERVER_URL: "ws://vosk:2700" },
        { LT_SHERPA_MODEL: "small" },
        { MODAL_KEY: "wk-1", LT_SHERPA_MODEL: "small" }
      ])
        assert.deepStrictEqual(yield* names({ ...whole, STT_STREAM_URL: "", ...engine }), [])
      assert.deepStrictEqual(yield* names({ ...whole, STT_STREAM_URL: "", MODAL_WORKSPACE: "me", MODAL_KEY: "wk-1" }), [
        "MODAL_SECRET"
      ])
      assert.deepStrictEqual(yield* names({ ...whole, APP_PORT: "23000" }), ["APP_SECRET"])
    })
  )

  it.effect("names every way to an engine where there is none", () =>
    Effect.gen(function* () {
      const [engine] = AppConfig.missingEngine(yield* load({}))
      for (const name of ["STT_STREAM_URL", "MODAL_WORKSPACE + MODAL_KEY + MODAL_SECRET", "LT_SHERPA_MODEL"])
        assert.include(engine?.description, name)
    })
  )

  it.effect("says in one line what an engine of LT_ENGINE lacks", () =>
    Effect.gen(function* () {
      const saidOf = (environment: Record<string, string>) => Effect.map(Effect.flip(load(environment)), String)
      assert.include(
        yield* saidOf({ ...whole, LT_ENGINE: "modal,vosk" }),
        "LT_ENGINE names vosk, but LT_VOSK_SERVER_URL is not set"
      )
      assert.include(
        yield* saidOf({ LT_ENGINE: "modal", MODAL_WORKSPACE: "me" }),
        "LT_ENGINE names modal, but MODAL_KEY and MODAL_SECRET are not set"
      )
      assert.include(yield* saidOf({ LT_ENGINE: "modal" }), "LT_ENGINE names modal, but STT_STREAM_URL is not set")
      yield* load({ LT_ENGINE: "modal,vosk", LT_VOSK_SERVER_URL: "ws://vosk:2700", STT_STREAM_URL: "ws://stt:80" })
    })
  )

  it.effect("takes engines with their roles: the first is the primary one, those behind it cover", () =>
    Effect.gen(function* () {
      const all = {
        STT_STREAM_URL: "ws://stt:80",
        LT_VOSK_SERVER_URL: "ws://vosk:2700",
        LT_MOSHI_URL: "ws://moshi",
        OPENAI_API_KEY: "sk"
      }
      const rolesOf = (chain: string) =>
        Effect.map(load({ ...all, LT_ENGINE: chain }), ({ engines = [] }) => engines.map(({ role }) => role))
      assert.deepStrictEqual(yield* rolesOf("modal"), ["Primary"])
      assert.deepStrictEqual(yield* rolesOf("modal, moshi , vosk:last, openai:Primary"), [
        "Primary",
        "Cover",
        "LastResort",
        "Primary"
      ])
      for (const wrong of ["modal:best", "modal:", "modal:cover:last", "modal,modal:last", "modal,"]) {
        assert.include(String(yield* Effect.flip(rolesOf(wrong))), "LT_ENGINE must be names of engines", wrong)
      }
    })
  )

  it.effect("takes rooms whose calls stay on this machine", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* load({ LT_LOCAL_ONLY_ROOMS: "a1b2, board" })).localOnlyRooms?.map(String), [
        "a1b2",
        "board"
      ])
      for (const wrong of ["a1b2,", "https://cloud.example.com/call/a1b2", "a b"]) {
        assert.include(
          String(yield* Effect.flip(load({ LT_LOCAL_ONLY_ROOMS: wrong }))),
          "LT_LOCAL_ONLY_ROOMS must be tokens of conversations"
        )
      }
      assert.strictEqual((yield* load({})).privacy, "any")
      assert.strictEqual((yield* load({ LT_PRIVACY: "Local-Only" })).privacy, "local-only")
      assert.include(String(yield* Effect.flip(load({ LT_PRIVACY: "local" }))), "LT_PRIVACY must be any or local-only")
    })
  )

  it.effect("keeps secrets out of whatever is printed", () =>
    Effect.gen(function* () {
      const config = yield* load({
        LT_INTERNAL_SECRET: "s3cret-1",
        MODAL_KEY: "s3cret-2",
        MODAL_SECRET: "s3cret-3",
        LT_API_TOKEN: "s3cret-4",
        APP_SECRET: "s3cret-5",
        HP_SHARED_KEY: "s3cret-6",
        LT_DATABASE_URL: "postgres://parlance:s3cret-8@db.example.com/parlance",
        LT_RUNNER_ADDRESS: "10.0.0.5:23100",
        LT_JWT_SECRET: "s3cret-7".repeat(4)
      })
      assert.notInclude(JSON.stringify(config) + String(Object.values(config)), "s3cret")
    })
  )

  it("describes every variable once", () => {
    const names = AppConfig.variables.map(({ name }) => name)
    assert.strictEqual(new Set(names).size, names.length)
    for (const { description, name } of AppConfig.variables) {
      assert.match(description, /^[A-Z].*\.$/s, name)
      assert.notInclude(description, "|", name)
    }
  })

  it("has the version of the package", () => {
    const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8")
    assert.include(manifest, `"version": "${VERSION}"`)
  })
})
