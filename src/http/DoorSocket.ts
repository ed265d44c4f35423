/**
 * One client's WebSocket as the session program sees it: messages in order, held up when they are not taken; a sign when the client does
 * not read; pings; one close.
 */
import { type Cause, Deferred, Effect, Queue } from "effect"
import type { RawData, WebSocket } from "ws"
import type { Message } from "./Dialect.ts"
import type { DoorAdmission } from "./DoorAdmission.ts"

/** Wakes whoever waits for a message. */
export interface Nudge {
  readonly _tag: "Nudge"
}

export interface DoorSocket {
  /** The next message; `undefined` once the client is gone and everything it had sent was taken. */
  readonly next: Effect.Effect<Message | Nudge | undefined>
  readonly nudge: () => void
  /** When the newest message came, ms of the monotonic clock; at first, when the connection was accepted. */
  readonly heardFromAtMs: () => number
  readonly send: (message: Message) => void
  /** The client is behind with reading: what can wait should. */
  readonly isBehind: () => boolean
  /** Once; what was sent before still goes out. The connection is cut when the client has not answered within 3 s. */
  readonly close: (code: number, reason?: string) => void
  /** At once, without a word. */
  readonly cut: () => void
  /** At least every second: pings when it is time, and says what has become of the client. */
  readonly tick: (nowMs: number) => "Alive" | "Slow" | "Dead"
  /** Completes with the close code when the connection is gone, whoever ended it; 1006 when it was cut. */
  readonly gone: Effect.Effect<number>
}

export interface DoorSocketOptions {
  readonly now: () => number
  /** The client has read something. */
  readonly onDrain: () => void
  /** Asked for each message while whoever asked for the `next` waits; who takes it at once says `true`, else it is that. Absent: nobody does. */
  readonly takeNow?: (message: Message) => boolean
  /** Whether it is known who the client is; absent: it is. */
  readonly admission?: Pick<DoorAdmission, "isAdmitted" | "received">
}

/** What waits for the session: 5 s of PCM16 at 24 kHz. Then nothing more is read from the connection until half of it was taken. */
const INBOX_BYTES = 256 * 1024
/** Of a stranger no more is read than a credential and the start of what it wants to say need (and what comes between two looks). */
const STRANGER_BYTES = 64 * 1024
/** A message costs memory beyond its bytes. */
const MESSAGE_BYTES = 256
/** What may wait to be sent before new words are held back: the text of minutes. */
const BEHIND_BYTES = 64 * 1024
/** Who lets so much wait is not reading. */
const MOST_BYTES = 2 * 1024 * 1024
/** So long nothing was read although something waits, and that only begins when the buffers of the network are full: dead or hostile. */
const STUCK_MS = 10_000
/** Some proxies cut what is quiet for 30 s. */
const PING_MS = 25_000
const MISSED_PINGS = 2
const CLOSE_GRACE_MS = 3_000
/** RFC 6455 §5.5: a control frame has 125 bytes, two of them are the code. */
const MAX_REASON_BYTES = 123

/** Takes over an open WebSocket. A broken frame, a message that is too large or text that is not UTF-8 ends it with 1002, 1009 or 1007 (`ws`). */
export const make = Effect.fnUntraced(function* (
  socket: WebSocket,
  { admission, now, onDrain, takeNow = () => false }: DoorSocketOptions
): Effect.fn.Return<DoorSocket> {
  // Bounded by pausing the connection: INBOX_BYTES, and what had been read by then (64 KiB or the end of one message). Nothing is dropped.
  const inbox = yield* Queue.unbounded<Message | Nudge, Cause.Done>()
  const gone = yield* Deferred.make<number>()
  let waiting = 0
  /** The next message is asked for, and nothing has come for it: what comes now is behind nothing. */
  let isAwaited = false
  let heardFromAtMs = now()
  let movedAtMs = now()
  let pingAtMs = now() + PING_MS
  let unanswered = 0
  let isClosing = false
  /** Nothing more is read until it is known who it is. */
  let isHeld = false

  const weigh = (message: Message) => message.length + MESSAGE_BYTES
  const receive = (data: RawData, isBinary: boolean) => {
    if (isClosing || !Buffer.isBuffer(data)) return
    heardFromAtMs = now()
    unanswered = 0
    const message = isBinary ? data : data.toString("utf8")
    if (isAwaited && takeNow(message)) return
    isAwaited = false
    waiting += weigh(message)
    Queue.offerUnsafe(inbox, message)
    if (waiting > INBOX_BYTES && !socket.isPaused) socket.pause()
  }
  const taken = (message: Message | Nudge) => {
    if (typeof message === "string" || message instanceof Uint8Array) waiting -= weigh(message)
    if (socket.isPaused && !isHeld && waiting < INBOX_BYTES / 2) socket.resume()
  }
  const hold = ({ isAdmitted, received }: Pick<DoorAdmission, "isAdmitted" | "received">) => {
    if (isHeld === (received() > STRANGER_BYTES && !isAdmitted())) return
    isHeld = !isHeld
    if (isHeld) socket.pause()
    else if (waiting <= INBOX_BYTES) socket.resume()
  }
  const moved = () => {
    movedAtMs = now()
    onDrain()
  }
  const close = (code: number, reason?: string) => {
    if (isClosing) return
    isClosing = true
    // or the answer is never read
    if (socket.isPaused && !isHeld) socket.resume()
    socket.close(code, cut(reason ?? ""))
    const cutting = setTimeout(() => socket.terminate(), CLOSE_GRACE_MS)
    socket.once("close", () => clearTimeout(cutting))
  }
  const ping = (nowMs: number) => {
    if (nowMs < pingAtMs) return
    pingAtMs = nowMs + PING_MS
    // Answers are not read from a paused connection.
    unanswered = socket.isPaused ? 0 : unanswered + 1
    socket.ping()
  }

  socket.on("message", receive)
  socket.on("pong", () => {
    unanswered = 0
  })
  // What is wrong comes again as the code of "close".
  socket.on("error", () => {})
  socket.on("close", (code) => {
    Queue.endUnsafe(inbox)
    Deferred.doneUnsafe(gone, Effect.succeed(code))
  })

  return {
    next: Effect.suspend(() => {
      isAwaited = Queue.sizeUnsafe(inbox) === 0
      return Queue.take(inbox)
    }).pipe(
      Effect.tap((message) => Effect.sync(() => taken(message))),
      Effect.orElseSucceed(() => undefined)
    ),
    nudge: () => {
      isAwaited = false
      Queue.offerUnsafe(inbox, nudge)
    },
    heardFromAtMs: () => heardFromAtMs,
    send: (message) => {
      if (socket.readyState !== socket.OPEN) return
      if (socket.bufferedAmount === 0) movedAtMs = now()
      socket.send(message, moved)
    },
    isBehind: () => socket.readyState === socket.OPEN && socket.bufferedAmount > BEHIND_BYTES,
    close,
    cut: () => socket.terminate(),
    tick: (nowMs) => {
      if (socket.readyState !== socket.OPEN) return "Alive"
      if (admission !== undefined) hold(admission)
      const waits = socket.bufferedAmount
      if (waits > MOST_BYTES || (waits > 0 && nowMs - movedAtMs > STUCK_MS)) return "Slow"
      if (unanswered > MISSED_PINGS) return "Dead"
      ping(nowMs)
      return "Alive"
    },
    gone: Deferred.await(gone)
  }
})

const nudge: Nudge = { _tag: "Nudge" }

/** As much as fits, without half a character. */
const cut = (reason: string): string => {
  const bytes = Buffer.from(reason, "utf8")
  if (bytes.length <= MAX_REASON_BYTES) return reason
  return bytes
    .subarray(0, MAX_REASON_BYTES)
    .toString("utf8")
    .replace(/\uFFFD+$/, "")
}
