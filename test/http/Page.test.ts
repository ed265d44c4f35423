import { request } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import * as EngineHealth from "../../src/layers/EngineHealth.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import { SpeechEngine } from "../../src/services/SpeechEngine.ts"
import * as FakeCalls from "../support/FakeCalls.ts"
import { ask, service } from "../support/HttpSetup.ts"

const html = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" }
const get = (path: string, headers: Record<string, string> = {}) =>
  HttpClient.execute(HttpClientRequest.get(path, { headers }))
const onService = (engines: Parameters<typeof service>[0]["engines"] = []) =>
  Effect.provide(service({ calls: FakeCalls.layer(FakeCalls.make()), engines }))

describe("the root of the service", () => {
  it.live("is the page for browsers and a health answer for programs", () =>
    Effect.gen(function* () {
      for (const headers of [{}, { accept: "*/*" }, { accept: "application/json" }]) {
        const answer = yield* ask("GET", "/", { headers })
        assert.deepStrictEqual([answer.status, answer.body], [200, { status: "ok", model_name: "none" }])
        assert.strictEqual(answer.headers["vary"], "accept")
      }
      const page = yield* get("/", html)
      assert.match(page.headers["content-type"] ?? "", /^text\/html/)
      const text = yield* page.text
      for (const path of ["/static/index.html", "/simple_client.html"]) {
        assert.strictEqual(yield* (yield* get(path)).text, text)
      }
    }).pipe(onService())
  )

  it.live("names the model of the first engine", () =>
    Effect.gen(function* () {
      const engine = yield* Effect.provide(SpeechEngine, ScriptedEngine.layer({}))
      const configured = (model?: string) =>
        EngineHealth.make({
          ...engine,
          capabilities: { ...engine.capabilities, ...(model === undefined ? {} : { model }) }
        })
      const named = ask("GET", "/")
      const withModel = yield* named.pipe(onService([configured("stt-1b"), configured("other")]))
      assert.deepStrictEqual(withModel.body, { status: "ok", model_name: "stt-1b" })
      const without = yield* named.pipe(onService([configured()]))
      assert.deepStrictEqual(without.body, { status: "ok", model_name: engine.capabilities.name })
    })
  )
})

describe("the page", () => {
  it.live("may load its own files and talk to this service, and nothing else", () =>
    Effect.gen(function* () {
      const { headers } = yield* get("/", html)
      assert.strictEqual(headers["x-content-type-options"], "nosniff")
      const port = /ws:\/\/127\.0\.0\.1:(\d+)/.exec(headers["content-security-policy"] ?? "")?.[1]
      const policyFor = (host: string) =>
        Effect.callback<unknown>((resume) => {
          request({ port, headers: { ...html, host } }, (answer) => {
            resume(Effect.succeed(answer.resume().headers["content-security-policy"]))
          }).end()
        })
      const policy = (sockets: string) =>
        `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'${sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
      assert.strictEqual(
        yield* policyFor("captions.example.com:8443"),
        policy(" ws://captions.example.com:8443 wss://captions.example.com:8443")
      )
      // What no host name can be does not get into it.
      assert.strictEqual(yield* policyFor("a; script-src *"), policy(""))
    }).pipe(onService())
  )

  it.live("has nothing inline, and all files it names are there, kept by browsers until they change", () =>
    Effect.gen(function* () {
      const page = yield* (yield* get("/", html)).text
      assert.notMatch(page, /<script(?![^>]*src=)|<style|\sstyle=|\son\w+=/)
      const files = [...page.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, file]) => file ?? "")
      assert.includeMembers(files, ["/assets/main.js", "/assets/style.css"])
      for (const file of [...files, "/assets/PcmWorklet.js"]) {
        const first = yield* get(file)
        assert.strictEqual(first.status, 200, file)
        assert.strictEqual(first.headers["cache-control"], "no-cache")
        const again = yield* get(file, { "if-none-match": first.headers["etag"] ?? "" })
        assert.deepStrictEqual([again.status, yield* again.text], [304, ""], file)
        assert.strictEqual((yield* get(file, { "if-none-match": '"another"' })).status, 200)
      }
    }).pipe(onService())
  )

  it.live("serves nothing but its own files", () =>
    Effect.gen(function* () {
      for (const path of [
        "/assets/tsconfig.json",
        "/assets/nothing.js",
        "/assets/..%2Fpackage.json",
        "/assets/%2e%2e%2fpackage.json"
      ]) {
        const answer = yield* ask("GET", path)
        assert.strictEqual(answer.status, 404, path)
      }
      assert.strictEqual((yield* ask("POST", "/assets/main.js")).status, 405)
      assert.strictEqual((yield* ask("POST", "/")).status, 405)
    }).pipe(onService())
  )
})
