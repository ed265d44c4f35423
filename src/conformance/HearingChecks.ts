/**
 * What an engine makes of speech: words, finals, marks, times.
 */
import { Effect, Fiber } from "effect"
import { defaultLanguage, known, type LanguageId } from "../domain/Language.ts"
import { type Check, check, ensure, type Subject, within } from "./Harness.ts"
import { type Listener, listen } from "./Listener.ts"
import { msAt, say, textsOf, type Utterance, utterances } from "./Speech.ts"

/** The Transcriber does not wait longer for a flush. */
const FLUSH_LIMIT = "5 seconds"

/** A language of the engine, English if it knows it. */
export const languageFor = ({ engine }: Subject): LanguageId => {
  const { languages } = engine.capabilities
  return known(languages, "en") ?? known(languages, Object.keys(languages)[0]) ?? defaultLanguage
}

/** A session and its listener. */
export const open = Effect.fnUntraced(function* (subject: Subject) {
  const session = yield* subject.engine.open({ language: languageFor(subject) })
  return { session, heard: yield* listen(session) }
})

/** Fails unless exactly these words were heard by now, in this order. */
export const expectWords = (heard: Listener, said: ReadonlyArray<Utterance>, when: string) =>
  // as the Transcriber: the reader gets its turn, and no more time than that
  Effect.yieldNow.pipe(
    Effect.andThen(heard.faults),
    Effect.andThen(
      Effect.suspend(() =>
        ensure(
          heard.words().join() === textsOf(said).join(),
          () => `${when}: said "${textsOf(said).join(" ")}", read "${heard.words().join(" ")}"`
        )
      )
    )
  )

/** A flush that completes in time. */
export const flushed = within(FLUSH_LIMIT, "a flush must complete within 5 s")

const order: Check = check("gives words in speaking order, each once", (subject, harness) =>
  Effect.gen(function* () {
    const said = utterances(subject, 4, 3, 5)
    const { heard, session } = yield* open(subject)
    for (const { frames, index } of said) {
      yield* say(session, frames, harness)
      yield* flushed(session.flush)
      yield* expectWords(heard, said.slice(0, index + 1), `after utterance ${index + 1}`)
    }
    yield* Effect.sleep("500 millis")
    yield* expectWords(heard, said, "half a second later")
    return undefined
  })
)

const finals: Check = check("ends each utterance once, with the whole of its text", (subject, harness) =>
  Effect.gen(function* () {
    const said = utterances(subject, 3, 3)
    const { heard, session } = yield* open(subject)
    for (const { frames } of said) {
      yield* say(session, frames, harness)
      yield* session.commit
      yield* flushed(session.flush)
    }
    yield* expectWords(heard, said, "in the finals")
    const items = heard.completed().map(({ item }) => item)
    yield* ensure(new Set(items).size === items.length, () => "an utterance was completed twice")
    // without utterances there is nothing to complete
    if (subject.engine.capabilities.endOfTurn === "none") return undefined
    yield* ensure(items.length >= said.length, () => `${said.length} utterances, ${items.length} completed`)
    return undefined
  })
)

const flush: Check = check(
  "has said all it was sent when a flush completes, and marks no more than that",
  (subject, harness) =>
    Effect.gen(function* () {
      const said = utterances(subject, 4, 4)
      const { heard, session } = yield* open(subject)
      let mark = session.mark()
      let sentTo = 0
      const inspect = Effect.suspend(() => {
        const before = mark
        mark = session.mark()
        const proven = said.flatMap(({ words }) => words.filter(({ endMs }) => endMs <= msAt(mark)))
        return ensure(mark >= before, () => `the mark went back from ${before} to ${mark}`).pipe(
          Effect.andThen(ensure(mark <= sentTo, () => `the mark (${mark}) is ahead of what was sent (${sentTo})`)),
          Effect.andThen(
            ensure(
              proven.every(({ text }) => heard.words().includes(text)),
              () => `the mark (${mark}) is ahead of the words: "${heard.words().join(" ")}"`
            )
          )
        )
      })
      for (const { endsAt, frames, index, words } of said) {
        for (const frame of frames) {
          sentTo = frame.position + (endsAt - (frames.at(-1)?.position ?? 0))
          yield* say(session, [frame], harness)
          yield* inspect
        }
        yield* flushed(session.flush)
        yield* expectWords(heard, said.slice(0, index + 1), "when the flush completed")
        yield* inspect
        const lastWordMs = words.at(-1)?.startMs ?? 0
        yield* ensure(
          msAt(mark) >= lastWordMs,
          () => `flushed, but the mark is still at ${msAt(mark)} of ${lastWordMs} ms`
        )
      }
      return undefined
    })
)

const flushes: Check = check("completes every flush, also of speech that goes on and of nothing", (subject, harness) =>
  Effect.gen(function* () {
    const said = utterances(subject, 3, 3)
    const { heard, session } = yield* open(subject)
    yield* flushed(session.flush)
    const [first, second] = said
    yield* say(session, first?.frames ?? [], harness)
    const asked = yield* Effect.forkScoped(flushed(session.flush), { startImmediately: true })
    yield* say(session, second?.frames ?? [], harness)
    yield* flushed(session.flush)
    yield* Fiber.join(asked)
    yield* flushed(session.flush)
    yield* expectWords(heard, said, "after overlapping flushes")
    return undefined
  })
)

const finish: Check = check("gives its last words when it is told to finish", (subject, harness) =>
  Effect.gen(function* () {
    const said = utterances(subject, 4)
    const { heard, session } = yield* open(subject)
    if (session.finish === undefined) return "DoesNotApply"
    for (const { frames } of said) yield* say(session, frames, harness)
    yield* flushed(session.finish)
    yield* expectWords(heard, said, "when it had finished")
    const reason = heard.ended()?.reason ?? "Closed"
    yield* ensure(reason === "Closed", () => `a finished session may only end as Closed, not as ${reason}`)
    return undefined
  })
)

const times: Check = check("places its words where they were spoken", (subject, harness) =>
  Effect.gen(function* () {
    if (!subject.engine.capabilities.wordTimes) return "DoesNotApply"
    const said = utterances(subject, 3, 3)
    const { heard, session } = yield* open(subject)
    for (const { frames } of said) {
      yield* say(session, frames, harness)
      yield* flushed(session.flush)
    }
    yield* expectWords(heard, said, "with times")
    const timed = heard.timed()
    for (const { endMs, startMs, text } of said.flatMap(({ words }) => words)) {
      const word = timed.find((one) => one.text.toLowerCase().startsWith(text))
      yield* ensure(
        word?.startMs !== undefined && Math.abs(word.startMs - startMs) <= 400 && (word.endMs ?? endMs) <= endMs + 400,
        () => `"${text}" was spoken from ${startMs} to ${endMs} ms, placed from ${word?.startMs} to ${word?.endMs}`
      )
    }
    return undefined
  })
)

export const hearingChecks: ReadonlyArray<Check> = [order, finals, flush, flushes, finish, times]
