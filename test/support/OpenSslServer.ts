/**
 * OpenSSL as the other side of a DTLS handshake, as it is inside Janus: it remembers the numbers of records and repeats its own.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { createSocket, type Socket } from "node:dgram"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import { CipherContext, DtlsClient } from "werift"
import { temporaryFolder } from "./TemporaryFolder.ts"

export interface Handshake {
  readonly client: DtlsClient
  /** Datagrams of the handshake so far, lost ones included: ours, and the server's. */
  readonly sent: ReadonlyArray<Buffer>
  readonly received: ReadonlyArray<Buffer>
}

export interface Way {
  /** Whether the datagram is lost, by its place among those of its direction. */
  readonly losesSent?: (place: number) => boolean
  readonly losesReceived?: (place: number) => boolean
  readonly onSent?: (place: number) => void
}

/** ECDSA, as werift makes its own. */
const makeCertificate = () => CipherContext.createSelfSignedCertificateWithKey({ signature: 3, hash: 4 }, 23)

/** An OpenSSL server that waits for one client; its port. */
const serve = Effect.fnUntraced(function* () {
  const folder = yield* temporaryFolder
  const { certPem, keyPem } = yield* Effect.promise(makeCertificate)
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")]
  writeFileSync(cert, certPem)
  writeFileSync(key, keyPem)
  // It would take any port, but says nowhere which one it took.
  const port = yield* Effect.scoped(Effect.map(openSocket, (socket) => socket.address().port))
  const options = ["-dtls1_2", "-timeout", "-mtu", "1200", "-verify", "1", "-use_srtp", "SRTP_AEAD_AES_128_GCM"]
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn("openssl", ["s_server", "-accept", `127.0.0.1:${port}`, "-cert", cert, "-key", key, ...options])
    ),
    (one) => Effect.sync(() => one.kill())
  )
  yield* Effect.promise(() => says(child, "ACCEPT"))
  return port
})

const openSocket = Effect.acquireRelease(
  Effect.promise(
    () =>
      new Promise<Socket>((done) => {
        const socket = createSocket("udp4")
        socket.bind(0, "127.0.0.1", () => done(socket))
      })
  ),
  (socket) => Effect.sync(() => socket.close())
)

const says = (child: ChildProcess, word: string) =>
  new Promise<void>((done, fail) => {
    child.stdout?.on("data", (text: Buffer) => {
      if (text.includes(word)) done()
    })
    child.once("exit", (code) => fail(new Error(`openssl ended with ${code}`)))
  })

/** A client of werift's before its first word, with a fresh server; `connect` is the caller's. */
export const make = Effect.fnUntraced(function* (way: Way): Effect.fn.Return<Handshake, never, Scope.Scope> {
  const port = yield* serve()
  const socket = yield* openSocket
  const own = yield* Effect.promise(makeCertificate)
  const sent: Array<Buffer> = []
  const received: Array<Buffer> = []
  const transport = {
    type: "udp" as const,
    address: { address: "127.0.0.1", port: 0, family: "IPv4" },
    closed: false,
    onData: (_data: Buffer) => {},
    send: async (data: Buffer) => {
      const place = sent.push(data) - 1
      if (way.losesSent?.(place) !== true) socket.send(data, port, "127.0.0.1")
      way.onSent?.(place)
    },
    close: async () => {}
  }
  socket.on("message", (data) => {
    const place = received.push(data) - 1
    if (way.losesReceived?.(place) !== true) transport.onData(data)
  })
  const client = new DtlsClient({
    cert: own.certPem,
    key: own.keyPem,
    signatureHash: own.signatureHash,
    transport,
    srtpProfiles: [7],
    extendedMasterSecret: true
  })
  return { client, sent, received }
})
