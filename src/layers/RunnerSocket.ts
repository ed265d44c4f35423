/**
 * Sockets between runners: TLS in which both ends prove that they know the secret of this installation, and nobody needs a certificate.
 * A key is shared before (RFC 4279), and what is said is for nobody else, also not for who learns the key later (ECDHE, RFC 8442).
 */
import { hkdfSync } from "node:crypto"
import type { ConnectionOptions } from "node:tls"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import { Effect, Layer, Redacted } from "effect"
import type * as ClusterAddress from "effect/cluster/RunnerAddress"
import * as Runners from "effect/cluster/Runners"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Socket from "effect/socket/Socket"
import { codeOf } from "./ErrorCode.ts"
import { ListenError } from "./ListenError.ts"

const IDENTITY = "parlance"
const SUITE = {
  ciphers: "ECDHE-PSK-CHACHA20-POLY1305",
  // OpenSSL knows no key shared before in what Node offers of 1.3.
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.2"
} as const satisfies ConnectionOptions
/** A runner that is there answers sooner; another one is asked otherwise. */
const OPEN_LIMIT = "1 second"
/** Who has not proven to know the secret by then is a runner that has given up, or a stranger: Node would keep it for two minutes. */
const HANDSHAKE_LIMIT_MS = 2_000

const KEEP_ALIVE_MS = 10_000

/** A secret that all runners of an installation have is never said: a key is made of it that is good for nothing else. */
const keyOf = (secret: Redacted.Redacted): Uint8Array =>
  new Uint8Array(hkdfSync("sha256", Redacted.value(secret), "", "parlance runners", 32))

/** Port 0: any. Fails where this machine cannot listen there. Who does not know the secret is not heard, and who says nothing is not kept. */
export const server = (secret: Redacted.Redacted, listen: { readonly host: string; readonly port: number }) => {
  const key = keyOf(secret)
  return NodeSocketServer.makeTls({
    ...listen,
    ...SUITE,
    handshakeTimeout: HANDSHAKE_LIMIT_MS,
    // A machine that is lost says no goodbye, and nothing may be on its way to it that could fail.
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
    pskIdentityHint: IDENTITY,
    pskCallback: (_socket, identity) => (identity === IDENTITY ? key : null)
  }).pipe(
    Effect.mapError(({ reason: { cause } }) => {
      const address = `${listen.host}:${listen.port}`
      return new ListenError({ address, code: codeOf(cause) ?? "unknown reason" })
    })
  )
}

/** How others are reached, at each of their addresses. Of one with another secret, or that is no runner, is said so, once. */
export const protocol = (secret: Redacted.Redacted) =>
  Layer.effect(
    Runners.RpcClientProtocol,
    Effect.gen(function* () {
      const key = keyOf(secret)
      const serialization = yield* RpcSerialization.RpcSerialization
      const strangers = new Set<string>()
      const notice = (host: string, port: number) => (error: Socket.SocketError) =>
        Effect.suspend(() => {
          const address = `${host}:${port}`
          const code = refusalIn(error)
          if (code === undefined || strangers.has(address)) return Effect.void
          strangers.add(address)
          return Effect.logError(code === NO_TLS ? noRunnerAdvice(address) : strangerAdvice(address))
        })
      return {
        codecFor: serialization.codecFor,
        make: Effect.fnUntraced(function* ({ host, port }: ClusterAddress.RunnerAddress) {
          const socket = yield* NodeSocket.makeTls({
            ...{ host, port, openTimeout: OPEN_LIMIT },
            ...SUITE,
            // There is no certificate.
            checkServerIdentity: () => undefined,
            pskCallback: () => ({ psk: key, identity: IDENTITY })
          })
          const noticed = Socket.make({
            reader: Effect.tapError(socket.reader, notice(host, port)),
            writer: socket.writer
          })
          return yield* RpcClient.makeProtocolSocket().pipe(
            Effect.provideService(Socket.Socket, noticed),
            Effect.provideService(RpcSerialization.RpcSerialization, serialization)
          )
        }, Effect.orDie)
      }
    })
  )

const strangerAdvice = (address: string) =>
  `The runner at ${address} has another LT_INTERNAL_SECRET than this one: they share a database, but cannot talk to each other. All runners of a database need the same one.`

const noRunnerAdvice = (address: string) =>
  `What listens at ${address} is no runner of this version: it does not speak TLS. A runner that was there may have ended, and another program has its port.`

/** What OpenSSL says of an answer that is not TLS at all. */
const NO_TLS = "ERR_SSL_WRONG_VERSION_NUMBER"

/** Of TLS: the other end does not know our key, or does not speak TLS like this at all. */
const refusalIn = ({ reason }: Socket.SocketError): string | undefined => {
  if (reason._tag !== "SocketOpenError") return undefined
  const { cause } = reason
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : ""
  return code.startsWith("ERR_SSL_") ? code : undefined
}
