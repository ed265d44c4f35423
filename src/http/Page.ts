/**
 * The page for people: `GET /` in a browser, and the addresses under which other services have theirs. Programs that ask for `/` get a
 * health answer.
 *
 * The page is plain files in `page/`, served as they stand. They are read once; browsers keep them and ask whether they have changed. The
 * page may load nothing but these files, and talk to nobody but this service.
 */
import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { extname } from "node:path"
import { Effect, type Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Engines } from "../services/Engines.ts"

interface Asset {
  readonly body: Uint8Array
  readonly type: string
  readonly etag: string
}

/** Beside `src` in the repository, beside `dist` in the package. */
const folder = new URL("../../page/", import.meta.url)

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml"
}

/** All paths of the page; each only takes GET. */
export const paths = ["/", "/static/index.html", "/simple_client.html", "/assets/:name"] as const

/** Routes of the page. A package without its files serves everything else. */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | Engines> = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const [first] = yield* Engines
    const assets = yield* Effect.tryPromise(() => readAssets()).pipe(
      Effect.catch(() =>
        Effect.as(
          Effect.logWarning("the files of the page are missing", { folder: folder.pathname }),
          new Map<string, Asset>()
        )
      )
    )
    const { model, name = "none" } = first?.engine.capabilities ?? {}
    const health = HttpServerResponse.jsonUnsafe({ status: "ok", model_name: model ?? name })
    const index = serve(assets.get("index.html"))
    const root = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
      headers["accept"]?.includes("text/html") === true ? index : Effect.succeed(health)
    )
    yield* router.add("GET", "/", Effect.map(root, HttpServerResponse.setHeader("vary", "accept")))
    yield* router.add("GET", "/static/index.html", index)
    yield* router.add("GET", "/simple_client.html", index)
    yield* router.add(
      "GET",
      "/assets/:name",
      Effect.flatMap(HttpRouter.params, ({ name = "" }) => serve(assets.get(name)))
    )
  })
)

const readAssets = async () => {
  const assets = new Map<string, Asset>()
  for (const name of await readdir(folder)) {
    const type = types[extname(name)]
    if (type === undefined) continue
    const body = await readFile(new URL(name, folder))
    assets.set(name, { body, type, etag: `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"` })
  }
  return assets
}

/** A name nobody has is refused as every other unknown route. */
const serve = (asset: Asset | undefined) =>
  Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => {
    if (asset === undefined) return HttpServerResponse.empty({ status: 404 })
    const { body, etag, type } = asset
    const described = { etag, "cache-control": "no-cache", ...protection(headers["host"]) }
    return headers["if-none-match"]?.includes(etag) === true
      ? HttpServerResponse.empty({ status: 304, headers: described })
      : HttpServerResponse.uint8Array(body, { contentType: type, headers: described })
  })

/** Some browsers do not take 'self' for the websocket of the same host. */
const protection = (host = "") => {
  const sockets = /^[\w.:[\]-]+$/.test(host) ? ` ws://${host} wss://${host}` : ""
  return {
    "content-security-policy": [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self'",
      `connect-src 'self'${sockets}`,
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'"
    ].join("; "),
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin"
  }
}
