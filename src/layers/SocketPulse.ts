/**
 * SocketPulse: whether the server at the other end of a websocket is still there.
 */
import { Effect } from "effect"
import { WebSocket } from "ws"
import * as Ticker from "./Ticker.ts"

export interface SocketPulse {
  /** So many bytes were handed to the socket. */
  readonly sent: (bytes: number) => void
  /** Completes when a server that is sent audio is gone. */
  readonly lost: Effect.Effect<void>
}

/** After so long without a sign of life the server is asked for one. */
const QUIET_MS = 500
/** Not looked more often than this. */
const LOOK_MS = 250
/** How exactly; where more passes from one time to the next, this process stood still. */
const TICK_MS = 50
const STOOD_MS = 2 * TICK_MS

/**
 * Asks by pings, and only while something is sent: what is silent loses nothing. A server is gone when it gave no sign of life (message, pong,
 * bytes taken out of a full socket) for `answerMs` after it was asked (a second: on the other side of the earth it takes 300 ms), which it is half
 * a second after its last one; time in which this process stood still does not count. One that has never answered a ping is not judged, and nobody is while we do not read from him.
 */
export const make = (ws: WebSocket, now: () => number, answerMs: number): SocketPulse => {
  let answersPings = false
  let aliveMs = now()
  let bytesSent = 0
  let sentAtLook = 0
  /** Before the last look. */
  let isSending = true
  let waiting = 0
  let takenAtLook = 0
  /** When it was asked; absent: it has answered since. */
  let askedMs: number | undefined
  /** Looks again, where it does not. */
  let wake = () => {}

  const alive = () => {
    aliveMs = now()
    askedMs = undefined
  }
  const ask = () => {
    ws.ping()
    askedMs ??= now()
  }
  ws.on("message", alive)
  ws.on("pong", () => {
    answersPings = true
    alive()
  })
  // what is never asked while all is well would never be known to answer
  ws.once("open", ask)

  /** Nothing moves in a socket whose server is gone, once it is full. */
  const drains = (): boolean => {
    const wasWaiting = waiting > 0
    const before = takenAtLook
    waiting = ws.bufferedAmount
    takenAtLook = bytesSent - waiting
    return wasWaiting && takenAtLook > before
  }

  const look = (atMs: number): boolean => {
    if (ws.readyState !== WebSocket.OPEN) return false
    if (drains() || ws.isPaused) alive()
    isSending = bytesSent > sentAtLook
    sentAtLook = bytesSent
    if (askedMs !== undefined) return answersPings && atMs >= askedMs + answerMs
    if (isSending && atMs - aliveMs >= QUIET_MS) ask()
    return false
  }

  /** When it is worth looking again. */
  const nextMs = (atMs: number) =>
    Math.max(atMs + LOOK_MS, askedMs === undefined ? aliveMs + QUIET_MS : askedMs + answerMs)

  return {
    sent: (bytes) => {
      bytesSent += bytes
      wake()
    },
    lost: Effect.flatMap(Ticker.every(TICK_MS), (ticker) =>
      Effect.callback<void>((resume) => {
        /** Absent: it rested. */
        let tickedMs: number | undefined = now()
        let wakeMs = nextMs(tickedMs)
        const tick = (atMs: number) => {
          const passedMs = tickedMs === undefined ? 0 : atMs - tickedMs
          tickedMs = atMs
          if (askedMs !== undefined && passedMs > STOOD_MS) {
            // timers run before sockets are read: what came while we stood still is not yet known
            askedMs += passedMs - TICK_MS
            wakeMs = nextMs(atMs)
          }
          if (atMs < wakeMs) return rest()
          if (!look(atMs)) {
            wakeMs = nextMs(atMs)
            rest()
            return
          }
          ticker.remove(tick)
          resume(Effect.void)
        }
        /** Who was asked nothing is not waited for, and of whom nothing is sent is asked nothing. */
        const rest = () => {
          if (askedMs !== undefined) return
          tickedMs = undefined
          const isIdle = !isSending && waiting === 0
          ticker.rest(tick, isIdle ? Number.POSITIVE_INFINITY : wakeMs)
          if (isIdle) wake = rouse
        }
        const rouse = () => {
          wake = () => {}
          ticker.rest(tick, wakeMs)
        }
        ticker.add(tick)
        return Effect.sync(() => ticker.remove(tick))
      })
    )
  }
}
