/**
 * One socket carrying one room: dial, introduce or resume, then hand over message by message until the socket is lost.
 */
import { Effect, type Redacted } from "effect"
import { hpbSocketUrl } from "./BackendUrls.ts"
import type { Admission, Refused } from "./SpreedAdmission.ts"
import * as SpreedHello from "./SpreedHello.ts"
import type { SpreedReach } from "./SpreedReach.ts"
import type { SpreedRoom } from "./SpreedRoom.ts"
import * as SpreedSocket from "./SpreedSocket.ts"
import { SocketLost } from "./SpreedSocket.ts"

/** What all rooms of an HPB share. */
export interface Hpb {
  readonly options: ConnectionOptions
  readonly admission: Admission
  readonly reach: SpreedReach
}

export interface ConnectionOptions {
  /** LT_HPB_URL in any form: http or ws, with or without `/spreed`, with any path prefix. */
  readonly hpbUrl: string
  /** `internalsecret` of the HPB. */
  readonly internalSecret: Redacted.Redacted
  /** Accept any certificate of the HPB. */
  readonly skipCertVerify?: boolean
}

const joinTimeout = "10 seconds"

/**
 * Carries the room until the socket is lost or the HPB refuses us; says bye where a session is left behind that will not be resumed,
 * and when it is interrupted.
 */
export const carry = (
  { admission, options, reach }: Hpb,
  room: SpreedRoom,
  resumeId: string | undefined
): Effect.Effect<never, SocketLost | Refused> =>
  Effect.gen(function* () {
    // Before the socket: the HPB waits two seconds for a hello, Nextcloud may take longer to say its name.
    if (resumeId === undefined) yield* admission.prepare
    const socket = yield* reach.dial(
      SpreedSocket.open({ url: hpbSocketUrl(options.hpbUrl), skipCertVerify: options.skipCertVerify ?? false })
    )
    const hello = SpreedHello.make(socket, options.internalSecret)
    const begin =
      resumeId === undefined
        ? introduce(admission, room, socket, hello)
        : resume(admission, room, socket, hello, resumeId)
    return yield* begin.pipe(
      Effect.andThen(
        Effect.all([read(socket, room), socket.keepAlive, expectJoin(room)], { concurrency: "unbounded" })
      ),
      Effect.andThen(Effect.never),
      Effect.tapError((error) => (leavesSession(error) ? socket.leave : Effect.void)),
      Effect.onInterrupt(() => socket.leave)
    )
  }).pipe(Effect.scoped)

const introduce = Effect.fnUntraced(function* (
  admission: Admission,
  room: SpreedRoom,
  socket: SpreedSocket.SpreedSocket,
  hello: SpreedHello.Hello
) {
  room.enter(socket, yield* admission.enter(hello.introduce))
})

const resume = (
  admission: Admission,
  room: SpreedRoom,
  socket: SpreedSocket.SpreedSocket,
  hello: SpreedHello.Hello,
  resumeId: string
): Effect.Effect<void, SocketLost | Refused> =>
  hello.resume(resumeId).pipe(
    Effect.andThen(Effect.sync(() => room.resume(socket))),
    Effect.catchTag("HelloRefused", ({ code }) => {
      room.forget()
      // On the same socket: the HPB allows another hello.
      if (code === "no_such_session") return introduce(admission, room, socket, hello)
      return code === "too_many_requests"
        ? admission.refuse(code)
        : Effect.fail(new SocketLost({ reason: "Ended", detail: `resume refused: ${code}` }))
    })
  )

const read = (socket: SpreedSocket.SpreedSocket, room: SpreedRoom): Effect.Effect<never, SocketLost> =>
  socket.next.pipe(
    Effect.flatMap((message) => {
      const lost = room.take(message)
      return lost === undefined ? Effect.void : Effect.fail(lost)
    }),
    Effect.forever
  )

const expectJoin = Effect.fnUntraced(function* (room: SpreedRoom) {
  yield* Effect.sleep(joinTimeout)
  if (!room.isJoined()) return yield* new SocketLost({ reason: "Ended", detail: "no answer to the join" })
})

/** A ghost of ours would stay in the room for 30 s. */
const leavesSession = (error: SocketLost | Refused): boolean =>
  error._tag === "Refused" ? error.code === "no_mcu" : !error.resumable
