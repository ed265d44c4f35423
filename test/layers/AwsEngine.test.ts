import { LanguageCode } from "@aws-sdk/client-transcribe-streaming"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Metric, type Scope, Stream } from "effect"
import { speak } from "../../src/conformance/index.ts"
import { listen } from "../../src/conformance/Listener.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import type { SpeechEvent } from "../../src/domain/Speech.ts"
import * as AwsEngine from "../../src/layers/AwsEngine.ts"
import * as AwsLanguages from "../../src/layers/AwsLanguages.ts"
import * as AwsSimulator from "../../src/layers/AwsSimulator.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import type { EngineSession, SpeechEngine } from "../../src/services/SpeechEngine.ts"

interface Service {
  readonly server: AwsSimulator.AwsSimulator
  readonly engine: (
    options?: Partial<AwsEngine.Options>
  ) => Effect.Effect<SpeechEngine["Service"], unknown, Scope.Scope>
  readonly open: (
    options?: Partial<AwsEngine.Options> & { readonly speaks?: string }
  ) => Effect.Effect<EngineSession, unknown, Scope.Scope>
}

const service = (
  name: string,
  body: (it: Service) => Effect.Effect<void, unknown, Scope.Scope>,
  options: AwsSimulator.AwsSimulatorOptions = {}
) =>
  it.live(name, () =>
    Effect.gen(function* () {
      const server = yield* AwsSimulator.make(options)
      const engine: Service["engine"] = (given) =>
        AwsEngine.make({ region: "us-east-1", endpoint: server.url, credentials: server.account, ...given })
      yield* body({
        server,
        engine,
        open: ({ speaks = "en", ...given } = {}) =>
          Effect.flatMap(engine(given), (made) => made.open({ language: LanguageId.make(speaks) }))
      })
    }).pipe(Effect.scoped, Effect.provideService(Metric.MetricRegistry, new Map()))
  )

const say = Effect.fnUntraced(function* (session: EngineSession, words: ReadonlyArray<number>) {
  for (const frame of speak(words, { position: 24_000, sampleRate: 16_000 }).frames) {
    session.send(frame)
    yield* Effect.sleep("80 millis")
  }
})

const texts = (events: ReadonlyArray<SpeechEvent>, tag: "Replaced" | "Completed") =>
  events.flatMap((event) => (event._tag === tag ? [event.text ?? ""] : []))

describe.concurrent("AwsEngine", () => {
  it("lists the languages that its SDK knows, each with a name", () => {
    assert.sameMembers([...AwsLanguages.codes], Object.values(LanguageCode))
    assert.strictEqual(AwsLanguages.languages["en-AB"]?.name, "English (Scotland)")
    assert.deepInclude(AwsLanguages.languages["ar-SA"]?.metadata, { rtl: true })
    assert.deepInclude(AwsLanguages.languages["ja-JP"]?.metadata, { separator: "" })
  })

  service(
    "what is not stable yet may change, what is stable does not",
    ({ open, server }) =>
      Effect.gen(function* () {
        const session = yield* open()
        const events: Array<SpeechEvent> = []
        const { stream, words } = yield* recorded(session, events)
        yield* say(session, [5, 600, 1200])
        yield* session.flush
        yield* stream
        const partials = events.flatMap((event) => (event._tag === "Replaced" ? [event] : []))
        const final = texts(events, "Completed")[0] ?? ""
        assert.strictEqual(final, `${[5, 600, 1200].map(wordText).join(" ")}.`)
        assert.isTrue(
          partials.some(({ text }) => !final.startsWith(text)),
          "nothing was ever misheard"
        )
        assert.isTrue(
          partials.some(({ stableLength }) => stableLength > 0),
          "nothing was ever stable"
        )
        for (const { stableLength, text } of partials) assert.isTrue(final.startsWith(text.slice(0, stableLength)))
        assert.strictEqual(words().join(" "), final.slice(0, -1))
        assert.deepStrictEqual(server.told(), [final])
        assert.deepStrictEqual(server.counters().offences, [])
      }),
    { punctuation: true }
  )

  for (const [configured, speaks, asked] of [
    [undefined, "en", { languages: ["en-US"], identifies: "Nothing", preferred: undefined }],
    [undefined, "pt", { languages: ["pt-BR"], identifies: "Nothing", preferred: undefined }],
    [undefined, "de-CH", { languages: ["de-CH"], identifies: "Nothing", preferred: undefined }],
    [undefined, "tlh", { languages: ["en-US"], identifies: "Nothing", preferred: undefined }],
    ["fr", "en", { languages: ["fr-FR"], identifies: "Nothing", preferred: undefined }],
    ["en-GB", "en", { languages: ["en-GB"], identifies: "Nothing", preferred: undefined }],
    ["en-GB, de-DE", "en", { languages: ["en-GB", "de-DE"], identifies: "OneLanguage", preferred: "en-GB" }],
    [
      "en-US,de-DE,fr-FR",
      "it",
      { languages: ["en-US", "de-DE", "fr-FR"], identifies: "EveryLanguage", preferred: undefined }
    ]
  ] as const)
    service(`a voice in ${speaks} where ${configured ?? "nothing"} is configured`, ({ open, server }) =>
      Effect.gen(function* () {
        yield* open({ speaks, ...(configured === undefined ? {} : { language: configured }) })
        assert.deepInclude(server.requests()[0], { ...asked, rate: 16_000, stabilises: true, vocabularies: [] })
      })
    )

  for (const configured of ["en-US,en-GB", "klingon", "en-US,xx-YY"])
    service(`${configured} cannot be configured`, ({ engine }) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(engine({ language: configured }))
        assert.match(String(error), /^ConfigurationError: TRANSCRIBE_LANGUAGE_CODE must/)
      })
    )

  service(
    "a vocabulary is asked for, also where languages are told apart",
    ({ open, server }) =>
      Effect.gen(function* () {
        yield* open({ vocabulary: "products" })
        yield* open({ vocabulary: "products", language: "en-US,de-DE" })
        assert.deepStrictEqual(
          server.requests().map(({ vocabularies }) => vocabularies),
          [["products"], ["products"]]
        )
        const error = yield* Effect.flip(open({ vocabulary: "others" }))
        assert.deepInclude(error, { _tag: "EngineError", reason: "Refused", retryable: false })
      }),
    { vocabularies: ["products"] }
  )

  for (const [status, exception, reason] of [
    [403, "AccessDeniedException", "Refused"],
    [403, "UnrecognizedClientException", "Refused"],
    [403, "InvalidSignatureException", "Refused"],
    [403, "ExpiredTokenException", "Refused"],
    [403, "SomethingNew", "Refused"],
    [400, "BadRequestException", "Refused"],
    [404, "ResourceNotFoundException", "Refused"],
    [429, "LimitExceededException", "Busy"],
    [429, "ThrottlingException", "Busy"],
    [503, "ServiceUnavailableException", "Busy"],
    [500, "InternalFailureException", "Unreachable"],
    [409, "ConflictException", "Closed"]
  ] as const)
    service(`${exception} in place of a stream is ${reason}`, ({ open, server }) =>
      Effect.gen(function* () {
        server.behave({ status, exception })
        const error = yield* Effect.flip(open())
        assert.deepInclude(error, { _tag: "EngineError", reason, retryable: reason !== "Refused" })
        assert.notInclude(String(error), "as scripted")
      })
    )

  service("credentials of nobody, and of somebody else, are refused", ({ open, server }) =>
    Effect.gen(function* () {
      for (const credentials of [
        { ...server.account, accessKeyId: "AKIDNOBODY" },
        { ...server.account, secretAccessKey: "another/secret" }
      ]) {
        const error = yield* Effect.flip(open({ credentials }))
        assert.deepInclude(error, { reason: "Refused" })
        assert.notInclude(String(error), credentials.accessKeyId)
        assert.notInclude(String(error), credentials.secretAccessKey)
      }
    })
  )

  for (const [exception, message, hasSpoken, reason] of [
    [
      "BadRequestException",
      "Your request timed out because no new audio was received for 15 seconds.",
      false,
      "Closed"
    ],
    ["BadRequestException", "The vocabulary that you specified doesn't exist.", false, "Refused"],
    ["BadRequestException", "We could not decode the audio stream that you provided.", true, "Protocol"],
    ["LimitExceededException", "Your stream is too big.", true, "LimitReached"],
    ["LimitExceededException", "You have reached your account limit.", false, "Busy"],
    ["InternalFailureException", "", true, "Closed"],
    ["ServiceUnavailableException", "", true, "Busy"],
    ["ConflictException", "", true, "Closed"],
    ["SomethingNewException", "", true, "Closed"]
  ] as const)
    service(`${exception} ${hasSpoken ? "after" : "before"} any words is ${reason}: ${message}`, ({ open, server }) =>
      Effect.gen(function* () {
        const session = yield* open()
        const heard = yield* listen(session)
        if (hasSpoken) yield* say(session, [1, 2, 3])
        const flushing = yield* Effect.forkScoped(Effect.exit(session.flush))
        server.throw(exception, message)
        assert.strictEqual((yield* heard.end).reason, reason)
        assert.strictEqual(String(heard.ended()).includes("account limit"), false)
        yield* Effect.sleep("20 millis")
        const flush = flushing.pollUnsafe()
        assert.isDefined(flush)
        assert.strictEqual(heard.words().length > 0, hasSpoken)
      })
    )

  service(
    "no audio for the time the service waits ends the stream, and a new one can be opened",
    ({ open }) =>
      Effect.gen(function* () {
        const heard = yield* listen(yield* open())
        assert.deepInclude(yield* heard.end, { reason: "Closed", retryable: true })
        yield* open()
      }),
    { idleMs: 300 }
  )

  service("a stream that ends before we ended it is lost", ({ open, server }) =>
    Effect.gen(function* () {
      const heard = yield* listen(yield* open())
      server.hangUp()
      assert.deepInclude(yield* heard.end, { reason: "Closed", retryable: true })
    })
  )

  service("a wrong checksum ends the session", ({ open, server }) =>
    Effect.gen(function* () {
      const session = yield* open()
      const heard = yield* listen(session)
      server.behave("corrupt")
      yield* say(session, [1, 2])
      assert.deepInclude(yield* heard.end, { reason: "Protocol" })
    })
  )

  service("a service that says nothing completes flushes and proves nothing", ({ open, server }) =>
    Effect.gen(function* () {
      const session = yield* open()
      server.behave("silent")
      yield* listen(session)
      yield* say(session, [1])
      yield* session.flush
      assert.strictEqual(session.mark(), 0)
    })
  )

  service("opening that is given up frees the connection", ({ open, server }) =>
    Effect.gen(function* () {
      server.behave("neverOpen")
      const exit = yield* Effect.exit(Effect.timeout(Effect.scoped(open()), "200 millis"))
      assert.isTrue(Exit.isFailure(exit))
      server.behave("serve")
      yield* open()
    })
  )

  service("the end of a voice ends the stream as it should be, and proves all of it", ({ open, server }) =>
    Effect.gen(function* () {
      const session = yield* open()
      const heard = yield* listen(session)
      const { endsAt, frames } = speak([7, 8, 9], { position: 48_000, sampleRate: 16_000 })
      for (const frame of frames) session.send(frame)
      yield* session.finish ?? Effect.void
      assert.deepStrictEqual(heard.words(), [7, 8, 9].map(wordText))
      assert.strictEqual(session.mark(), endsAt)
      assert.strictEqual(server.counters().finished, 1)
      assert.deepStrictEqual(server.counters().offences, [])
    })
  )

  it.live("nobody at the address is unreachable", () =>
    Effect.gen(function* () {
      const server = yield* Effect.scoped(AwsSimulator.make())
      const engine = yield* AwsEngine.make({ region: "xx", endpoint: server.url, credentials: server.account })
      const error = yield* Effect.flip(engine.open({ language: LanguageId.make("en") }))
      assert.deepInclude(error, { reason: "Unreachable", retryable: true })
    }).pipe(Effect.scoped)
  )

  service("counts sessions, seconds of what is billed, and messages that are not known", ({ open, server }) =>
    Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const session = yield* open()
          yield* listen(session)
          server.babble('{"Transcript":{"Results":[{"ResultId":7}]}}')
          yield* say(session, [1])
          yield* session.finish ?? Effect.void
          assert.strictEqual((yield* Metric.value(Metrics.engineSessionsActive)).value, 1)
        })
      )
      assert.strictEqual((yield* Metric.value(Metrics.engineSessionsActive)).value, 0)
      assert.strictEqual((yield* Metric.value(Metrics.engineSessions)).count, 1)
      const { count } = yield* Metric.value(Metric.withAttributes(Metrics.engineAudioSeconds, { engine: "aws" }))
      assert.closeTo(count, server.counters().audioSeconds, 0.01)
      const unknown = Metric.withAttributes(Metrics.unknownMessages, { source: "aws" })
      assert.strictEqual((yield* Metric.value(unknown)).count, 1)
    })
  )
})

/** Reads events into `events`; `stream` waits until all that came was read. */
const recorded = Effect.fnUntraced(function* (session: EngineSession, events: Array<SpeechEvent>) {
  const heard = yield* listen({
    ...session,
    events: session.events.pipe(
      Stream.tap((event) =>
        Effect.sync(() => {
          events.push(event)
        })
      )
    )
  })
  return { words: heard.words, stream: Effect.andThen(Effect.sleep("50 millis"), heard.faults) }
})
