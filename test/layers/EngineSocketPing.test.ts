import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { WebSocketServer } from "ws"
import * as EngineSocket from "../../src/layers/EngineSocket.ts"

/** A server that says nothing by itself, and on request does not even answer pings. */
const server = (autoPong: boolean) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly pings: () => number; readonly close: () => void }>((resume) => {
      let pings = 0
      const wss = new WebSocketServer({ port: 0, host: "127.0.0.1", autoPong }, () => {
        const address = wss.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        const close = () => {
          for (const client of wss.clients) client.terminate()
          wss.close()
        }
        resume(Effect.succeed({ url: `ws://127.0.0.1:${port}`, pings: () => pings, close }))
      })
      wss.on("connection", (ws) => ws.on("ping", () => pings++))
    }),
    ({ close }) => Effect.sync(close)
  )

const open = (url: string) =>
  EngineSocket.open({
    url,
    openTimeout: "5 seconds",
    maxPayload: 1024,
    maxWaitingBytes: 1024,
    pingEvery: "100 millis"
  })

describe("EngineSocket that pings", () => {
  it.live("keeps a connection on which nothing is said", () =>
    Effect.gen(function* () {
      const { url, pings } = yield* server(true)
      const socket = yield* open(url)
      const stuck = yield* Effect.forkChild(socket.stuck)
      yield* Effect.sleep("5 millis").pipe(Effect.repeat({ until: () => pings() >= 5 }))
      assert.isUndefined(stuck.pollUnsafe())
    })
  )

  it.live("is stuck when the server gives no sign of life", () =>
    Effect.gen(function* () {
      const { url } = yield* server(false)
      const socket = yield* open(url)
      const error = yield* Effect.flip(Fiber.join(yield* Effect.forkChild(socket.stuck)))
      assert.deepInclude(error, { reason: "Silent", detail: "it gives no sign of life" })
    })
  )
})
