/** `npm run model` against a web server of this test. */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import * as ModelFetch from "../../src/layers/ModelFetch.ts"
import * as SherpaModel from "../../src/layers/SherpaModel.ts"
import { live } from "../support/Live.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import * as TinyModels from "../support/TinyModels.ts"

/** Serves these bytes under any address but `/missing`. */
const serve = (body: Buffer) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
      const server = createServer((request, response) => {
        if (request.url === "/missing.tar.gz") return response.writeHead(404).end()
        return response.writeHead(200, { "content-length": body.length }).end(body)
      }).listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, close: () => server.close() }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const archiveOf = (folder: string, name: string): Buffer => {
  TinyModels.writeCtc(join(folder, name))
  return execFileSync("tar", ["-czf", "-", "-C", folder, name], { maxBuffer: 10_000_000 })
}

describe("npm run model", () => {
  live(
    "fetches, checks, unpacks, describes and pins a model that the engine then finds by its name",
    Effect.gen(function* () {
      const storage = yield* temporaryFolder
      const archive = archiveOf(yield* temporaryFolder, "tiny")
      const { url } = yield* serve(archive)
      const sha256 = createHash("sha256").update(archive).digest("hex")
      let shown = ""
      const request = yield* ModelFetch.parse([`${url}/tiny.tar.gz`, "--sha256", sha256, "--languages", "en, fr"])
      const fetched = yield* ModelFetch.fetch(request, storage, (text) => {
        shown += text
      })
      assert.deepStrictEqual(fetched, { folder: join(storage, "models", "tiny"), sha256 })
      assert.include(shown, "100 %")
      assert.deepStrictEqual((yield* SherpaModel.find("tiny", storage)).languages, ["en", "fr"])
      assert.deepStrictEqual(JSON.parse(readFileSync(join(storage, "models", "pins.json"), "utf8")), { tiny: sha256 })
      assert.deepStrictEqual(readdirSync(join(storage, "models")).sort(), ["pins.json", "tiny"])
    })
  )

  live(
    "keeps nothing of an archive with another hash, be it asked for or the one of the first time",
    Effect.gen(function* () {
      const storage = yield* temporaryFolder
      const { url } = yield* serve(archiveOf(yield* temporaryFolder, "tiny"))
      const wrong = yield* ModelFetch.parse([`${url}/tiny.tar.gz`, "--sha256", "0".repeat(64)])
      const refused = yield* Effect.flip(ModelFetch.fetch(wrong, storage, () => {}))
      assert.include(refused.message, "nothing was kept")
      assert.isFalse(existsSync(join(storage, "models", "tiny")))
      const first = yield* ModelFetch.parse([`${url}/tiny.tar.gz`])
      yield* ModelFetch.fetch(first, storage, () => {})
      const other = yield* serve(Buffer.from("something else"))
      const changed = yield* ModelFetch.parse([`${other.url}/tiny.tar.gz`])
      assert.include(
        (yield* Effect.flip(ModelFetch.fetch(changed, storage, () => {}))).message,
        "as it was the first time"
      )
      yield* SherpaModel.find("tiny", storage)
    })
  )

  live(
    "says what is wrong with an address, an archive and a command line",
    Effect.gen(function* () {
      const storage = yield* temporaryFolder
      const { url } = yield* serve(Buffer.from("no archive"))
      const messageOf = (path: string) =>
        ModelFetch.parse([`${url}/${path}`]).pipe(
          Effect.flatMap((request) => ModelFetch.fetch(request, storage, () => {})),
          Effect.flip,
          Effect.map(({ message }) => message)
        )
      assert.include(yield* messageOf("missing.tar.gz"), "404")
      assert.include(yield* messageOf("a.tar.gz"), "cannot be unpacked")
      assert.deepStrictEqual(readdirSync(join(storage, "models")), [])
      for (const line of [[], ["ftp://x/y"], ["http://x/y", "--sha256", "12"], ["http://x/y", "--name", "../up"]]) {
        yield* Effect.flip(ModelFetch.parse(line))
      }
    })
  )
})
