/**
 * Nextcloud as the HPB and an ExApp see it: the signed signaling backend, AppAPI's and Talk's OCS routes, and by hand what Talk
 * does when people join, leave and end calls. Also serves the pages Chromium opens.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import { readFileSync } from "node:fs"
import { createServer, type IncomingMessage, type RequestListener } from "node:http"
import { createServer as createTlsServer } from "node:https"
import { stripTypeScriptTypes } from "node:module"
import { Effect, Option, Schema, type Scope } from "effect"
import { attempt, because, type ProofError } from "./ProofError.ts"

export const BACKEND_SECRET = "proof-backend-secret-0123456789abcdef"
export const APP = { id: "live_transcription", version: "1.0.0", secret: "proof-app-secret" } as const
const HPB_HTTP = "http://127.0.0.1:8080"

export interface NextcloudOptions {
  /** As the HPB knows us; also what AppAPI answers for the absolute URL, unless `absolute` is false. */
  readonly backend: string
  readonly absolute?: boolean
  readonly httpPort: number
  readonly tls?: { readonly port: number; readonly key: string; readonly cert: string }
  /** TURN servers handed out now. */
  readonly turnServers?: () => ReadonlyArray<unknown>
}

export interface NextcloudFake {
  readonly backend: string
  /** What Talk posts when somebody joins, leaves or changes their part in a call. */
  readonly setInCall: (room: string, ncSession: string, flags: number) => Effect.Effect<void, ProofError>
  readonly endCall: (room: string) => Effect.Effect<void, ProofError>
  readonly deleteRoom: (room: string) => Effect.Effect<void, ProofError>
  /** Forgets who is in which room: the HPB was restarted. */
  readonly forget: () => void
  /** What the ExApp asked for: method, path, and whether its proof of identity was right. */
  readonly asked: ReadonlyArray<{ readonly what: string; readonly proven: boolean }>
}

interface Member {
  readonly inCall: number
  readonly lastPing: number
  readonly sessionId: string
  readonly nextcloudSessionId: string
  readonly participantType: number
  readonly participantPermissions: number
  readonly actorType: string
  readonly actorId: string
  readonly userId: string
  readonly displayName: string
}

const BackendRequest = Schema.fromJsonString(
  Schema.Struct({
    type: Schema.String,
    auth: Schema.optionalKey(
      Schema.Struct({
        params: Schema.Struct({
          userid: Schema.optionalKey(Schema.String),
          displayname: Schema.optionalKey(Schema.String)
        })
      })
    ),
    room: Schema.optionalKey(
      Schema.Struct({
        roomid: Schema.String,
        sessionid: Schema.String,
        userid: Schema.optionalKey(Schema.String),
        action: Schema.optionalKey(Schema.String)
      })
    ),
    session: Schema.optionalKey(Schema.Struct({ roomid: Schema.String }))
  })
)
const decodeRequest = Schema.decodeUnknownOption(BackendRequest)
type BackendRequest = typeof BackendRequest.Type

const ocs = (data: unknown) => JSON.stringify({ ocs: { meta: { status: "ok", statuscode: 200, message: "OK" }, data } })
const checksum = (random: string, body: string) =>
  createHmac("sha256", BACKEND_SECRET).update(random).update(body).digest("hex")
const capabilities = {
  version: { major: 33, minor: 0, micro: 0, string: "33.0.0", edition: "", extendedSupport: false },
  capabilities: {
    spreed: { features: ["audio", "video", "signaling-v3"], config: { signaling: {} }, version: "23.0.0" }
  }
}

/** Who is in which room, as Talk's database would know it. */
const makeRooms = () => {
  const rooms = new Map<string, Map<string, Member>>()
  const members = (room: string) => {
    const known = rooms.get(room) ?? new Map<string, Member>()
    rooms.set(room, known)
    return known
  }
  return {
    members,
    clear: () => rooms.clear(),
    join: (room: string, session: string, userId: string) =>
      members(room).set(session, {
        inCall: 0,
        lastPing: Math.floor(Date.now() / 1000),
        sessionId: session,
        nextcloudSessionId: session,
        participantType: 3,
        participantPermissions: 254,
        actorType: userId === "" ? "guests" : "users",
        actorId: userId === "" ? session : userId,
        userId,
        displayName: userId === "" ? "Guest" : userId
      })
  }
}

/** Room requests to the HPB, one at a time: it drops a request older than the last one of its kind. */
const makeHpbClient = (backend: string) => {
  let last: Promise<unknown> = Promise.resolve()
  const post = async (room: string, payload: unknown) => {
    const body = JSON.stringify(payload)
    const random = randomBytes(32).toString("hex")
    const response = await fetch(`${HPB_HTTP}/api/v1/room/${encodeURIComponent(room)}`, {
      method: "POST",
      body,
      headers: {
        "Content-Type": "application/json",
        "Spreed-Signaling-Random": random,
        "Spreed-Signaling-Checksum": checksum(random, body),
        "Spreed-Signaling-Backend": backend
      }
    })
    await response.arrayBuffer()
    if (!response.ok) throw new Error(`the HPB answered ${response.status} to a room request`)
  }
  return (room: string, payload: unknown) => {
    const done = last.then(() => post(room, payload))
    last = done.catch(() => undefined)
    return attempt("room request", () => done)
  }
}

const read = async (request: IncomingMessage): Promise<string> => {
  const chunks: Array<Uint8Array> = []
  for await (const chunk of request) if (chunk instanceof Uint8Array) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
const header = (request: IncomingMessage, name: string): string => {
  const value = request.headers[name]
  return typeof value === "string" ? value : ""
}
const proven = (request: IncomingMessage): boolean =>
  header(request, "ex-app-id") === APP.id &&
  header(request, "ex-app-version") !== "" &&
  Buffer.from(header(request, "authorization-app-api"), "base64").toString().split(":").slice(1).join(":") ===
    APP.secret

const file = (name: string) => readFileSync(new URL(name, import.meta.url), "utf8")
const page = (path: string): { readonly type: string; readonly body: string } | undefined => {
  if (path === "/page/participant.html") return { type: "text/html", body: file("page/participant.html") }
  if (path === "/page/participant.js") return { type: "text/javascript", body: file("page/participant.js") }
  // The page renders with the very code by which viewers without a browser are judged.
  if (path === "/page/Overlay.js") return { type: "text/javascript", body: stripTypeScriptTypes(file("Overlay.ts")) }
  return undefined
}

/** Listens for as long as the scope. */
export const make = (options: NextcloudOptions): Effect.Effect<NextcloudFake, ProofError, Scope.Scope> => {
  const rooms = makeRooms()
  const toHpb = makeHpbClient(options.backend)
  const asked: Array<{ what: string; proven: boolean }> = []
  const users = (room: string) => [...rooms.members(room).values()]

  const answerBackend = (request: BackendRequest): unknown => {
    if (request.auth !== undefined) {
      const { userid = "", displayname = userid } = request.auth.params
      return { type: "auth", auth: { version: "1.0", userid, user: { displayname } } }
    }
    if (request.room !== undefined) {
      const { roomid, sessionid, userid = "", action } = request.room
      if (action === "leave") {
        const gone = rooms.members(roomid).get(sessionid)
        rooms.members(roomid).delete(sessionid)
        if (gone !== undefined) {
          const payload = { changed: [{ ...gone, inCall: 0 }], users: users(roomid) }
          setImmediate(() =>
            Effect.runFork(Effect.ignore(toHpb(roomid, { type: "participants", participants: payload })))
          )
        }
      } else rooms.join(roomid, sessionid, userid)
      const permissions = ["publish-audio", "publish-video", "publish-screen"]
      return { type: "room", room: { version: "1.0", roomid, properties: { name: roomid, type: 2 }, permissions } }
    }
    return { type: "room", room: { version: "1.0" } }
  }
  const backendRoute = (request: IncomingMessage, body: string): unknown => {
    const random = header(request, "spreed-signaling-random")
    const given = Buffer.from(header(request, "spreed-signaling-checksum"))
    const right = Buffer.from(checksum(random, body))
    const decoded = decodeRequest(body)
    return given.length === right.length && timingSafeEqual(given, right) && Option.isSome(decoded)
      ? answerBackend(decoded.value)
      : { type: "error", error: { code: "invalid_request", message: "The request could not be authenticated." } }
  }
  const settings = () => ({
    signalingMode: "external",
    userId: null,
    hideWarning: true,
    server: HPB_HTTP,
    ticket: "",
    helloAuthParams: {},
    federation: null,
    stunservers: [{ urls: [] }],
    turnservers: options.turnServers?.() ?? [],
    sipDialinInfo: ""
  })
  const exAppRoute = (path: string): { readonly status: number; readonly body: string } => {
    if (path.endsWith("/signaling/settings")) return { status: 200, body: ocs(settings()) }
    if (path.endsWith("/info/nextcloud_url/absolute")) {
      return options.absolute === false
        ? { status: 404, body: ocs([]) }
        : { status: 200, body: ocs({ absolute_url: options.backend }) }
    }
    if (path.endsWith("/ex-app/state")) return { status: 200, body: ocs(1) }
    return { status: 200, body: ocs([]) }
  }

  const listener: RequestListener = async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", options.backend)
    const reply = (status: number, type: string, body: string) => {
      response.writeHead(status, { "Content-Type": type, "Access-Control-Allow-Origin": "*" })
      response.end(body)
    }
    const body = await read(request)
    const found = page(pathname)
    if (found !== undefined) return reply(200, `${found.type}; charset=utf-8`, found.body)
    if (pathname.endsWith("/cloud/capabilities")) return reply(200, "application/json", ocs(capabilities))
    if (/\/apps\/spreed\/api\/v[123]\/signaling\/backend$/.test(pathname)) {
      return reply(200, "application/json; charset=utf-8", ocs(backendRoute(request, body)))
    }
    if (!pathname.startsWith("/ocs/")) return reply(404, "application/json", "{}")
    asked.push({ what: `${request.method} ${pathname}`, proven: proven(request) })
    if (!proven(request)) return reply(401, "application/json", ocs([]))
    const { status, body: answer } = exAppRoute(pathname)
    return reply(status, "application/json", answer)
  }

  const { tls } = options
  const servers = [
    { server: createServer(listener), port: options.httpPort },
    ...(tls === undefined
      ? []
      : [{ server: createTlsServer({ key: tls.key, cert: tls.cert }, listener), port: tls.port }])
  ]
  const listening = Effect.forEach(
    servers,
    ({ server, port }) =>
      Effect.callback<void, ProofError>((resume) => {
        server.on("error", (error) => resume(Effect.fail(because(`Nextcloud on port ${port}`)(error))))
        server.listen(port, "0.0.0.0", () => resume(Effect.void))
      }),
    { discard: true }
  )
  return Effect.acquireRelease(listening, () =>
    Effect.sync(() => {
      for (const { server } of servers) {
        server.closeAllConnections()
        server.close()
      }
    })
  ).pipe(
    Effect.as({
      backend: options.backend,
      setInCall: (room, ncSession, inCall) =>
        Effect.suspend(() => {
          const member = rooms.members(room).get(ncSession)
          if (member === undefined) return Effect.void
          const changed = { ...member, inCall, lastPing: Math.floor(Date.now() / 1000) }
          rooms.members(room).set(ncSession, changed)
          return toHpb(room, { type: "incall", incall: { incall: inCall, changed: [changed], users: users(room) } })
        }),
      endCall: (room) => toHpb(room, { type: "incall", incall: { incall: 0, all: true } }),
      deleteRoom: (room) =>
        toHpb(room, { type: "delete", delete: { userids: users(room).map((member) => member.userId) } }),
      forget: () => rooms.clear(),
      asked
    })
  )
}
