/**
 * OpenAI's Realtime transcription, simulated: a real websocket server with its protocol, stricter than the original, which understands
 * synthetic speech (`ToneModem`).
 *
 * Refused are a model in the URL, the beta's header, unknown fields, event ids used twice, audio before the settings or that is not whole
 * samples, commits of less than 100 ms, the server's own turn detection (as the live models do).
 */
import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import { Effect, FiberSet, type Scope } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import * as LocalServer from "./LocalServer.ts"
import type { RecognisedWord } from "./SimulatedRecogniser.ts"
import * as SimulatedTranscription from "./SimulatedTranscription.ts"
import * as ToneModem from "./ToneModem.ts"

/**
 * How the server treats whoever connects: serve, 401, 403, 404, 429, an upgrade that is never answered, an open connection on which nothing is
 * said (also for those who are connected).
 */
export type Behaviour = "serve" | "refuse" | "forbid" | "missing" | "busy" | "neverOpen" | "silent"

/**
 * What a test may do to the server while it runs. `HalfOpen`: on the connections there are nothing is read and answered any more, pings neither.
 * `Expire`: the session's longest life is over. `Babble`: a message that is none of the protocol.
 * `Hold`: items are committed and do not complete; `Release` completes them in this order. `Fail`: the next item is given up. `Lose`: it never
 * ends.
 */
export type Control =
  | { readonly _tag: "Behave"; readonly as: Behaviour }
  | { readonly _tag: "Kill"; readonly how: "crash" | "close" }
  | { readonly _tag: "HalfOpen" }
  | { readonly _tag: "Expire" }
  | { readonly _tag: "Babble"; readonly message: string | Uint8Array }
  | { readonly _tag: "Hold" }
  | { readonly _tag: "Release"; readonly order: "spoken" | "reversed" }
  | { readonly _tag: "Fail" }
  | { readonly _tag: "Lose" }

export interface OpenAiSimulatorOptions {
  /** 0, the default, takes any free port. */
  readonly port?: number
  /** The only key that is accepted. */
  readonly key?: string
  /** In which header it comes: Azure has its own. */
  readonly keyHeader?: "authorization" | "api-key"
  /** From a commit to the text of its item, ms. */
  readonly completionMs?: number
  readonly format?: ToneModem.ToneFormat
  readonly punctuation?: boolean
  readonly refuses?: ReadonlyArray<SimulatedTranscription.Refusable>
}

export interface OpenAiCounters {
  readonly opened: number
  readonly active: number
  readonly refused: number
  /** Seconds of audio that came in. */
  readonly audioSeconds: number
  readonly commits: number
  readonly corrupt: number
  readonly gaps: number
}

export interface OpenAiSimulator {
  /** What `LT_OPENAI_URL` takes. */
  readonly url: string
  /** Every word that was recognised, in order. */
  readonly log: () => ReadonlyArray<RecognisedWord>
  readonly counters: () => OpenAiCounters
  /** Codes of all errors that were sent. */
  readonly errors: () => ReadonlyArray<string>
  readonly control: (control: Control) => void
}

/** The key it accepts unless it is given another. Made up. */
export const KEY = "sk-simulated"

/** Starts the server on loopback; sessions and server end with the scope. */
export const make = Effect.fn("OpenAiSimulator.make")(function* (
  options: OpenAiSimulatorOptions = {}
): Effect.fn.Return<OpenAiSimulator, LocalServer.LocalServerError, Scope.Scope> {
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 16 * 1024 * 1024 })
  const heard: Array<RecognisedWord> = []
  const sessions: Array<SimulatedTranscription.SimulatedTranscription> = []
  const held: Array<() => void> = []
  const counters = { opened: 0, active: 0, refused: 0, commits: 0, corrupt: 0, gaps: 0 }
  let behaviour: Behaviour = "serve"
  let isHolding = false
  let failNext = false
  let loseNext = false
  let events = 0

  const sendTo = (socket: WebSocket) => (event: Record<string, unknown>) => {
    if (behaviour === "silent" || socket.readyState !== socket.OPEN) return
    socket.send(JSON.stringify({ event_id: `event_${++events}`, ...event }))
  }

  const completion = (complete: (how: "completed" | "failed") => void) => {
    counters.commits++
    const how = failNext ? "failed" : "completed"
    failNext = false
    if (loseNext) loseNext = false
    else if (isHolding) held.push(() => complete(how))
    else
      fork(
        Effect.andThen(
          Effect.sleep(options.completionMs ?? 20),
          Effect.sync(() => complete(how))
        )
      )
  }

  const serve = (socket: WebSocket) => {
    counters.opened++
    counters.active++
    const send = sendTo(socket)
    const session = SimulatedTranscription.make({
      format: options.format ?? ToneModem.normal,
      punctuation: options.punctuation ?? false,
      refuses: options.refuses ?? [],
      send,
      onWord: (word) => heard.push(word),
      onFault: (fault) => counters[fault === "gap" ? "gaps" : "corrupt"]++,
      onItem: completion
    })
    sessions.push(session)
    socket.on("message", (data, isBinary) => {
      if (isBinary) return socket.close(1003, "binary messages are not supported")
      session.receive(String(data), performance.now())
    })
    socket.on("error", () => {})
    socket.on("close", () => counters.active--)
    send({ type: "session.created", session: { type: "transcription", object: "realtime.transcription_session" } })
  }

  const statusFor = (request: IncomingMessage): string | undefined => {
    const url = URL.parse(request.url ?? "", "ws://127.0.0.1")
    if (url?.pathname !== "/v1/realtime") return "404 Not Found"
    if (url.search !== "?intent=transcription" || request.headers["openai-beta"] !== undefined) return "400 Bad Request"
    const proof = options.keyHeader === "api-key" ? request.headers["api-key"] : request.headers.authorization
    const key = options.key ?? KEY
    if (proof !== (options.keyHeader === "api-key" ? key : `Bearer ${key}`)) return "401 Unauthorized"
    return refusals[behaviour]
  }

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (behaviour === "neverOpen") return
    const refusal = statusFor(request)
    if (refusal === undefined) return sockets.handleUpgrade(request, socket, head, serve)
    counters.refused++
    LocalServer.refuseUpgrade(socket, refusal)
  }

  const control = (change: Control): void => {
    switch (change._tag) {
      case "Behave":
        behaviour = change.as
        return
      case "Hold":
        isHolding = true
        return
      case "Release": {
        isHolding = false
        const waiting = held.splice(0)
        for (const complete of change.order === "reversed" ? waiting.reverse() : waiting) complete()
        return
      }
      case "Fail":
        failNext = true
        return
      case "Lose":
        loseNext = true
        return
      case "Babble":
        for (const socket of sockets.clients) socket.send(change.message)
        return
      case "Kill":
        for (const socket of sockets.clients) change.how === "crash" ? socket.terminate() : socket.close(1000)
        return
      case "HalfOpen":
        for (const socket of sockets.clients) socket.pause()
        return
      case "Expire":
        for (const socket of sockets.clients) expire(socket)
    }
  }

  const expire = (socket: WebSocket) => {
    const error = { type: "invalid_request_error", code: "session_expired", message: "Your session hit the maximum." }
    sendTo(socket)({ type: "error", error })
    socket.close(1001)
  }

  const port = yield* LocalServer.listen(options.port ?? 0, {
    onRequest: (_request, response) => LocalServer.respond(response, 404, {}),
    onUpgrade
  })
  return {
    url: `ws://127.0.0.1:${port}/v1/realtime`,
    log: () => heard,
    counters: () => ({ ...counters, audioSeconds: sessions.reduce((sum, session) => sum + session.seconds(), 0) }),
    errors: () => sessions.flatMap((session) => session.errors),
    control
  }
})

const refusals: Partial<Record<Behaviour, string>> = {
  refuse: "401 Unauthorized",
  forbid: "403 Forbidden",
  missing: "404 Not Found",
  busy: "429 Too Many Requests"
}
