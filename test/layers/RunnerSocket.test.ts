import { once } from "node:events"
import { connect, createServer } from "node:net"
import { type ConnectionOptions, connect as connectTls } from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, Redacted } from "effect"
import * as ClusterAddress from "effect/cluster/RunnerAddress"
import * as Runners from "effect/cluster/Runners"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RunnerSocket from "../../src/layers/RunnerSocket.ts"
import { freePort } from "../support/ServiceProcess.ts"
import { until } from "../support/Until.ts"

const listening = Effect.map(
  RunnerSocket.server(Redacted.make("of-all-runners"), { host: "127.0.0.1", port: 0 }),
  ({ address }) => ("port" in address ? address.port : 0)
)

/** What somebody who tries it like this is told; "let in" otherwise. */
const trying = (port: number, options: ConnectionOptions) =>
  Effect.callback<string>((resume) => {
    const socket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options })
    socket.once("secureConnect", () => resume(Effect.succeed("let in")))
    socket.once("error", ({ message }) => resume(Effect.succeed(message)))
    return Effect.sync(() => socket.destroy())
  })

describe("RunnerSocket", () => {
  it.live("says in words why it cannot listen", () =>
    Effect.gen(function* () {
      const port = yield* listening
      const again = RunnerSocket.server(Redacted.make("of-all-runners"), { host: "127.0.0.1", port })
      const { message } = yield* Effect.flip(again)
      assert.strictEqual(message, `cannot listen on 127.0.0.1:${port}: EADDRINUSE (another program listens there)`)
    })
  )

  it.live("keeps nobody who connects and says nothing", () =>
    Effect.gen(function* () {
      const socket = connect({ host: "127.0.0.1", port: yield* listening })
      socket.on("error", () => {}).resume()
      yield* Effect.promise(() => once(socket, "close"))
    })
  )

  it.live("lets nobody in by another suite, another identity, or without a key", () =>
    Effect.gen(function* () {
      const port = yield* listening
      const psk = new Uint8Array(32)
      const suite = { ciphers: "ECDHE-PSK-CHACHA20-POLY1305", maxVersion: "TLSv1.2" } as const
      const strangers: ReadonlyArray<ConnectionOptions> = [
        {},
        { maxVersion: "TLSv1.2" },
        { maxVersion: "TLSv1.2", ciphers: "aNULL:eNULL@SECLEVEL=0" },
        { ...suite, pskCallback: () => ({ psk, identity: "parlance" }) },
        { ...suite, pskCallback: () => ({ psk, identity: "somebody" }) },
        { ...suite, pskCallback: () => ({ psk: new Uint8Array(1), identity: "parlance" }) }
      ]
      for (const options of strangers) assert.notStrictEqual(yield* trying(port, options), "let in")
    })
  )

  it.live("does not take for a matter of secrets what is no runner at all", () => {
    const lines: Array<string> = []
    return Effect.gen(function* () {
      const port = yield* freePort
      const stranger = createServer((socket) => socket.on("error", () => {}).end("HTTP/1.1 400 Bad Request\r\n\r\n"))
      yield* Effect.acquireRelease(
        Effect.promise(() => once(stranger.listen(port, "127.0.0.1"), "listening")),
        () => Effect.sync(() => stranger.close())
      )
      const protocols = yield* Layer.build(
        Layer.provide(RunnerSocket.protocol(Redacted.make("of-all-runners")), RpcSerialization.layerNdjson)
      )
      const { make } = Context.get(protocols, Runners.RpcClientProtocol)
      yield* make(ClusterAddress.RunnerAddress.make({ host: "127.0.0.1", port }))
      yield* until(() => lines.length > 0)
      assert.notInclude(lines[0], "LT_INTERNAL_SECRET")
      assert.match(lines[0] ?? "", new RegExp(`127.0.0.1:${port} is no runner of this version`))
    }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])))
  })
})
