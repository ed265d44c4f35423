/**
 * A participant's connection to the HPB, as Talk's page has one: hello 1.0 with a ticket, a room, and who else is there.
 */
import { Effect, Option, Schema, type Scope } from "effect"
import WebSocket from "ws"
import { attempt, failure, type ProofError } from "./ProofError.ts"

const HPB_SOCKET = "ws://127.0.0.1:8080/spreed"

const User = Schema.Struct({
  sessionId: Schema.optionalKey(Schema.String),
  nextcloudSessionId: Schema.optionalKey(Schema.String),
  inCall: Schema.optionalKey(Schema.Finite),
  internal: Schema.optionalKey(Schema.Boolean),
  virtual: Schema.optionalKey(Schema.Boolean)
})
const Joined = Schema.Struct({ sessionid: Schema.String, userid: Schema.optionalKey(Schema.String) })
const ServerMessage = Schema.Struct({
  id: Schema.optionalKey(Schema.String),
  type: Schema.String,
  hello: Schema.optionalKey(
    Schema.Struct({ sessionid: Schema.String, server: Schema.optionalKey(Schema.Struct({ version: Schema.String })) })
  ),
  error: Schema.optionalKey(Schema.Struct({ code: Schema.String })),
  event: Schema.optionalKey(
    Schema.Struct({
      target: Schema.String,
      type: Schema.String,
      join: Schema.optionalKey(Schema.Array(Joined)),
      leave: Schema.optionalKey(Schema.Array(Schema.String)),
      update: Schema.optionalKey(
        Schema.Struct({
          users: Schema.optionalKey(Schema.Array(User)),
          all: Schema.optionalKey(Schema.Boolean)
        })
      )
    })
  ),
  message: Schema.optionalKey(
    Schema.Struct({
      sender: Schema.Struct({ type: Schema.String, sessionid: Schema.optionalKey(Schema.String) }),
      data: Schema.Unknown
    })
  )
})
export type ServerMessage = typeof ServerMessage.Type
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(ServerMessage))

export interface Person {
  readonly inCall: number
  readonly internal: boolean
  /** A phone caller, for whom an internal session publishes. */
  readonly virtual: boolean
}

export interface HpbClient {
  readonly sessionId: () => string
  /** Who is in the room, by session id. */
  readonly people: ReadonlyMap<string, Person>
  readonly send: (message: object) => void
  /** To one session. */
  readonly tell: (session: string, data: object) => void
  /** Everything that comes, with the time it came (`machineMs`). */
  readonly onMessage: (handler: (message: ServerMessage, atMs: number) => void) => void
  /** A new hello after the HPB lost us; same Nextcloud session, new session id. */
  readonly rejoin: Effect.Effect<void, ProofError>
  /** The socket goes without a word. */
  readonly drop: () => void
  readonly bye: Effect.Effect<void>
}

export interface HpbClientOptions {
  readonly userId: string
  /** What others see, the user's id if absent. */
  readonly displayName?: string
  readonly room: string
  /** Absent for services. */
  readonly ncSession?: string
  /** Nextcloud as the HPB knows it. */
  readonly backend: string
  /** Another hello than a user's. */
  readonly hello?: () => object
}

/** Milliseconds since 1970, fractional: processes of one machine can subtract them. */
export const machineMs = (): number => performance.timeOrigin + performance.now()

const merge = (people: Map<string, Person>, { event }: ServerMessage) => {
  for (const { sessionid } of event?.join ?? []) {
    if (!people.has(sessionid)) people.set(sessionid, { inCall: 0, internal: false, virtual: false })
  }
  for (const session of event?.leave ?? []) people.delete(session)
  if (event?.update?.all === true) {
    for (const [session, person] of people) people.set(session, { ...person, inCall: 0 })
  }
  for (const { inCall = 0, internal = false, sessionId, virtual = false } of event?.update?.users ?? []) {
    if (sessionId !== undefined) people.set(sessionId, { inCall, internal, virtual })
  }
}

const userHello = ({ backend, displayName = "", userId }: HpbClientOptions) => ({
  version: "1.0",
  auth: {
    url: new URL("ocs/v2.php/apps/spreed/api/v3/signaling/backend", backend).href,
    params: { userid: userId, ...(displayName === "" ? {} : { displayname: displayName }), ticket: "good" }
  }
})

/** In the room for as long as the scope. */
export const join = (options: HpbClientOptions): Effect.Effect<HpbClient, ProofError, Scope.Scope> => {
  const people = new Map<string, Person>()
  const handlers: Array<(message: ServerMessage, atMs: number) => void> = []
  let socket: WebSocket | undefined
  let session = ""
  let ids = 0

  const send = (message: object) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
  }
  const request = (message: object): Effect.Effect<ServerMessage, ProofError> =>
    Effect.callback<ServerMessage, ProofError>((resume) => {
      ids += 1
      const id = String(ids)
      const answered = (answer: ServerMessage) => {
        if (answer.id !== id) return
        handlers.splice(handlers.indexOf(answered), 1)
        resume(
          answer.error === undefined
            ? Effect.succeed(answer)
            : Effect.fail(failure(`${options.userId}: the HPB said ${answer.error.code}`))
        )
      }
      handlers.push(answered)
      send({ id, ...message })
    }).pipe(
      Effect.timeoutOrElse({
        duration: "5 seconds",
        orElse: () => Effect.fail(failure(`${options.userId}: no answer from the HPB`))
      })
    )
  const connect = attempt(
    `${options.userId} connects`,
    () =>
      new Promise<void>((resolve, reject) => {
        const opened = new WebSocket(HPB_SOCKET)
        socket = opened
        opened.on("open", () => resolve())
        opened.on("error", reject)
        opened.on("message", (data) => {
          const atMs = machineMs()
          const message = decode(String(data))
          if (Option.isNone(message) || opened !== socket) return
          merge(people, message.value)
          for (const handler of [...handlers]) handler(message.value, atMs)
        })
      })
  )
  const enter = Effect.gen(function* () {
    people.clear()
    yield* connect
    const { hello } = yield* request({ type: "hello", hello: options.hello?.() ?? userHello(options) })
    session = hello?.sessionid ?? ""
    const nextcloudSession = options.ncSession === undefined ? {} : { sessionid: options.ncSession }
    yield* request({ type: "room", room: { roomid: options.room, ...nextcloudSession } })
  })
  const bye = Effect.sync(() => {
    send({ id: "bye", type: "bye", bye: {} })
    socket?.close()
  })
  return Effect.acquireRelease(enter, () => bye).pipe(
    Effect.as({
      sessionId: () => session,
      people,
      send,
      tell: (sessionid, data) => {
        ids += 1
        send({ id: String(ids), type: "message", message: { recipient: { type: "session", sessionid }, data } })
      },
      onMessage: (handler) => handlers.push(handler),
      rejoin: Effect.suspend(() => {
        socket?.terminate()
        return enter
      }),
      drop: () => socket?.terminate(),
      bye
    })
  )
}
