/**
 * Amazon Transcribe, simulated: a real HTTP/2 server (without TLS) with its event streams, which understands synthetic speech (`ToneModem`).
 *
 * It is stricter than the real one: every signature is checked; it answers only when the first audio is there; audio must be whole samples in
 * pieces of 50–200 ms at real time. What breaks a rule is an offence, and ends the stream with `BadRequestException`.
 */
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2"
import { createServer } from "node:http2"
import { Effect, FiberSet, type Scope } from "effect"
import * as AwsEventStream from "./AwsEventStream.ts"
import * as AwsSignatures from "./AwsSignatures.ts"
import * as LocalServer from "./LocalServer.ts"
import * as Pcm16 from "./Pcm16.ts"
import * as SimulatedTranscribe from "./SimulatedTranscribe.ts"
import * as ToneModem from "./ToneModem.ts"
import * as TranscribeRequest from "./TranscribeRequest.ts"

/**
 * How the server treats streams that are opened: serves them, never answers, says nothing, sends what has wrong checksums, or answers with an
 * exception.
 */
export type Behaviour =
  | "serve"
  | "neverOpen"
  | "silent"
  | "corrupt"
  | { readonly status: number; readonly exception: string }

export interface AwsSimulatorOptions {
  /** 0, the default, takes any free port. */
  readonly port?: number
  readonly account?: AwsSignatures.Account
  /** Vocabularies there are. */
  readonly vocabularies?: ReadonlyArray<string>
  /** Absent: 15 s, 4 h and 25 as the real one. */
  readonly idleMs?: number
  readonly maxSessionMs?: number
  readonly maxSessions?: number
  readonly format?: ToneModem.ToneFormat
  readonly punctuation?: boolean
}

export interface AwsSimulator {
  /** What `LT_AWS_ENDPOINT` takes. */
  readonly url: string
  readonly account: AwsSignatures.Account
  /** What each stream was opened with, in order. */
  readonly requests: () => ReadonlyArray<TranscribeRequest.TranscribeRequest>
  /** Finals, in the order in which they were told. */
  readonly told: () => ReadonlyArray<string>
  readonly counters: () => AwsCounters
  readonly behave: (as: Behaviour) => void
  /** Ends all streams with this exception, as the service does in mid-stream. */
  readonly throw: (exception: string, message: string) => void
  /** Sends a message of the type `TranscriptEvent` with this body to all streams. */
  readonly babble: (body: string | Uint8Array) => void
  /** Ends all streams politely, as if there were nothing more to say. */
  readonly hangUp: () => void
  /** Cuts all connections. */
  readonly kill: () => void
}

export interface AwsCounters {
  /** Of HTTP/2, each with one stream. */
  readonly connections: number
  readonly opened: number
  readonly active: number
  readonly refused: number
  readonly audioSeconds: number
  /** Streams whose input was ended as it should be. */
  readonly finished: number
  readonly corrupt: number
  readonly gaps: number
  /** Rules that were broken by those who connected. */
  readonly offences: ReadonlyArray<string>
}

/** The account it knows. Made up. */
export const ACCOUNT: AwsSignatures.Account = {
  accessKeyId: "AKIDSIMULATED",
  secretAccessKey: "simulated/secret/of/nobody"
}
const PATH = "/stream-transcription"
const CONTENT_TYPE = "application/vnd.amazon.eventstream"
/** Piece of audio in ms; a resampler gives the first and the last of a stretch a few samples more or less. */
const SHORTEST_MS = 50
const LONGEST_MS = 200
/** Audio may be so far ahead of the clock. */
const AHEAD_MS = 1_500

/** Starts the server on loopback; streams and server end with the scope. */
export const make = Effect.fn("AwsSimulator.make")(function* (
  options: AwsSimulatorOptions = {}
): Effect.fn.Return<AwsSimulator, LocalServer.LocalServerError, Scope.Scope> {
  const { account = ACCOUNT, idleMs = 15_000, maxSessionMs = 4 * 3_600_000, maxSessions = 25 } = options
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const server = createServer()
  const connections = new Set<ServerHttp2Session>()
  const streams = new Map<ServerHttp2Stream, { readonly sessionId: string | undefined }>()
  const requests: Array<TranscribeRequest.TranscribeRequest> = []
  const told: Array<string> = []
  const offences: Array<string> = []
  const counters = { opened: 0, active: 0, refused: 0, audioSeconds: 0, finished: 0, corrupt: 0, gaps: 0 }
  let behaviour: Behaviour = "serve"

  const serve = (
    stream: ServerHttp2Stream,
    request: TranscribeRequest.TranscribeRequest,
    signatures: AwsSignatures.EventSignatures
  ): void => {
    const split = AwsEventStream.splitter()
    const startedMs = performance.now()
    let heardAtMs = startedMs
    let playedMs = startedMs
    let isEnded = false

    const tell = (results: ReadonlyArray<SimulatedTranscribe.SimulatedResult>): void => {
      if (behaviour === "silent" || !stream.writable) return
      for (const { Alternatives, IsPartial } of results) if (!IsPartial) told.push(Alternatives[0]?.Transcript ?? "")
      const message = transcriptEvent(JSON.stringify({ Transcript: { Results: results } }))
      if (behaviour === "corrupt") message.writeUInt8((message.at(-1) ?? 0) ^ 1, message.length - 1)
      stream.write(message)
    }
    const ears = SimulatedTranscribe.make({
      rate: request.rate,
      format: options.format ?? ToneModem.normal,
      punctuation: options.punctuation ?? false,
      stabilises: request.stabilises,
      languageCode: request.languages.length > 1 ? (request.preferred ?? request.languages[0]) : undefined,
      onResults: tell,
      onFault: (fault) => {
        counters[fault === "gap" ? "gaps" : "corrupt"]++
      }
    })
    const offend = (offence: string): void => {
      offences.push(offence)
      except(stream, "BadRequestException", offence)
    }

    const hear = (audio: Buffer) => {
      const ms = (audio.length * 500) / request.rate
      const nowMs = performance.now()
      heardAtMs = nowMs
      playedMs = Math.max(playedMs, nowMs) + ms
      if (audio.length % 2 !== 0) return offend("half a sample")
      if (ms < SHORTEST_MS || ms > LONGEST_MS) return offend(`a piece of ${ms} ms`)
      if (playedMs - nowMs > AHEAD_MS) return offend("audio faster than real time")
      counters.audioSeconds += ms / 1000
      if (!stream.headersSent) stream.respond({ ":status": 200, "content-type": CONTENT_TYPE })
      ears.push(Pcm16.decode(audio))
    }

    const take = (bytes: Buffer) => {
      const { body, headers } = AwsEventStream.decode(bytes)
      const { ":chunk-signature": signature, ":date": date } = headers
      const isSigned =
        date instanceof Date && signature instanceof Uint8Array && signatures.accept({ date, signature, body })
      if (!isSigned) return offend("an event that is not signed, or not with this account")
      if (body.length === 0) {
        isEnded = true
        counters.finished++
        ears.end()
        stream.end()
        return
      }
      const event = AwsEventStream.decode(Buffer.from(body))
      if (event.headers[":event-type"] !== "AudioEvent") return offend("an event that is no AudioEvent")
      hear(Buffer.from(event.body))
    }

    stream.on("data", (bytes: Buffer) => {
      try {
        for (const message of split(bytes)) if (!isEnded && stream.writable) take(message)
      } catch (fault) {
        offend(`no event stream: ${String(fault)}`)
      }
    })
    const watch = Effect.gen(function* () {
      for (;;) {
        const idleInMs = heardAtMs + idleMs - performance.now()
        const endInMs = startedMs + maxSessionMs - performance.now()
        if (idleInMs <= 0) return except(stream, "BadRequestException", IDLE)
        if (endInMs <= 0) return except(stream, "LimitExceededException", "Your stream is too long.")
        yield* Effect.sleep(Math.max(1, Math.min(idleInMs, endInMs)))
      }
    })
    const watching = fork(watch)
    stream.on("close", () => watching.interruptUnsafe())
  }

  const onStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on("error", () => {})
    if (behaviour === "neverOpen") return
    const refuse = (status: number, exception: string, message: string): void => {
      counters.refused++
      stream.respond({ ":status": status, "content-type": "application/json", "x-amzn-errortype": exception })
      stream.end(JSON.stringify({ Message: message }))
    }
    if (headers[":path"] !== PATH || headers[":method"] !== "POST") return refuse(404, "UnknownOperationException", "")
    if (typeof behaviour === "object") return refuse(behaviour.status, behaviour.exception, "as scripted")
    const admission = AwsSignatures.admit(headers, PATH, account)
    if ("exception" in admission) return refuse(403, admission.exception, "The request is not signed by this account.")
    const request = TranscribeRequest.read(headers, options.vocabularies ?? [])
    if (typeof request === "string") {
      offences.push(request)
      return refuse(400, "BadRequestException", request)
    }
    if (streams.size >= maxSessions) return refuse(429, "LimitExceededException", "Too many streams.")
    const twin = [...streams].find(([, { sessionId }]) => sessionId !== undefined && sessionId === request.sessionId)
    if (twin !== undefined) except(twin[0], "ConflictException", "A new stream has this session id.")
    requests.push(request)
    counters.opened++
    counters.active++
    streams.set(stream, { sessionId: request.sessionId })
    stream.on("close", () => {
      counters.active--
      streams.delete(stream)
    })
    serve(stream, request, admission.events)
  }

  server.on("stream", onStream)
  server.on("session", (session) => {
    connections.add(session)
    session.on("error", () => {})
    session.on("close", () => connections.delete(session))
  })
  const kill = (): void => {
    for (const session of connections) session.destroy()
  }
  const port = yield* LocalServer.bind(server, options.port ?? 0, kill)
  return {
    url: `http://127.0.0.1:${port}`,
    account,
    requests: () => requests,
    told: () => told,
    counters: () => ({ ...counters, connections: connections.size, offences }),
    behave: (as) => {
      behaviour = as
    },
    throw: (exception, message) => {
      for (const stream of streams.keys()) except(stream, exception, message)
    },
    babble: (body) => {
      for (const stream of streams.keys())
        if (stream.headersSent && stream.writable) stream.write(transcriptEvent(body))
    },
    hangUp: () => {
      for (const stream of streams.keys()) stream.end()
    },
    kill
  }
})

const IDLE = "Your request timed out because no new audio was received for 15 seconds."

const transcriptEvent = (body: string | Uint8Array): Buffer =>
  AwsEventStream.encode({
    headers: { ":message-type": "event", ":event-type": "TranscriptEvent", ":content-type": "application/json" },
    body: Buffer.from(body)
  })

/** The stream ends with an exception; before it was answered that is an HTTP status. */
const except = (stream: ServerHttp2Stream, exception: string, message: string): void => {
  if (!stream.writable) return
  if (!stream.headersSent) stream.respond({ ":status": 200, "content-type": CONTENT_TYPE })
  const headers = { ":message-type": "exception", ":exception-type": exception, ":content-type": "application/json" }
  stream.end(AwsEventStream.encode({ headers, body: Buffer.from(JSON.stringify({ Message: message })) }))
}
