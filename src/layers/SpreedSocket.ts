/**
 * One websocket to the HPB: messages in order, what proves that they were read, and whether anybody is still there.
 */
import type { Socket } from "node:net"
import { Cause, Deferred, Effect, Queue, Schema, type Scope } from "effect"
import { WebSocket } from "ws"
import { Stopping } from "../services/Stopping.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import { type ClientMessage, decodeFrame, encodeFrame, type ServerMessage } from "./SpreedProtocol.ts"

/**
 * The socket is gone or useless. After `Ended` (the HPB said bye), `TooLarge` (the HPB would send the same frame again) and `Unread`
 * (our own reader is stuck) the HPB session must not be resumed.
 */
export class SocketLost extends Schema.TaggedError<SocketLost>()("SocketLost", {
  reason: Schema.Literals(["Unreachable", "Closed", "Silent", "Ended", "TooLarge", "Unread"]),
  detail: Schema.String
}) {
  get resumable() {
    return this.reason === "Unreachable" || this.reason === "Closed" || this.reason === "Silent"
  }
  override get message() {
    return `${this.reason}: ${this.detail}`
  }
}

export interface SpreedSocket {
  /** Hands a message to the socket at once. `false`: there is no socket any more, the HPB does not read, or the message is too large for it. */
  readonly send: (message: ClientMessage) => boolean
  /** The next message; unreadable frames are counted and left out. Fails when everything that arrived was taken and the socket is gone. */
  readonly next: Effect.Effect<ServerMessage, SocketLost>
  /** `true` when the HPB has read everything sent before; `false` when the socket went first. */
  readonly confirm: Effect.Effect<boolean>
  /** The same, and every message that came before that answer was taken, and the next one asked for. */
  readonly roundTrip: Effect.Effect<boolean>
  /** Pings, and fails when nothing at all has come for 15 s, or for 3 s behind a caption. */
  readonly keepAlive: Effect.Effect<never, SocketLost>
  /** Says bye and waits until the HPB has closed the socket: at most 2 s, or as long as there is where the service stops. */
  readonly leave: Effect.Effect<void>
}

/** A room of 2,000 participants is announced in some 1.2 MiB. */
const maxFrameBytes = 4 * 1024 * 1024
/** The HPB closes the socket on anything larger. */
const maxSentBytes = 64 * 1024
/** So much unsent text means that the HPB has stopped reading. */
const maxUnsentBytes = 1024 * 1024
/** Messages waiting for our reader at which the socket is paused; TCP then holds the rest back. */
const pauseAt = 256
/** TCP asks after 1 and 3 s again: whoever is back in between is found 2 s later at most. */
const dialTimeout = "4 seconds"
const pingEveryMs = 5_000
/** Three pings without an answer: a path that was cut without a word. A socket too many costs nothing, the session is resumed. */
const silentAfterMs = 15_000
/** The same while somebody waits for what was sent: the HPB answers a ping within milliseconds. */
const unansweredAfterMs = 3_000
const lookEvery = "500 millis"
const byeTimeout = "2 seconds"

/** Dials; the socket is cut off with its scope, without a bye. */
export const open = Effect.fnUntraced(function* (options: {
  readonly url: string
  readonly skipCertVerify: boolean
}): Effect.fn.Return<SpreedSocket, SocketLost, Scope.Scope> {
  const now = yield* monotonicMs
  const stopping = yield* Stopping
  const unreadable = yield* Metrics.countsOf(Metrics.unknownMessages, { source: "hpb" })
  const tooLarge = yield* Metrics.countsOf(Metrics.drops, { reason: "hpb_message_too_large" })
  // Unbounded in name only: the socket is paused at `pauseAt`.
  const messages = yield* Queue.unbounded<ServerMessage, SocketLost>()
  const opened = yield* Deferred.make<void, SocketLost>()
  const ws = yield* Effect.acquireRelease(
    Effect.try({
      try: () =>
        new WebSocket(options.url, {
          perMessageDeflate: false,
          maxPayload: maxFrameBytes,
          rejectUnauthorized: !options.skipCertVerify
        }),
      // The address itself is not repeated: it may carry a password.
      catch: () => new SocketLost({ reason: "Unreachable", detail: "the address of the HPB cannot be read" })
    }),
    (socket) => Effect.sync(() => socket.terminate())
  )

  let heardAtMs = now()
  let pingedAtMs = Number.NEGATIVE_INFINITY
  /** `ws` no longer says that it was dialling when it tells that nobody answered. */
  let hasOpened = false
  let stream: Socket | undefined
  let isLeaving = false
  let failure: SocketLost | undefined
  const confirmations = makeConfirmations(ws, now)
  const reading = makeReading()
  const heard = () => {
    heardAtMs = now()
  }
  ws.on("open", () => {
    heard()
    hasOpened = true
    Deferred.doneUnsafe(opened, Effect.void)
  })
  ws.on("upgrade", (response) => {
    stream = response.socket
  })
  ws.on("ping", heard)
  ws.on("pong", (payload) => {
    heard()
    confirmations.answered(payload.toString())
  })
  ws.on("message", (data, isBinary) => {
    heard()
    if (isLeaving) return
    const message = isBinary ? undefined : readable(data.toString())
    if (message === undefined) return unreadable()
    Queue.offerUnsafe(messages, message)
    reading.arrived()
    if (Queue.sizeUnsafe(messages) >= pauseAt) ws.pause()
  })
  ws.on("error", (error) => {
    failure ??= lostBy(error, !hasOpened)
    // Without this `ws` waits 30 s for the other side's closing frame.
    ws.terminate()
  })
  ws.on("close", (code) => {
    const lost = failure ?? new SocketLost({ reason: "Closed", detail: `code ${code}` })
    Deferred.doneUnsafe(opened, Effect.fail(lost))
    Queue.failCauseUnsafe(messages, Cause.fail(lost))
    confirmations.lost()
    reading.lost()
  })
  yield* Deferred.await(opened).pipe(
    Effect.timeoutOrElse({
      duration: dialTimeout,
      orElse: () => Effect.fail(new SocketLost({ reason: "Unreachable", detail: "no answer" }))
    })
  )

  /** What is sent at one time goes out together: a cut comes before or behind a caption and its mark, hardly between them. */
  const gather = () => {
    const held = stream
    if (held === undefined || held.writableCorked > 0) return
    held.cork()
    process.nextTick(() => held.uncork())
  }
  const send = (message: ClientMessage): boolean => {
    if (ws.readyState !== WebSocket.OPEN || ws.bufferedAmount > maxUnsentBytes) return false
    const frame = Buffer.from(encodeFrame(message))
    if (frame.byteLength > maxSentBytes) {
      tooLarge()
      return false
    }
    gather()
    ws.send(frame, { binary: false })
    return true
  }
  return {
    send,
    next: Effect.suspend(() => {
      reading.done()
      return Effect.map(Queue.take(messages), (message) => {
        reading.took()
        if (ws.isPaused && Queue.sizeUnsafe(messages) < pauseAt / 2) ws.resume()
        return message
      })
    }),
    confirm: confirmations.confirm,
    roundTrip: Effect.flatMap(confirmations.confirm, (isRead) => (isRead ? reading.caughtUp : Effect.succeed(false))),
    keepAlive: Effect.suspend(() => {
      const silentMs = now() - heardAtMs
      const isUnanswered = now() - confirmations.waitingSinceMs() >= unansweredAfterMs
      if (silentMs >= (isUnanswered ? unansweredAfterMs : silentAfterMs)) {
        const detail = `nothing heard for ${Math.round(silentMs / 1000)} s`
        return Effect.fail(new SocketLost({ reason: "Silent", detail }))
      }
      if (now() - pingedAtMs >= pingEveryMs && ws.readyState === WebSocket.OPEN) {
        pingedAtMs = now()
        ws.ping()
      }
      return Effect.sleep(lookEvery)
    }).pipe(Effect.forever),
    leave: Effect.callback<void>((resume) => {
      isLeaving = true
      if (!send({ id: "bye", type: "bye", bye: {} })) return resume(Effect.void)
      ws.resume()
      ws.once("close", () => resume(Effect.void))
    }).pipe(Effect.raceFirst(stopping.until("Left")), Effect.timeoutOption(byeTimeout), Effect.asVoid)
  }
})

/** Pings with a number, answered in the order of the wire: an answer also proves all earlier ones. */
const makeConfirmations = (ws: WebSocket, now: () => number) => {
  const waiting = new Map<number, { readonly askedAtMs: number; readonly settle: (isRead: boolean) => void }>()
  let sent = 0
  return {
    /** Since when the oldest has no answer; infinite when all have. */
    waitingSinceMs: () => waiting.values().next().value?.askedAtMs ?? Number.POSITIVE_INFINITY,
    confirm: Effect.callback<boolean>((resume) => {
      if (ws.readyState !== WebSocket.OPEN) return resume(Effect.succeed(false))
      const number = ++sent
      waiting.set(number, { askedAtMs: now(), settle: (isRead) => resume(Effect.succeed(isRead)) })
      ws.ping(String(number))
      return Effect.sync(() => waiting.delete(number))
    }),
    answered: (payload: string) => {
      const upTo = Number(payload)
      for (const [number, { settle }] of waiting) {
        if (number > upTo || Number.isNaN(upTo)) return
        waiting.delete(number)
        settle(true)
      }
    },
    lost: () => {
      for (const { settle } of waiting.values()) settle(false)
      waiting.clear()
    }
  }
}

/** How far our reader is with what has arrived. */
const makeReading = () => {
  const waiting = new Map<(isRead: boolean) => void, number>()
  let arrived = 0
  let taken = 0
  let handled = 0
  const settle = (isDue: (upTo: number) => boolean, isRead: boolean) => {
    for (const [settled, upTo] of waiting) {
      if (!isDue(upTo)) continue
      waiting.delete(settled)
      settled(isRead)
    }
  }
  return {
    arrived: () => {
      arrived++
    },
    took: () => {
      taken++
    },
    /** The reader is done with all it took. */
    done: () => {
      handled = taken
      if (waiting.size > 0) settle((upTo) => upTo <= handled, true)
    },
    lost: () => settle(() => true, false),
    caughtUp: Effect.callback<boolean>((resume) => {
      if (handled >= arrived) return resume(Effect.succeed(true))
      const settled = (isRead: boolean) => resume(Effect.succeed(isRead))
      waiting.set(settled, arrived)
      return Effect.sync(() => waiting.delete(settled))
    })
  }
}

const readable = (frame: string): ServerMessage | undefined => {
  const message = decodeFrame(frame)
  return message._tag === "Some" ? message.value : undefined
}

const lostBy = (error: Error, isDialling: boolean): SocketLost => {
  if ("code" in error && error.code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH") {
    return new SocketLost({ reason: "TooLarge", detail: `a frame of more than ${maxFrameBytes} bytes` })
  }
  return new SocketLost({ reason: isDialling ? "Unreachable" : "Closed", detail: error.message })
}
