/** As much of Amazon S3 as conditional writes need: `PUT` with `If-None-Match: *` of an object that is there is refused with 412. */
import { Effect } from "effect"
import * as LocalServer from "../../src/layers/LocalServer.ts"

/** Gives its address, and what it holds by key. With `refusal` every request is answered with that error. */
export const make = Effect.fnUntraced(function* (refusal?: { readonly status: number; readonly code: string }) {
  const objects = new Map<string, string>()
  const port = yield* LocalServer.listen(0, {
    onUpgrade: (_request, socket) => socket.destroy(),
    onRequest: (request, response) => {
      const key = new URL(request.url ?? "", "http://s3").pathname.split("/").at(-1) ?? ""
      LocalServer.readBody(request, (text) => {
        const isTaken = request.headers["if-none-match"] === "*" && objects.has(key)
        const error = refusal ?? (isTaken ? { status: 412, code: "PreconditionFailed" } : undefined)
        if (error === undefined) objects.set(key, text)
        response.writeHead(error?.status ?? 200, { "content-type": "application/xml", etag: '"0"' })
        response.end(
          error && `<Error><Code>${error.code}</Code><Message>said by arn:aws:iam::1:user/x</Message></Error>`
        )
      })
    }
  })
  return { endpoint: `http://127.0.0.1:${port}`, objects }
})
