import { spawn } from "node:child_process"
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { variables } from "../src/layers/AppConfig.ts"
import { VERSION } from "../src/layers/ExAppSettings.ts"
import { adminTable, appApiTable } from "./support/ConfigurationTable.ts"
import { temporaryFolder } from "./support/TemporaryFolder.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const read = (path: string) => readFileSync(join(root, path), "utf8")

/** The texts of all elements of this name, in order. */
const elements = (xml: string, name: string): ReadonlyArray<string> =>
  [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`, "g"))].map(([, text = ""]) =>
    text.trim().replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&")
  )

describe("info.xml", () => {
  const xml = read("appinfo/info.xml")

  it("describes every variable an admin may set, and nothing that AppAPI sets", () => {
    const described = elements(xml, "variable")
    const admins = variables.filter(({ setBy }) => setBy === "admin")
    assert.deepStrictEqual(
      described.map((one) => elements(one, "name")[0]),
      admins.map(({ name }) => name)
    )
    for (const [index, { default: standard, description }] of admins.entries()) {
      const one = described[index] ?? ""
      assert.match(elements(one, "display-name")[0] ?? "", /^[A-Z].{5,60}$/)
      assert.strictEqual(
        elements(one, "description")[0],
        standard === undefined ? description : `${description} Default: ${standard}.`
      )
      // A default in here would be set in the container, and some variables mean something by being left out.
      assert.notInclude(one, "<default>")
    }
  })

  it("is the app that Talk asks, in this version", () => {
    assert.deepStrictEqual(elements(xml, "id"), ["live_transcription"])
    assert.deepStrictEqual(elements(xml, "version"), [VERSION])
    assert.deepStrictEqual(elements(xml, "image-tag"), [VERSION])
    assert.match(xml, /<nextcloud min-version="32" max-version="\d+"\/>/)
  })

  it("declares no routes: HaRP would vouch for whoever calls them", () => {
    assert.notMatch(xml, /<routes?[\s>]/)
  })
})

describe("the README", () => {
  const readme = read("README.md")

  it("lists every variable as it is read", () => {
    assert.include(readme, adminTable)
    assert.include(readme, appApiTable)
  })
})

describe("the image", () => {
  const dockerfile = read("Dockerfile")

  it("has what it copies, and Docker gets to see it", () => {
    const allowed = new Set(
      read(".dockerignore")
        .split("\n")
        .filter((line) => line.startsWith("!"))
        .map((line) => line.slice(1))
    )
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = ""]) => paths.split(" "))
    assert.isAbove(copied.length, 5)
    for (const path of copied) {
      assert.isTrue(existsSync(join(root, path)), path)
      assert.isTrue(allowed.has(path.split("/")[0] ?? ""), path)
    }
  })

  it("runs as nobody in particular, on Node 26 with glibc, and can be asked for its health", () => {
    assert.match(dockerfile, /^ARG NODE_IMAGE=node:26-\w+-slim$/m)
    const last = dockerfile.slice(dockerfile.lastIndexOf("\nFROM "))
    assert.match(last, /^USER node$/m)
    assert.match(last, /^HEALTHCHECK /m)
    assert.notMatch(last, /g\+\+|npm |COPY \. /)
    assert.match(dockerfile, /sha256sum -c/)
    // Setting it here would open the service listener of every ExApp.
    assert.notMatch(dockerfile, /^ENV .*\bPORT\b/m)
  })

  it("is started by compose with variables that exist", () => {
    const compose = read("compose.yaml")
    const names = new Set(variables.map(({ name }) => name))
    const used = [...compose.matchAll(/^ {6}([A-Z_]+):/gm)].map(([, name = ""]) => name)
    assert.includeMembers(used, ["LT_HPB_URL", "LT_INTERNAL_SECRET", "LT_API_TOKEN"])
    for (const name of used) assert.isTrue(names.has(name), name)
    assert.include(compose, `live_transcription:${VERSION}`)
  })
})

interface Started {
  readonly code: number | null
  readonly says: string
  /** What a command was called with and in; empty when it was not called. */
  readonly called: (command: "node" | "frpc") => string
  readonly directory: string
}

/** Writes down how it was called. */
const stub = (directory: string, command: string, then = "") =>
  `#!/bin/sh\n{ echo "$@"; env; } > ${directory}/${command}.new\nmv ${directory}/${command}.new ${directory}/${command}.called\n${then}\n`

/** Runs the start script with stubs of node and frpc; the one of node ends when frpc was called, if it is to be. */
const startScript = Effect.fnUntraced(function* (environment: Record<string, string>) {
  const directory = yield* temporaryFolder
  const untilFrpc = `while [ -n "$HP_SHARED_KEY" ] && [ ! -e ${directory}/frpc.called ]; do sleep 0.05; done`
  writeFileSync(join(directory, "node"), stub(directory, "node", untilFrpc), { mode: 0o755 })
  writeFileSync(join(directory, "frpc"), stub(directory, "frpc", "sleep 60"), { mode: 0o755 })
  return yield* Effect.callback<Started>((resume) => {
    let says = ""
    // A process group of its own: frpc is kept running, and ends with the container.
    const child = spawn("sh", [join(root, "docker/start.sh")], {
      detached: true,
      env: { PATH: `${directory}:${process.env["PATH"]}`, TMPDIR: directory, ...environment }
    })
    child.stderr.on("data", (chunk: Buffer) => {
      says += chunk.toString("utf8")
    })
    const end = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
      } catch {
        // Nobody of it is left.
      }
    }
    child.on("exit", (code) => {
      const called = (command: string) => {
        const path = join(directory, `${command}.called`)
        return existsSync(path) ? readFileSync(path, "utf8") : ""
      }
      end()
      resume(Effect.succeed({ code, says, called, directory }))
    })
    return Effect.sync(end)
  })
})

describe("the start script", () => {
  it.live("becomes the service, and nothing else without HaRP", () =>
    Effect.gen(function* () {
      const { called, code, directory } = yield* startScript({ APP_SECRET: "secret" })
      assert.strictEqual(code, 0)
      assert.match(
        called("node"),
        /^(--\S+=\S+ )+--import \/\S*docker\/early-stop\.mjs \S*docker\/\.\.\/dist\/main\.js\n/
      )
      const start = /^(\S+=\S+) node (.*) src\/main\.ts$/.exec(JSON.parse(read("package.json")).scripts.start)
      const [, variable = "none", flags = "none"] = start ?? []
      assert.isTrue(called("node").startsWith(`${flags} `), "it tells V8 what `npm start` tells it")
      assert.include(called("node"), `\n${variable}\n`, "and the C library")
      assert.include(called("node"), "APP_SECRET=secret")
      assert.strictEqual(called("frpc"), "")
      assert.isFalse(existsSync(join(directory, "frpc.toml")))
    })
  )

  it.live("starts frpc beside it where HaRP carries the traffic, and tells frpc only what is its business", () =>
    Effect.gen(function* () {
      const { called, code, directory } = yield* startScript({
        APP_ID: "live_transcription",
        APP_PORT: "23001",
        APP_SECRET: "app-secret",
        LT_INTERNAL_SECRET: "hpb-secret",
        HP_SHARED_KEY: 'a"key\\with',
        HP_FRP_ADDRESS: "appapi-harp",
        HP_FRP_PORT: "8782",
        HP_EXAPP_SOCK: "/tmp/other.sock"
      })
      assert.strictEqual(code, 0)
      const path = join(directory, "frpc.toml")
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      assert.strictEqual(
        readFileSync(path, "utf8"),
        [
          'serverAddr = "appapi-harp"',
          "serverPort = 8782",
          "loginFailExit = false",
          'metadatas.token = "a\\"key\\\\with"',
          "",
          "[[proxies]]",
          'name = "live_transcription"',
          'type = "tcp"',
          "remotePort = 23001",
          "[proxies.plugin]",
          'type = "unix_domain_socket"',
          'unixPath = "/tmp/other.sock"',
          ""
        ].join("\n")
      )
      assert.match(called("frpc"), new RegExp(`^-c ${path}\n`))
      assert.notMatch(called("frpc"), /secret|HP_SHARED_KEY/)
      assert.include(called("node"), "HP_SHARED_KEY=")
      assert.match(readFileSync(join(directory, "frpc.pid"), "utf8"), /^\d+\n$/)
    })
  )

  it.live("does not start half of it", () =>
    Effect.gen(function* () {
      const { called, code, says } = yield* startScript({ HP_SHARED_KEY: "key" })
      assert.notStrictEqual(code, 0)
      assert.include(says, "HP_FRP_ADDRESS")
      assert.strictEqual(called("node"), "")
    })
  )
})
