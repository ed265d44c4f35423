/**
 * A small HPB on a loopback websocket: lets internal clients in by the rules below and does what a test tells it.
 * It has no rooms and no Janus: what happens in a room is said by the test (`client.send`) or by a recording (`Recording.ts`).
 */
import { createHmac } from "node:crypto"
import { createServer } from "node:http"
import { createServer as createTlsServer } from "node:https"
import { Effect, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { type RawData, type WebSocket, WebSocketServer } from "ws"

export interface Message {
  readonly [key: string]: unknown
}

/** One accepted socket. */
export interface FakeClient {
  readonly received: ReadonlyArray<Message>
  readonly ofType: (type: string) => ReadonlyArray<Message>
  /** Strings and bytes as they are, anything else as JSON. */
  readonly send: (message: unknown) => void
  /** Cuts the socket without a closing frame. */
  readonly kill: () => void
  /** The HPB no longer reads or answers, the socket stays. */
  readonly freeze: () => void
  readonly isOpen: () => boolean
}

export interface Rules {
  version: string
  features: ReadonlyArray<string>
  secret: string
  backends: ReadonlyArray<string>
  /** Hellos are refused with this code. */
  refusal: string | undefined
  /** Sessions of lost sockets can be resumed. */
  keepsSessions: boolean
  answersJoin: boolean
  /** First say; `true` when nothing else should happen. */
  onMessage: ((client: FakeClient, message: Message) => boolean) | undefined
  onConnect: ((client: FakeClient) => boolean) | undefined
  /** Dials are refused as a proxy does whose HPB is not running. */
  isAway: boolean
}

export interface FakeHpb {
  readonly url: string
  readonly rules: Rules
  /** In the order of their coming. */
  readonly clients: ReadonlyArray<FakeClient>
  readonly last: () => FakeClient
  /** Refused while away. */
  readonly refusedDials: () => number
  /** All messages of this type from all sockets, in order. */
  readonly ofType: (type: string) => ReadonlyArray<Message>
}

export const features202 = [
  "dialout",
  "federation",
  "hello-v2",
  "incall-all",
  "mcu",
  "recipient-call",
  "simulcast",
  "update-sdp",
  "welcome"
]

const defaults = (): Rules => ({
  version: "2.0.2-2+b2.debian",
  features: features202,
  secret: "internal-secret-for-tests",
  backends: ["https://cloud.example.com/"],
  refusal: undefined,
  keepsSessions: true,
  answersJoin: true,
  onMessage: undefined,
  onConnect: undefined,
  isAway: false
})

export const make = Effect.fnUntraced(function* (
  changed: Partial<Rules> = {},
  tls?: { readonly key: string; readonly cert: string }
): Effect.fn.Return<FakeHpb, never, Scope.Scope> {
  const rules = { ...defaults(), ...changed }
  const clients: Array<FakeClient> = []
  const all: Array<Message> = []
  const sessions = new Map<string, { readonly self: string; room: string }>()
  let made = 0
  let refusedDials = 0

  const hello = (client: FakeClient, message: Message) => {
    const answer = (self: string, resumeid: string) =>
      client.send({
        id: message["id"],
        type: "hello",
        hello: {
          version: "1.0",
          sessionid: self,
          resumeid,
          userid: "",
          server: { version: rules.version, features: rules.features }
        }
      })
    const refuse = (code: string) => client.send({ id: message["id"], type: "error", error: { code, message: "No." } })
    const resumeid = field(message, "hello", "resumeid")
    if (rules.refusal !== undefined) return refuse(rules.refusal)
    if (typeof resumeid === "string") {
      const session = sessions.get(resumeid)
      return session === undefined || !rules.keepsSessions ? refuse("no_such_session") : answer(session.self, resumeid)
    }
    const random = String(field(message, "hello", "auth", "params", "random"))
    const token = createHmac("sha256", rules.secret).update(random).digest("hex")
    if (random.length < 32 || field(message, "hello", "auth", "params", "token") !== token)
      return refuse("invalid_token")
    if (!rules.backends.includes(String(field(message, "hello", "auth", "params", "backend"))))
      return refuse("invalid_backend")
    made += 1
    sessions.set(`resume-${made}`, { self: `self-${made}`, room: "" })
    answer(`self-${made}`, `resume-${made}`)
  }

  const behave = (client: FakeClient, message: Message, socket: WebSocket) => {
    if (rules.onMessage?.(client, message) === true) return
    if (message["type"] === "hello") hello(client, message)
    if (message["type"] === "room" && rules.answersJoin) {
      client.send({ id: message["id"], type: "room", room: { roomid: field(message, "room", "roomid") } })
    }
    if (message["type"] === "bye") {
      client.send({ id: message["id"], type: "bye" })
      socket.close()
    }
  }

  const accept = (socket: WebSocket) => {
    const received: Array<Message> = []
    const client: FakeClient = {
      received,
      ofType: (type) => received.filter((message) => message["type"] === type),
      send: (message) =>
        socket.send(typeof message === "string" || Buffer.isBuffer(message) ? message : JSON.stringify(message)),
      kill: () => socket.terminate(),
      freeze: () => socket.pause(),
      isOpen: () => socket.readyState === socket.OPEN
    }
    clients.push(client)
    socket.on("error", () => socket.terminate())
    socket.on("message", (data: RawData) => {
      const message: Message = JSON.parse(data.toString())
      received.push(message)
      all.push(message)
      behave(client, message, socket)
    })
    if (rules.onConnect?.(client) === true || rules.version.startsWith("0.")) return
    client.send({ type: "welcome", welcome: { version: rules.version, features: rules.features } })
  }

  const server = tls === undefined ? createServer() : createTlsServer(tls)
  const sockets = new WebSocketServer({
    server,
    path: "/spreed",
    verifyClient: (_info, answer) => {
      if (rules.isAway) refusedDials++
      answer(!rules.isAway, 502)
    }
  })
  sockets.on("connection", accept)
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () =>
      Effect.callback<void>((resume) => {
        for (const socket of sockets.clients) socket.terminate()
        sockets.close()
        server.close(() => resume(Effect.void))
      })
  )
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    rules,
    clients,
    last: () => {
      const client = clients.at(-1)
      if (client === undefined) throw new Error("nobody has connected")
      return client
    },
    refusedDials: () => refusedDials,
    ofType: (type) => all.filter((message) => message["type"] === type)
  }
})

/** The value at a path of keys. */
export const field = (message: unknown, ...path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>((value, key) => (isMessage(value) ? value[key] : undefined), message)

const isMessage = (value: unknown): value is Message => typeof value === "object" && value !== null

/** Real time, also under the test clock: sockets know no other. */
const moment = Effect.promise(() => new Promise((resume) => setTimeout(resume, 3)))

/** Waits in real time until it is so. */
export const eventually = Effect.fnUntraced(function* (what: string, condition: () => boolean) {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 2_000) return yield* Effect.die(new Error(`never happened: ${what}`))
    yield* moment
  }
})

/**
 * Both ends of a loopback socket live in this process: after so many turns of its event loop they have said what they had to say, however
 * busy the machine is. A handshake and a hello take about ten.
 */
const exchange = Effect.promise(async () => {
  for (let turn = 0; turn < 40; turn++) await new Promise((resume) => setImmediate(resume))
})

/** Moves the test clock step by step until it is so; the result is how far, ms. */
export const advanceUntil = Effect.fnUntraced(function* (what: string, stepMs: number, condition: () => boolean) {
  let advanced = 0
  while (!condition()) {
    if (advanced > 3_600_000) return yield* Effect.die(new Error(`not within an hour: ${what}`))
    yield* TestClock.adjust(stepMs)
    advanced += stepMs
    yield* exchange
  }
  return advanced
})
