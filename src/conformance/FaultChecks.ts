/**
 * What becomes of an engine when something goes wrong.
 */
import { Effect, Exit, Fiber, Result, Scope } from "effect"
import { known, LanguageId } from "../domain/Language.ts"
import { EngineError } from "../services/SpeechEngine.ts"
import { type Check, check, ensure, fault, type Harness, type Subject, until, within } from "./Harness.ts"
import { expectWords, languageFor, open } from "./HearingChecks.ts"
import { listen } from "./Listener.ts"
import { say, textsOf, utterances } from "./Speech.ts"

/** What servers, proxies and mistakes have sent to clients that waited for a word. */
const garbage: ReadonlyArray<string | Uint8Array> = [
  "",
  "Bad Gateway",
  "{",
  "null",
  "[]",
  "42",
  '"text"',
  "{}",
  '{"type":null}',
  '{"type":"something.else","text":7}',
  '{"type":"token","text":{"a":1}}',
  '{"type":"Word","text":[],"start_time":"soon"}',
  '{"text":7,"result":"no"}',
  '{"partial":{}}',
  '{"type":"transcription","is_final":"perhaps"}',
  `{"type":${"[".repeat(5_000)}${"]".repeat(5_000)}}`,
  `{"type":"unknown","text":"${"x".repeat(100_000)}"}`,
  new Uint8Array(0),
  new Uint8Array(7),
  Uint8Array.from({ length: 4_096 }, (_, index) => (index * 89) & 255)
]

const cancel: Check = check("frees its connection at once when it is closed in mid-speech", (subject, harness) =>
  Effect.gen(function* () {
    const [said] = utterances(subject, 8)
    const frames = said?.frames ?? []
    const scope = yield* Scope.make()
    const { session } = yield* Scope.provide(open(subject), scope)
    yield* say(session, frames.slice(0, frames.length / 2), harness)
    const { connections } = subject
    if (connections !== undefined) yield* ensure(connections() > 0, () => "the server has no connection of ours")
    yield* within("2 seconds", "closing took longer than 2 s")(Scope.close(scope, Exit.void))
    if (connections === undefined) return "DoesNotApply"
    yield* until("2 seconds", "the server still has the connection 2 s later", () => connections() === 0)
    return undefined
  })
)

const reconnect: Check = check("tells that a session broke, and opens another", (subject, harness) =>
  Effect.gen(function* () {
    const { crash } = subject
    if (crash === undefined) return "DoesNotApply"
    const [first, second] = utterances(subject, 4, 4)
    const broken = yield* open(subject)
    yield* say(broken.session, first?.frames.slice(0, 8) ?? [], harness)
    const flushing = yield* Effect.forkScoped(Effect.exit(broken.session.flush), { startImmediately: true })
    crash()
    const error = yield* within("5 seconds", "nothing was said of a broken session within 5 s")(broken.heard.end)
    yield* ensure(error.retryable, () => `a crash is no refusal: ${error.message}`)
    yield* within("6 seconds", "a flush hung when its session broke")(Fiber.await(flushing))
    // whoever has not noticed yet goes on
    yield* say(broken.session, first?.frames.slice(8) ?? [], harness)
    const fresh = yield* open(subject)
    yield* say(fresh.session, second?.frames ?? [], harness)
    yield* fresh.session.flush
    yield* expectWords(fresh.heard, second === undefined ? [] : [second], "in the second session")
    return undefined
  })
)

/** A server that answers pings is missed after 2 s, one that may take its time over them after 5 s; test machines are busy. */
const DEATH_LIMIT = "10 seconds"

/** Speech that goes on whatever happens; gives the reason the session ended. */
const untilItEnds = Effect.fnUntraced(function* (subject: Subject, harness: Harness, happens: () => void) {
  const [first, second] = utterances(subject, 4, 30)
  const { heard, session } = yield* open(subject)
  yield* say(session, first?.frames ?? [], harness)
  yield* session.flush
  happens()
  // at the speed at which it is spoken: evidence takes its time
  yield* Effect.forkScoped(say(session, second?.frames ?? [], { ...harness, speed: 1 }))
  return yield* within(DEATH_LIMIT, "nothing was said within 10 s of a session that was dead")(heard.end)
})

const halfOpen: Check = check("notices that nobody is there any more", (subject, harness) =>
  Effect.gen(function* () {
    if (subject.halfOpen === undefined) return "DoesNotApply"
    const error = yield* untilItEnds(subject, harness, subject.halfOpen)
    yield* ensure(error.reason === "Silent", () => `a server that is gone is Silent, not ${error.message}`)
    return undefined
  })
)

const politeEnd: Check = check(
  "takes a polite end that it did not ask for as one that can be tried again",
  (subject, harness) =>
    Effect.gen(function* () {
      if (subject.hangUp === undefined) return "DoesNotApply"
      const error = yield* untilItEnds(subject, harness, subject.hangUp)
      yield* ensure(error.retryable, () => `a session that ended too early is no refusal: ${error.message}`)
      return undefined
    })
)

const slowReader: Check = check("loses nothing for a slow reader, or says that it did", (subject, harness) =>
  Effect.gen(function* () {
    const said = utterances(subject, 20, 20)
    const session = yield* subject.engine.open({ language: languageFor(subject) })
    for (const { frames } of said) {
      yield* say(session, frames, harness)
      yield* Effect.forkScoped(Effect.ignore(session.flush), { startImmediately: true })
    }
    yield* Effect.sleep("2 seconds")
    const heard = yield* listen(session)
    const everything = textsOf(said).join()
    yield* until("6 seconds", "", () => heard.ended() !== undefined || heard.words().join() === everything).pipe(
      Effect.ignore
    )
    if (heard.ended() === undefined) yield* expectWords(heard, said, "read late")
    return undefined
  })
)

const credentials: Check = check("says that it was refused where its credentials are", (subject, harness) =>
  Effect.gen(function* () {
    const { refuse } = subject
    if (refuse === undefined) return "DoesNotApply"
    refuse()
    const [said] = utterances(subject, 3)
    const error = yield* Effect.gen(function* () {
      const { heard, session } = yield* open(subject)
      // some say so only when they are spoken to
      yield* say(session, said?.frames ?? [], harness)
      return yield* heard.end
    }).pipe(
      Effect.catchIf((error) => error instanceof EngineError, Effect.succeed),
      within("10 seconds", "bad credentials were not refused within 10 s")
    )
    yield* ensure(error.reason === "Refused", () => `bad credentials are a refusal, not ${error.message}`)
    yield* ensure(!error.retryable, () => "a refusal is not to be retried")
    const leak = harness.secrets?.find((secret) => error.message.includes(secret))
    yield* ensure(leak === undefined, () => "the error has a secret in it")
    return undefined
  })
)

const garbled: Check = check("survives whatever the server sends", (subject, harness) =>
  Effect.gen(function* () {
    const { babble } = subject
    if (babble === undefined) return "DoesNotApply"
    const said = utterances(subject, 3, 3)
    const [first, second] = said
    for (const message of garbage) {
      const { heard, session } = yield* open(subject)
      babble(message)
      yield* Effect.sleep("20 millis")
      // ignored, or the end of this session with a typed error
      if (heard.ended() === undefined) session.send(first?.frames[0] ?? emptyFrame)
      if (heard.ended() !== undefined) yield* heard.end
    }
    const { heard, session } = yield* open(subject)
    yield* say(session, first?.frames ?? [], harness)
    for (const message of garbage) babble(message)
    yield* say(session, second?.frames ?? [], harness)
    const outcome = yield* Effect.result(session.flush)
    if (Result.isFailure(outcome) || heard.ended() !== undefined) {
      yield* within("5 seconds", "a flush failed, but the events did not end")(heard.end)
      return undefined
    }
    yield* expectWords(heard, said, "with garbage between them")
    return undefined
  })
)

const emptyFrame = { position: 0, pcm: new Float32Array(0), heardAtMs: 0, endsSpeech: false }

const languages: Check = check(
  "opens a session in every kind of language it lists, and no other crashes it",
  (subject) =>
    Effect.gen(function* () {
      const { engine } = subject
      const { capabilities } = engine
      const ids = Object.keys(capabilities.languages)
      yield* ensure(ids.length > 0, () => "it knows no language")
      for (const id of [ids[0], ids.at(-1)]) {
        const language = id === undefined ? undefined : known(capabilities.languages, id)
        yield* ensure(language !== undefined, () => `"${id}" cannot be asked for`)
        if (language !== undefined) yield* Effect.scoped(engine.open({ language }))
      }
      const outcome = yield* Effect.result(Effect.scoped(engine.open({ language: LanguageId.make("tlh") })))
      if (Result.isSuccess(outcome)) return undefined
      const { failure } = outcome
      if (!(failure instanceof EngineError)) return yield* fault(`a strange error: ${String(failure)}`)
      yield* ensure(failure.reason === "Refused", () => `an unknown language is a refusal, not ${failure.message}`)
      return undefined
    })
)

export const faultChecks: ReadonlyArray<Check> = [
  cancel,
  reconnect,
  halfOpen,
  politeEnd,
  slowReader,
  credentials,
  garbled,
  languages
]
