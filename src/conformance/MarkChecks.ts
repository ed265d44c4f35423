/**
 * What an engine proves: where its marks stand among its words, and how far it says that it has computed.
 */
import { Effect, Exit, Scope } from "effect"
import { FRAME_SAMPLES, samplesOfMs } from "../domain/Audio.ts"
import { type Check, check, ensure, type Harness, type Subject } from "./Harness.ts"
import { expectWords, flushed, open } from "./HearingChecks.ts"
import type { Listener } from "./Listener.ts"
import { from, msAt, say, textsOf, type Utterance, utteranceOf, utterances } from "./Speech.ts"

/** A step of an engine: so much of the last word before a mark may lie behind it, which nobody takes for a word. */
const STEP_MS = 100
/** Longer than any engine waits until it ends an utterance by itself. */
const PAUSE_MS = 1_300

/** Fails unless before each mark exactly the words were said that were spoken before it. */
const expectMarks = (heard: Listener, said: ReadonlyArray<Utterance>) =>
  Effect.forEach(
    heard.marks(),
    ({ position, words }) => {
      const spoken = said.flatMap((utterance) => utterance.words)
      const [last, next] = [spoken[words.length - 1], spoken[words.length]]
      const at = `the mark at ${msAt(position)} ms`
      return ensure(
        words.join() === textsOf(said).slice(0, words.length).join(),
        () => `before ${at} it said "${words.join(" ")}"`
      ).pipe(
        Effect.andThen(
          ensure(
            last === undefined || last.endMs <= msAt(position) + STEP_MS,
            () => `"${last?.text}" was said before ${at}, and is spoken until ${last?.endMs} ms`
          )
        ),
        Effect.andThen(
          ensure(
            next === undefined || next.startMs >= msAt(position),
            () => `"${next?.text}" was not said before ${at}, and is spoken from ${next?.startMs} ms on`
          )
        )
      )
    },
    { discard: true }
  )

/** Silence that is sent, behind an utterance. */
const pauseBehind = ({ endsAt }: Utterance, { engine }: Subject): Utterance => {
  const { sampleRate } = engine.capabilities
  const sound = new Float32Array((PAUSE_MS * sampleRate) / 1000)
  return utteranceOf(sound, [], { position: endsAt, sampleRate })
}

const exact: Check = check("marks a place behind exactly the words that were spoken before it", (subject, harness) =>
  Effect.gen(function* () {
    const said = utterances(subject, 6, 4, 3)
    const { heard, session } = yield* open(subject)
    for (const utterance of said) {
      yield* say(session, utterance.frames, harness)
      // a pause that only the engine hears
      if (utterance.index === 1) yield* say(session, pauseBehind(utterance, subject).frames, harness)
      else yield* flushed(session.flush)
      yield* Effect.yieldNow
      yield* heard.faults
      yield* expectMarks(heard, said)
    }
    yield* expectWords(heard, said, "with marks among them")
    yield* expectMarks(heard, said)
    const newest = heard.marks().at(-1)?.position ?? 0
    yield* ensure(newest > 0, () => "everything was flushed, and nothing is marked")
    yield* ensure(
      session.mark() === newest,
      () => `the newest mark is ${newest}, and the session says ${session.mark()}`
    )
    return undefined
  })
)

/** Says the beginning to one session, which is cut off in whatever it does, and from its mark on everything to another. */
const continued = Effect.fnUntraced(function* (
  subject: Subject,
  harness: Harness,
  cut: { readonly at: number; readonly said: ReadonlyArray<Utterance>; readonly waitMs: number }
) {
  const scope = yield* Scope.make()
  const first = yield* Scope.provide(open(subject), scope)
  for (const { endsAt, frames } of cut.said) {
    yield* say(
      first.session,
      frames.filter(({ position }) => position < cut.at),
      harness
    )
    if (endsAt <= cut.at) yield* flushed(first.session.flush)
  }
  yield* Effect.sleep(cut.waitMs)
  const certain = first.heard.certain()
  const { position, words } = first.heard.marks().at(-1) ?? { position: 0, words: [] }
  yield* Scope.close(scope, Exit.void)

  const second = yield* open(subject)
  for (const utterance of cut.said) {
    const rest = from(utterance, position, subject.engine.capabilities.sampleRate)
    if (rest.length === 0) continue
    yield* say(second.session, rest, harness)
    yield* flushed(second.session.flush)
  }
  // as the Transcriber: the reader gets its turn
  yield* Effect.yieldNow
  yield* second.heard.faults
  const all = textsOf(cut.said)
  const when = `cut at ${msAt(cut.at)} ms with its mark at ${msAt(position)} ms`
  yield* ensure(
    [...words, ...second.heard.words()].join() === all.join(),
    () => `${when}: "${words.join(" ")}" was proven, and the next session said "${second.heard.words().join(" ")}"`
  )
  const doubted = certain.slice(words.length)
  yield* ensure(
    second.heard.words().slice(0, doubted.length).join() === doubted.join(),
    () =>
      `${when}: behind the mark it had said "${doubted.join(" ")}", the next session "${second.heard.words().join(" ")}"`
  )
})

const resumed: Check = check(
  "is continued by another session at its mark, wherever it is cut off",
  (subject, harness) =>
    Effect.gen(function* () {
      const said = utterances(subject, 6, 5)
      const [first, second] = said
      if (first === undefined || second === undefined) return undefined
      const within = (utterance: Utterance, part: number) =>
        utterance.endsAt - Math.round((1 - part) * utterance.frames.length) * FRAME_SAMPLES
      const cuts = [within(first, 0.4), within(first, 0.9), first.endsAt, within(second, 0.5), within(second, 0.8)]
      yield* Effect.forEach(
        cuts,
        (at, index) => Effect.scoped(continued(subject, harness, { at, said, waitMs: 150 * (index % 3) })),
        { concurrency: "unbounded", discard: true }
      )
      return undefined
    })
)

const progress: Check = check(
  "says how far it has computed, on and on, and never further than it was sent",
  (subject, harness) =>
    Effect.gen(function* () {
      const said = utterances(subject, 5, 4)
      const { session } = yield* open(subject)
      let computed = 0
      let sentTo = 0
      const inspect = Effect.suspend(() => {
        const before = computed
        computed = session.progress?.() ?? before
        return ensure(computed >= before, () => `it has computed up to ${before}, then only up to ${computed}`).pipe(
          Effect.andThen(ensure(computed <= sentTo, () => `it has computed ${computed}, and was sent ${sentTo}`))
        )
      })
      for (const { endsAt, frames } of said) {
        for (const frame of frames) {
          sentTo = frame.position + FRAME_SAMPLES
          yield* say(session, [frame], harness)
          yield* inspect
        }
        yield* flushed(session.flush)
        yield* inspect
        if (session.progress === undefined) return "DoesNotApply"
        yield* ensure(
          computed >= endsAt - samplesOfMs(STEP_MS),
          () => `flushed up to ${endsAt}, computed up to ${computed}`
        )
      }
      return undefined
    })
)

export const markChecks: ReadonlyArray<Check> = [exact, resumed, progress]
