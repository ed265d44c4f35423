import { execFile, spawn } from "node:child_process"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freePort, start } from "./support/ServiceProcess.ts"
import { temporaryFolder } from "./support/TemporaryFolder.ts"

const root = fileURLToPath(new URL("..", import.meta.url))

const status = (url: string, headers: Record<string, string> = {}) =>
  Effect.promise(() =>
    fetch(url, { headers }).then(
      (response) => response.status,
      () => 0
    )
  )

/** The container's health check, from the same environment. */
const healthcheck = (environment: Record<string, string>) =>
  Effect.callback<{ readonly code: number; readonly says: string }>((resume) => {
    execFile(
      process.execPath,
      [join(root, "docker/healthcheck.mjs")],
      { env: { PATH: process.env["PATH"], ...environment } },
      (error, _, says) => resume(Effect.succeed({ code: error === null ? 0 : Number(error.code), says }))
    )
  })

describe("the process", () => {
  it.live("without any configuration is healthy, says once what is missing, and ends at the first signal", () =>
    Effect.gen(function* () {
      const PORT = String(yield* freePort)
      const service = yield* start({ PORT })
      yield* service.says("listening")
      assert.strictEqual(yield* status(`http://127.0.0.1:${PORT}/heartbeat`), 200)
      assert.strictEqual((yield* healthcheck({ PORT })).code, 0)
      const refused = yield* Effect.promise(() =>
        fetch(`http://127.0.0.1:${PORT}/api/v1/call/transcribe`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: '{"roomToken":"room1"}'
        }).then(async (response) => ({ status: response.status, body: await response.text() }))
      )
      assert.strictEqual(refused.status, 503)
      const lines = service
        .output()
        .split("\n")
        .filter((line) => line.includes("is not set"))
      assert.strictEqual(lines.length, 1)
      for (const name of ["LT_HPB_URL", "LT_INTERNAL_SECRET", "a speech engine"]) {
        assert.include(lines[0], `${name} is not set (`)
        assert.include(refused.body, `${name} is not set (`)
      }
      service.child.kill("SIGTERM")
      assert.deepStrictEqual(yield* service.exit, { code: 0, signal: null })
      for (const line of service.output().trimEnd().split("\n")) assert.doesNotThrow(() => JSON.parse(line), line)
      assert.strictEqual((yield* healthcheck({ PORT })).code, 1)
    })
  )

  it.live("listens for others where somebody was given a credential, and for this machine where nobody was", () =>
    Effect.gen(function* () {
      for (const [credential, host] of [
        [{ LT_JWT_SECRET: "a secret of thirty-two characters" }, "0.0.0.0"],
        [{}, "127.0.0.1"]
      ] as const) {
        const PORT = String(yield* freePort)
        const service = yield* start({ PORT, ...credential })
        yield* service.says(`http://${host}:${PORT}"`)
        service.child.kill("SIGTERM")
        yield* service.exit
      }
    })
  )

  it.live("with a variable that cannot be ends with one line that names it", () =>
    Effect.gen(function* () {
      for (const [environment, what] of [
        [{ PORT: "abc" }, "PORT must be a port number"],
        [{ LT_DATABASE_URL: "postgres://a:b@db.example.com/parlance" }, "LT_RUNNER_ADDRESS must be"]
      ] as const) {
        const service = yield* start(environment)
        assert.deepStrictEqual(yield* service.exit, { code: 1, signal: null })
        const lines = service.output().trimEnd().split("\n")
        assert.strictEqual(lines.length, 1)
        assert.include(lines[0], what)
      }
    })
  )

  it.live("whose port is taken ends with one line that says so", () =>
    Effect.gen(function* () {
      const PORT = String(yield* freePort)
      const first = yield* start({ PORT })
      yield* first.says("listening")
      const second = yield* start({ PORT })
      assert.strictEqual((yield* second.exit).code, 1)
      assert.include(second.output(), `cannot listen on 127.0.0.1:${PORT}: EADDRINUSE`)
      assert.notInclude(second.output(), "node_modules")
    })
  )

  it.live("as an ExApp listens for Nextcloud only, unless the service API is asked for", () =>
    Effect.gen(function* () {
      const [APP_PORT, PORT] = [String(yield* freePort), String(yield* freePort)]
      const environment = { APP_SECRET: "secret", APP_PORT }
      const service = yield* start(environment)
      yield* service.says("listening")
      assert.strictEqual(yield* status(`http://127.0.0.1:${APP_PORT}/heartbeat`), 200)
      assert.strictEqual(yield* status(`http://127.0.0.1:${APP_PORT}/capabilities`), 401)
      assert.strictEqual((yield* healthcheck(environment)).code, 0)
      assert.strictEqual(service.output().split('"listening"').length, 2)
      service.child.kill("SIGTERM")
      yield* service.exit

      const both = yield* start({ ...environment, PORT })
      yield* both.says(`:${PORT}"`)
      yield* both.says(`:${APP_PORT}"`)
      assert.strictEqual(yield* status(`http://127.0.0.1:${PORT}/metrics`), 200)
      assert.strictEqual(yield* status(`http://127.0.0.1:${APP_PORT}/metrics`), 404)
    })
  )

  it.live("behind HaRP listens on the unix socket, and is healthy together with frpc only", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryFolder
      const environment = {
        APP_SECRET: "secret",
        HP_SHARED_KEY: "key",
        HP_EXAPP_SOCK: join(directory, "exapp.sock"),
        TMPDIR: directory
      }
      const service = yield* start(environment)
      yield* service.says("listening")
      const check = yield* healthcheck(environment)
      assert.deepStrictEqual(check, { code: 1, says: "unhealthy: frpc is not running\n" })
    })
  )
})

interface Started {
  readonly options?: ReadonlyArray<string>
  readonly script?: string
}

describe("the end of the process", () => {
  /** A service with something that does not end. */
  const stuck = `
    import { NodeRuntime } from "@effect/platform-node"
    import { Effect, Layer } from "effect"
    import * as Shutdown from "./src/Shutdown.ts"
    const never = Layer.effectDiscard(Effect.addFinalizer(() => Effect.never))
    const ready = Layer.effectDiscard(Effect.sync(() => process.stdout.write("ready")))
    NodeRuntime.runMain(
      Layer.launch(ready.pipe(Layer.provideMerge(never), Layer.provide(Shutdown.deadline(Number(process.argv[1]))))),
      { teardown: Shutdown.teardown }
    )`

  const run = (seconds: number, signals: number, { options = [], script = stuck }: Started = {}) =>
    Effect.callback<number | null>((resume) => {
      const args = [...options, "--input-type=module", "-e", script, String(seconds)]
      const child = spawn(process.execPath, args, { cwd: root })
      let again: NodeJS.Timeout | undefined
      child.stdout.once("data", () => {
        child.kill("SIGTERM")
        // Two that come before the first is heard are one.
        if (signals > 1) again = setInterval(() => child.kill("SIGTERM"), 100)
      })
      child.on("close", (code) => {
        clearInterval(again)
        resume(Effect.succeed(code))
      })
      return Effect.sync(() => child.kill("SIGKILL"))
    })

  it.live("comes by force at the deadline", () => Effect.map(run(1, 1), (code) => assert.strictEqual(code, 70)))

  it.live("comes by force at the second signal", () => Effect.map(run(600, 2), (code) => assert.strictEqual(code, 70)))

  it.live("comes at once in a container, while nothing listens to signals yet", () =>
    Effect.gen(function* () {
      const options = ["--import", join(root, "docker/early-stop.mjs")]
      const loading = `process.stdout.write("ready"); setInterval(() => {}, 1000)`
      assert.strictEqual(yield* run(600, 1, { options, script: loading }), 0)
      // From then on the service itself decides.
      assert.strictEqual(yield* run(1, 1, { options }), 70)
    })
  )
})
