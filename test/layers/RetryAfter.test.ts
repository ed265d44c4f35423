import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as EngineProbe from "../../src/layers/EngineProbe.ts"
import * as EngineSocket from "../../src/layers/EngineSocket.ts"
import * as LocalServer from "../../src/layers/LocalServer.ts"
import * as RetryAfter from "../../src/layers/RetryAfter.ts"
import { live } from "../support/Live.ts"

describe("RetryAfter", () => {
  it("is seconds or a date, and nothing where it is neither", () => {
    assert.strictEqual(RetryAfter.msOf(" 20 ", 0), 20_000)
    assert.strictEqual(RetryAfter.msOf("0", 0), 0)
    const nowMs = Date.UTC(2026, 10, 21, 12, 0, 0)
    assert.strictEqual(RetryAfter.msOf("Sat, 21 Nov 2026 12:00:30 GMT", nowMs), 30_000)
    assert.strictEqual(RetryAfter.msOf("Sat, 21 Nov 2026 11:59:30 GMT", nowMs), 0)
    for (const nonsense of [undefined, "", "-5", "1.5", "soon", "9999999999999"])
      assert.isUndefined(RetryAfter.msOf(nonsense, nowMs))
  })

  for (const [status, reason] of [
    [503, "Busy"],
    [502, "Unreachable"],
    [402, "Refused"]
  ] as const)
    live(
      `is read from an engine's server that answers ${status}, by probes and by sessions`,
      Effect.gen(function* () {
        const port = yield* LocalServer.listen(0, {
          onRequest: (_request, response) => response.writeHead(status, { "retry-after": "20" }).end(),
          onUpgrade: (_request, socket) =>
            socket.end(`HTTP/1.1 ${status} No\r\nretry-after: 20\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
        })
        const url = `ws://127.0.0.1:${port}/`
        const probed = yield* Effect.flip(EngineProbe.ask({ url }))
        assert.deepInclude(probed, { reason, retryAfterMs: 20_000 })
        const options = { url, openTimeout: "5 seconds", maxPayload: 1024, maxWaitingBytes: 1024 } as const
        const opened = yield* Effect.flip(Effect.scoped(EngineSocket.open(options)))
        assert.deepInclude(EngineSocket.toEngineError(opened), { reason, retryAfterMs: 20_000 })
      })
    )
})
