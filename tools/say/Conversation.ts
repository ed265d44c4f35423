/**
 * One conversation with a service: connects, says everything, waits for the last words.
 */
import { Deferred, Effect, Redacted, Schema, type Scope, Stream } from "effect"
import { WebSocket } from "ws"
import * as PolyphaseResampler from "../../src/layers/PolyphaseResampler.ts"
import type { SampleRate } from "../../src/services/Resampler.ts"
import type { Fields, Speech, Told } from "./Clients.ts"
import type { SayOptions } from "./Options.ts"
import { SayError } from "./SayError.ts"
import type { Screen } from "./Screen.ts"
import * as Sound from "./Sound.ts"

/** A service that sleeps may need a minute and more to wake up. */
const openWithin = "3 minutes"
/** How long after the last sound the last words may take. */
const endWithin = "30 seconds"
/** More than that waiting in the socket: the service is slower than the sound. */
const maxWaitingBytes = 256 * 1024
const lookAgain = "20 millis"
/** Hears the end of an utterance in every service. */
const tailMs = 2000

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))
const failure = (detail: string) => new SayError({ reason: "Service", detail })

/** Says it. Fails when the service refuses, breaks off or falls silent. */
export const hold = Effect.fnUntraced(function* (
  options: SayOptions,
  screen: Screen
): Effect.fn.Return<void, SayError, Scope.Scope> {
  const { client, isFast, sound } = options
  const opened = yield* Sound.open(sound)
  const frames = isFast ? opened : Sound.paced(opened)
  const ready = yield* Deferred.make<void>()
  const ended = yield* Deferred.make<void, SayError>()
  const speech = client.speak(options)
  const ears = listen(screen, speech, { ready, ended, endsByItself: client.settlesMs === undefined })
  const socket = yield* connect(options, ears)
  const tail = client.settlesMs === undefined ? Stream.empty : Sound.silence(tailMs)
  const resampler = PolyphaseResampler.make(24_000, client.sampleRate satisfies SampleRate)

  const saying = Effect.gen(function* () {
    for (const message of speech.begin) socket.send(message)
    if (client.waitsForReady) yield* Deferred.await(ready)
    yield* Stream.concat(frames, tail).pipe(
      Stream.runForEach((frame) => send(socket, speech.audio(resampler.process(frame))))
    )
    yield* send(socket, speech.audio(resampler.flush()))
    for (const message of speech.finish) socket.send(message)
    if (client.settlesMs !== undefined) yield* ears.quietFor(client.settlesMs)
    else
      yield* Effect.timeoutOrElse(Deferred.await(ended), {
        duration: endWithin,
        orElse: () => failure("the last words did not come in time")
      })
  })
  yield* Effect.raceFirst(saying, Effect.andThen(Deferred.await(ended), Effect.void))
})

interface Ears {
  readonly onMessage: (data: unknown) => void
  readonly onClose: (code: number, reason: string) => void
  readonly quietFor: (ms: number) => Effect.Effect<void>
}

interface Signals {
  readonly ready: Deferred.Deferred<void>
  readonly ended: Deferred.Deferred<void, SayError>
  readonly endsByItself: boolean
}

const listen = (screen: Screen, speech: Speech, { ended, endsByItself, ready }: Signals): Ears => {
  let open = ""
  let heardAtMs = performance.now()
  const take = (told: Told) => {
    switch (told._tag) {
      case "Ready":
        return Deferred.doneUnsafe(ready, Effect.void)
      case "Note":
        return screen.note(told.text)
      case "Failed":
        return Deferred.doneUnsafe(ended, Effect.fail(failure(`the service says: ${told.detail}`)))
      case "Done":
        return Deferred.doneUnsafe(ended, Effect.void)
    }
    heardAtMs = performance.now()
    if (told._tag === "Final") {
      open = ""
      return screen.final(told.text)
    }
    open = told._tag === "Partial" ? told.text : open + told.text
    return screen.partial(open.trim())
  }
  const fieldsOf = (data: unknown): Fields => {
    const read = decode(String(data))
    return read._tag === "Some" ? read.value : {}
  }
  return {
    onMessage: (data) => {
      for (const told of speech.read(fieldsOf(data))) take(told)
    },
    onClose: (code, reason) => {
      // Words that no final came for are words all the same.
      if (open.trim() !== "") screen.final(open.trim())
      const isEnd = endsByItself && code === 1000
      const why = reason === "" ? String(code) : `${code}, ${reason}`
      Deferred.doneUnsafe(ended, isEnd ? Effect.void : Effect.fail(failure(`the service has hung up (${why})`)))
    },
    quietFor: (ms) =>
      Effect.suspend(() => Effect.sleep(Math.max(1, heardAtMs + ms - performance.now()))).pipe(
        Effect.repeat({ until: () => performance.now() - heardAtMs >= ms }),
        Effect.asVoid
      )
  }
}

const connect = ({ client, language, token, url }: SayOptions, { onClose, onMessage }: Ears) =>
  Effect.acquireRelease(
    Effect.callback<WebSocket, SayError>((resume) => {
      const address = new URL(url)
      const secret = token === undefined ? undefined : Redacted.value(token)
      if (secret !== undefined && client.tokenIn === "Query") address.searchParams.set("token", secret)
      if (language !== undefined && client.languageInQuery) address.searchParams.set("language", language)
      const headers = secret !== undefined && client.tokenIn === "Header" ? { authorization: `Bearer ${secret}` } : {}
      const socket = new WebSocket(address, { headers, perMessageDeflate: false })
      const where = `${url.protocol}//${url.host}${url.pathname}`
      socket.on("open", () => resume(Effect.succeed(socket)))
      // Behind the opening the close tells the same.
      socket.on("error", (error) => resume(Effect.fail(failure(`${where}: ${reasonOf(error)}`))))
      socket.on("message", onMessage)
      socket.on("close", (code, reason) => onClose(code, reason.toString("utf8")))
      return Effect.sync(() => socket.terminate())
    }).pipe(Effect.timeoutOrElse({ duration: openWithin, orElse: () => failure("the service does not answer") })),
    (socket) => Effect.sync(() => socket.close(1000))
  )

/** Attempts at several addresses fail as one error without a text. */
const reasonOf = (error: Error): string =>
  error instanceof AggregateError
    ? error.errors.map((one) => (one instanceof Error ? one.message : "")).join(", ")
    : error.message

const send = (socket: WebSocket, message: string | Uint8Array): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (socket.readyState !== WebSocket.OPEN) return Effect.never
    if (message.length > 0) socket.send(message)
    return socket.bufferedAmount < maxWaitingBytes
      ? Effect.void
      : Effect.asVoid(Effect.repeat(Effect.sleep(lookAgain), { while: () => socket.bufferedAmount >= maxWaitingBytes }))
  })
