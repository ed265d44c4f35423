import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Ref, Schedule } from "effect"
import { HttpClient } from "effect/http"
import { NextcloudSessionId, participant, RoomToken } from "../../src/domain/Call.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import { Calls } from "../../src/services/Calls.ts"
import { NextcloudError } from "../../src/services/Nextcloud.ts"
import * as FakeCalls from "../support/FakeCalls.ts"
import { appApiHeaders, ask, exApp, type Given, nextcloud } from "../support/HttpSetup.ts"

const headers = appApiHeaders()
const viewer = { roomToken: "room1", ncSessionId: "nc/session+1" }

/** Runs a test against a listener of its own. */
const onExApp = <A, E>(
  test: (calls: FakeCalls.FakeCalls) => Effect.Effect<A, E, HttpClient.HttpClient>,
  options: { readonly given?: Given; readonly nextcloud?: ReturnType<typeof nextcloud> } = {}
) =>
  Effect.suspend(() => {
    const calls = FakeCalls.make()
    return test(calls).pipe(Effect.provide(exApp({ calls: FakeCalls.layer(calls), ...options })))
  })

describe("AppAPI", () => {
  it.live("finds a heartbeat and health without proof, and nothing else", () =>
    onExApp((calls) =>
      Effect.gen(function* () {
        assert.deepStrictEqual((yield* ask("GET", "/heartbeat")).body, { status: "ok" })
        for (const path of ["/health", "/healthz"]) {
          const { body, status } = yield* ask("GET", path)
          assert.strictEqual(status, 200)
          assert.include(body, { status: "healthy", rooms: 0, speakers: 0 })
        }
        for (const [method, path] of [
          ["POST", "/init"],
          ["PUT", "/enabled?enabled=0"],
          ["GET", "/enabled"],
          ["GET", "/capabilities"],
          ["GET", "/api/v1/languages"],
          ["GET", "/api/v1/status"],
          ["POST", "/api/v1/call/transcribe"],
          ["POST", "/api/v1/call/set-language"],
          ["POST", "/api/v1/call/leave"],
          ["POST", "/api/v1/translation/set-target-language"]
        ] as const) {
          const answer = yield* ask(method, path)
          assert.strictEqual(answer.status, 401, `${method} ${path}`)
          assert.deepStrictEqual(answer.body, { error: "not authenticated as Nextcloud" })
        }
        assert.strictEqual(calls.endedAll, 0)
      })
    )
  )

  it.live("is known by all three of its headers, whoever the user is", () =>
    onExApp(() =>
      Effect.gen(function* () {
        const statusWith = (given: Record<string, string>) =>
          Effect.map(ask("GET", "/enabled", { headers: given }), ({ status }) => status)
        assert.strictEqual(yield* statusWith(headers), 200)
        assert.strictEqual(yield* statusWith(appApiHeaders(undefined, "admin")), 200)
        for (const wrong of [
          { ...headers, "EX-APP-ID": "other" },
          { ...headers, "EX-APP-VERSION": "" },
          { "EX-APP-ID": "live_transcription", "EX-APP-VERSION": "1" },
          appApiHeaders("wrong"),
          appApiHeaders(""),
          appApiHeaders("s3cret"),
          { ...headers, "AUTHORIZATION-APP-API": "%%%" },
          { ...headers, "AUTHORIZATION-APP-API": Buffer.from("s3cret:with:colons").toString("base64") }
        ]) {
          assert.strictEqual(yield* statusWith(wrong), 401, JSON.stringify(wrong))
        }
      })
    )
  )

  it.live("can prove nothing while no secret is set", () =>
    onExApp(
      () =>
        Effect.gen(function* () {
          const { body, status } = yield* ask("GET", "/enabled", { headers: appApiHeaders("") })
          assert.strictEqual(status, 401)
          assert.deepStrictEqual(body, { error: "APP_SECRET is not set" })
        }),
      { given: { appSecret: undefined } }
    )
  )

  it.live("installs: init is answered at once, the report follows, and calls come in while it is under way", () =>
    Effect.gen(function* () {
      const reported = yield* Ref.make<ReadonlyArray<number>>([])
      const answered = yield* Deferred.make<void>()
      const slow = nextcloud({
        reportInit: (progress) =>
          Ref.update(reported, (all) => [...all, progress]).pipe(Effect.andThen(Deferred.await(answered)))
      })
      yield* onExApp(
        () =>
          Effect.gen(function* () {
            const init = yield* ask("POST", "/init", { headers })
            assert.deepStrictEqual([init.status, init.body], [200, {}])
            yield* Ref.get(reported).pipe(
              Effect.repeat({ until: (all) => all.length > 0, schedule: Schedule.spaced("5 millis") })
            )
            // AppAPI asks all this inside our own request.
            assert.strictEqual((yield* ask("GET", "/heartbeat", { headers })).status, 200)
            const enabled = yield* ask("PUT", "/enabled?enabled=1", { headers })
            assert.deepStrictEqual([enabled.status, enabled.body], [200, { error: "" }])
            yield* Deferred.succeed(answered, undefined)
            assert.deepStrictEqual(yield* Ref.get(reported), [100])
          }),
        { nextcloud: slow }
      )
    })
  )

  it.live("is told again when it did not hear that the app is ready", () =>
    Effect.gen(function* () {
      const attempts = yield* Ref.make(0)
      const deaf = nextcloud({
        reportInit: () =>
          Ref.updateAndGet(attempts, (count) => count + 1).pipe(
            Effect.flatMap((count) =>
              count === 1 ? Effect.fail(new NextcloudError({ reason: "Unreachable", detail: "away" })) : Effect.void
            )
          )
      })
      yield* onExApp(
        () =>
          Effect.gen(function* () {
            yield* ask("POST", "/init", { headers })
            yield* Ref.get(attempts).pipe(
              Effect.repeat({ until: (count) => count === 2, schedule: Schedule.spaced("20 millis") })
            )
          }),
        { nextcloud: deaf }
      )
    })
  )

  it.live("disables: all calls end, new ones are refused until it enables again", () =>
    onExApp((calls) =>
      Effect.gen(function* () {
        const transcribe = () => ask("POST", "/api/v1/call/transcribe", { headers, body: viewer })
        assert.strictEqual((yield* transcribe()).status, 200)
        assert.deepStrictEqual((yield* ask("PUT", "/enabled?enabled=0", { headers })).body, { error: "" })
        assert.strictEqual(calls.endedAll, 1)
        assert.strictEqual(calls.rooms.size, 0)
        assert.deepStrictEqual((yield* ask("GET", "/enabled", { headers })).body, { enabled: false })
        const refused = yield* transcribe()
        assert.strictEqual(refused.status, 503)
        assert.deepStrictEqual(refused.body, { error: "live_transcription is disabled in Nextcloud" })
        const stop = yield* ask("POST", "/api/v1/call/transcribe", { headers, body: { ...viewer, enable: false } })
        assert.strictEqual(stop.status, 200)
        yield* ask("PUT", "/enabled?enabled=1", { headers })
        assert.strictEqual((yield* transcribe()).status, 200)
        assert.strictEqual((yield* ask("PUT", "/enabled?enabled=perhaps", { headers })).status, 400)
      })
    )
  )

  it.live("is asked after a restart, and what it says later by itself counts more", () =>
    Effect.gen(function* () {
      const answer = yield* Deferred.make<boolean>()
      yield* onExApp(
        (calls) =>
          Effect.gen(function* () {
            const isEnabled = Effect.map(ask("GET", "/enabled", { headers }), ({ body }) => body)
            assert.deepStrictEqual(yield* isEnabled, { enabled: true })
            yield* ask("POST", "/api/v1/call/transcribe", { headers, body: viewer })
            yield* Deferred.succeed(answer, false)
            yield* isEnabled.pipe(
              Effect.repeat({
                until: (body) => JSON.stringify(body) === '{"enabled":false}',
                schedule: Schedule.spaced("5 millis")
              })
            )
            assert.strictEqual(calls.endedAll, 1)
            yield* ask("PUT", "/enabled?enabled=1", { headers })
            assert.deepStrictEqual(yield* isEnabled, { enabled: true })
          }),
        { nextcloud: nextcloud({ enabled: Deferred.await(answer) }) }
      )
    })
  )

  it.live("that cannot be reached leaves the app enabled", () =>
    onExApp(
      () =>
        Effect.map(ask("GET", "/enabled", { headers }), ({ body }) => assert.deepStrictEqual(body, { enabled: true })),
      { nextcloud: nextcloud({ enabled: Effect.fail(new NextcloudError({ reason: "Unreachable", detail: "away" })) }) }
    )
  )
})

describe("Talk", () => {
  it.live("learns what the app can do, under the app's id", () =>
    onExApp(() =>
      Effect.gen(function* () {
        const { body } = yield* ask("GET", "/capabilities", { headers })
        const supported_languages = {
          en: { name: "English", metadata: { separator: " ", rtl: false } },
          fr: { name: "Français", metadata: { separator: " ", rtl: false } }
        }
        assert.deepStrictEqual(body, {
          live_transcription: {
            version: "1.2.3",
            features: ["live_transcription"],
            live_transcription: { supported_languages }
          }
        })
        const languages = yield* ask("GET", "/api/v1/languages", { headers })
        assert.deepStrictEqual(languages.body, supported_languages)
        assert.deepStrictEqual(Object.keys(Object(languages.body)), ["en", "fr"])
      })
    )
  )

  it.live("starts and stops captions for one viewer", () =>
    onExApp((calls) =>
      Effect.gen(function* () {
        const path = "/api/v1/call/transcribe"
        const on = yield* ask("POST", path, { headers, body: { ...viewer, enable: true, langId: "fr" } })
        assert.deepStrictEqual([on.status, on.body], [200, { message: "transcription started" }])
        const off = yield* ask("POST", path, { headers, body: { ...viewer, enable: false } })
        assert.deepStrictEqual([off.status, off.body], [200, { message: "transcription stopped" }])
        const reader = { room: RoomToken.make("room1"), viewer: participant(NextcloudSessionId.make("nc/session+1")) }
        assert.deepStrictEqual(calls.started, [{ ...reader, language: LanguageId.make("fr"), iceServers: undefined }])
        assert.deepStrictEqual(calls.stopped, [reader])
      })
    )
  )

  it.live("may leave out the language, name one of another app, and say more than anybody asked", () =>
    onExApp((calls) =>
      Effect.gen(function* () {
        for (const more of [
          {},
          { langId: null },
          { langId: "" },
          { langId: "es" },
          { langId: "__proto__" },
          { translationTargetLangId: "de", x: [1] }
        ]) {
          const { status } = yield* ask("POST", "/api/v1/call/transcribe", { headers, body: { ...viewer, ...more } })
          assert.strictEqual(status, 200, JSON.stringify(more))
        }
        assert.deepStrictEqual(new Set(calls.started.map(({ language }) => language)), new Set(["en"]))
      })
    )
  )

  it.live("a page that is loaded anew reads on in the language its user read in, and others in the room's", () =>
    onExApp((calls) =>
      Effect.gen(function* () {
        const transcribe = (user: string, body: Record<string, unknown>) =>
          ask("POST", "/api/v1/call/transcribe", { headers: appApiHeaders(undefined, user), body })
        const languages = () => calls.started.splice(0).map(({ language }) => language)
        yield* transcribe("ada", { ...viewer, langId: "fr" })
        yield* transcribe("ada", { ...viewer, enable: false })
        calls.rooms.clear()
        yield* transcribe("ada", { roomToken: "room1", ncSessionId: "nc-of-the-new-page" })
        assert.deepStrictEqual(languages(), ["fr", "fr"])
        // A call that is heard in French stays so when somebody asks who never chose.
        yield* transcribe("bob", { roomToken: "room1", ncSessionId: "nc-bob" })
        yield* transcribe("", { roomToken: "room1", ncSessionId: "nc-guest" })
        assert.deepStrictEqual(languages(), ["fr", "fr"])
        // What a moderator chooses is newer than what anybody chose before, also while nobody reads.
        calls.rooms.clear()
        yield* ask("POST", "/api/v1/call/set-language", { headers, body: { roomToken: "room1", langId: "en" } })
        yield* transcribe("ada", { ...viewer })
        yield* transcribe("ada", { ...viewer, roomToken: "room2" })
        assert.deepStrictEqual(languages(), ["en", "en"])
      })
    )
  )

  it.live("changes the language where there is a call and the language is known", () =>
    onExApp((calls) =>
      Effect.gen(function* () {
        const set = (langId: string) =>
          ask("POST", "/api/v1/call/set-language", { headers, body: { roomToken: "room1", langId } })
        const nowhere = yield* set("fr")
        assert.deepStrictEqual([nowhere.status, nowhere.body], [404, { error: "nobody reads along in this room" }])
        yield* ask("POST", "/api/v1/call/transcribe", { headers, body: viewer })
        const unknown = yield* set("es")
        assert.deepStrictEqual([unknown.status, unknown.body], [400, { error: "langId: not a language of this app" }])
        assert.strictEqual((yield* set("fr")).status, 200)
        assert.deepStrictEqual([...calls.rooms.values()], ["fr"])
      })
    )
  )

  it.live("leaves a call, whether there is one or not", () =>
    onExApp((calls) =>
      Effect.gen(function* () {
        yield* ask("POST", "/api/v1/call/transcribe", { headers, body: viewer })
        for (const message of ["left the call", "there was no call to leave"]) {
          const { body, status } = yield* ask("POST", "/api/v1/call/leave", { headers, body: { roomToken: "room1" } })
          assert.deepStrictEqual([status, body], [200, { message }])
        }
        assert.deepStrictEqual(calls.ended, ["room1", "room1"])
      })
    )
  )

  it.live("is told that there is no translation, by the code it knows", () =>
    onExApp(() =>
      Effect.gen(function* () {
        for (const langId of ["de", null]) {
          const { body, status } = yield* ask("POST", "/api/v1/translation/set-target-language", {
            headers,
            body: { ...viewer, langId }
          })
          assert.deepStrictEqual([status, body], [550, { error: "this app does not translate" }])
        }
      })
    )
  )

  it.live("is told what is missing instead of captions that never come", () =>
    onExApp(
      (calls) =>
        Effect.gen(function* () {
          const { body, status } = yield* ask("POST", "/api/v1/call/transcribe", { headers, body: viewer })
          assert.strictEqual(status, 503)
          assert.deepStrictEqual(body, { error: "not configured: LT_HPB_URL is not set (Address of the HPB.)" })
          assert.deepStrictEqual(calls.started, [])
          const state = yield* ask("GET", "/api/v1/status", { headers })
          assert.deepInclude(state.body, {
            status: "unconfigured",
            missing: [{ name: "LT_HPB_URL", description: "Address of the HPB." }]
          })
        }),
      { given: { missing: [{ name: "LT_HPB_URL", description: "Address of the HPB." }] } }
    )
  )

  it.live("sees every call in the status", () =>
    onExApp(() =>
      Effect.gen(function* () {
        yield* ask("POST", "/api/v1/call/transcribe", { headers, body: viewer })
        const { body } = yield* ask("GET", "/api/v1/status", { headers })
        assert.deepInclude(body, {
          status: "ready",
          version: "1.2.3",
          rooms: 1,
          speakers: 2,
          viewers: 1,
          missing: [],
          calls: [{ roomToken: "room1", state: "Captioning", viewers: 1, speakers: 2, languageId: "en" }]
        })
        const health = yield* ask("GET", "/health")
        assert.deepInclude(health.body, { status: "healthy", rooms: 1, speakers: 2 })
        const { timestamp } = Object(health.body)
        assert.isTrue(Number.isInteger(timestamp) && Math.abs(Date.now() / 1000 - timestamp) < 60)
      })
    )
  )
})

describe("every error", () => {
  it.live("of a request says which field is wrong, and not what it held", () =>
    onExApp((calls) =>
      Effect.gen(function* () {
        const path = "/api/v1/call/transcribe"
        for (const [body, field] of [
          [{}, "roomToken"],
          [{ roomToken: "room1" }, "ncSessionId"],
          [{ ...viewer, roomToken: "../hpb-secret" }, "roomToken"],
          [{ ...viewer, ncSessionId: "" }, "ncSessionId"],
          [{ ...viewer, enable: "hpb-secret" }, "enable"],
          [{ ...viewer, langId: 7 }, "langId"],
          [null, "Expected"],
          [[], "Expected"]
        ] as const) {
          const answer = yield* ask("POST", path, { headers, body })
          assert.strictEqual(answer.status, 400, JSON.stringify(body))
          const text = JSON.stringify(answer.body)
          assert.match(text, /^\{"error":"[^"]/)
          assert.include(text, field)
          assert.notInclude(text, "hpb-secret")
        }
        for (const raw of ["", "{", "roomToken=room1"]) {
          assert.strictEqual((yield* ask("POST", path, { headers, raw })).status, 400, raw)
        }
        assert.deepStrictEqual(calls.started, [])
      })
    )
  )

  it.live("is JSON with the right status, whatever went wrong", () =>
    onExApp(() =>
      Effect.gen(function* () {
        for (const path of [
          "/",
          "/nowhere",
          "/api/v1/call",
          "/api/v1/call/transcribe/x",
          "/docs",
          "/openapi.json",
          "/metrics"
        ]) {
          const { body, status } = yield* ask("GET", path, { headers })
          assert.deepStrictEqual([status, body], [404, { error: "there is no such route" }], path)
        }
        const wrongMethod = yield* ask("DELETE", "/api/v1/call/transcribe", { headers })
        assert.deepStrictEqual(
          [wrongMethod.status, wrongMethod.body, wrongMethod.headers["allow"]],
          [405, { error: "this route does not take this method" }, "POST"]
        )
        assert.strictEqual((yield* ask("GET", "/api/v1/call/transcribe", { headers })).headers["allow"], "POST")
        assert.strictEqual((yield* ask("POST", "/enabled", { headers })).headers["allow"], "PUT, GET")
        const tooLarge = yield* ask("POST", "/api/v1/call/transcribe", {
          headers,
          body: { ...viewer, more: "x".repeat(65 * 1024) }
        })
        assert.deepStrictEqual([tooLarge.status, tooLarge.body], [413, { error: "the body is larger than 64 KiB" }])
        const notJson = yield* HttpClient.post("/api/v1/call/transcribe", {
          headers: { ...headers, "content-type": "text/plain" }
        })
        assert.strictEqual(notJson.status, 415)
        assert.deepStrictEqual(yield* notJson.json, { error: "the body must be application/json" })
      })
    )
  )

  it.live("of ours is one, and the caller learns nothing of it", () =>
    Effect.gen(function* () {
      const { body, status } = yield* ask("POST", "/api/v1/call/transcribe", { headers, body: viewer })
      assert.deepStrictEqual([status, body], [500, { error: "internal error" }])
    }).pipe(Effect.provide(exApp({ calls: Layer.mock(Calls, { start: () => Effect.die(new Error("hpb-secret")) }) })))
  )
})
