/**
 * Introducing ourselves to the HPB on an open socket: as an internal client, or as the session we had before the socket dropped.
 */
import { createHmac, randomBytes } from "node:crypto"
import { Effect, Redacted, Schema } from "effect"
import type { SessionId } from "../domain/Call.ts"
import type { ClientMessage, HelloResponse } from "./SpreedProtocol.ts"
import { SocketLost, type SpreedSocket } from "./SpreedSocket.ts"

/** The HPB said no; the socket stays open for another hello. */
export class HelloRefused extends Schema.TaggedError<HelloRefused>()("HelloRefused", { code: Schema.String }) {
  override get message() {
    return `the HPB refused the hello: ${this.code}`
  }
}

/** A session of the HPB, and what this HPB can do. */
export interface HpbSession {
  readonly self: SessionId
  readonly resumeId: string | undefined
  readonly version: string
  readonly features: ReadonlySet<string>
}

export interface Hello {
  /** A new session. `backend` is the name under which the HPB knows the Nextcloud server. */
  readonly introduce: (backend: string) => Effect.Effect<HpbSession, HelloRefused | SocketLost>
  /** The same session as before, with the messages missed meanwhile. */
  readonly resume: (resumeId: string) => Effect.Effect<HpbSession, HelloRefused | SocketLost>
}

/** The HPB answers failed hellos up to 25 s late, to slow down guessing. */
const answerTimeout = "35 seconds"

/** Hellos on one socket, one after the other. */
export const make = (socket: SpreedSocket, internalSecret: Redacted.Redacted): Hello => {
  let asked = 0
  let welcome: { readonly version?: string; readonly features?: ReadonlyArray<string> } = {}

  const sessionOf = ({ hello }: HelloResponse): HpbSession => ({
    self: hello.sessionid,
    resumeId: hello.resumeid,
    version: hello.server?.version ?? welcome.version ?? "",
    features: new Set(hello.server?.features ?? welcome.features ?? [])
  })

  const answerTo = Effect.fnUntraced(function* (id: string): Effect.fn.Return<HpbSession, HelloRefused | SocketLost> {
    while (true) {
      const message = yield* socket.next
      if (message.type === "welcome") welcome = message.welcome
      else if (message.type === "hello" && message.id === id) return sessionOf(message)
      else if (message.type === "error" && message.id === id)
        return yield* new HelloRefused({ code: message.error.code })
      else if (message.type === "bye") {
        return yield* new SocketLost({ reason: "Ended", detail: message.bye?.reason ?? "bye" })
      }
    }
  })

  const ask = (messageOf: (id: string) => ClientMessage): Effect.Effect<HpbSession, HelloRefused | SocketLost> =>
    Effect.suspend(() => {
      const id = `hello-${++asked}`
      return socket.send(messageOf(id))
        ? answerTo(id)
        : Effect.fail(new SocketLost({ reason: "Closed", detail: "before the hello" }))
    }).pipe(
      Effect.timeoutOrElse({
        duration: answerTimeout,
        orElse: () => Effect.fail(new SocketLost({ reason: "Silent", detail: "no answer to the hello" }))
      })
    )

  return {
    introduce: (backend) =>
      ask((id) => ({
        id,
        type: "hello",
        hello: {
          version: "1.0",
          features: ["internal-incall"],
          auth: { type: "internal", params: { ...proofOf(internalSecret), backend } }
        }
      })),
    resume: (resumeid) => ask((id) => ({ id, type: "hello", hello: { version: "1.0", resumeid } }))
  }
}

/** The HPB wants at least 32 bytes of randomness and compares the digest as a text in small letters. */
const proofOf = (internalSecret: Redacted.Redacted): { readonly random: string; readonly token: string } => {
  const random = randomBytes(32).toString("hex")
  return { random, token: createHmac("sha256", Redacted.value(internalSecret)).update(random).digest("hex") }
}
