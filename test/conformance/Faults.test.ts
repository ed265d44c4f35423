/** The suite itself: what it must find in engines that do not keep their promises. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Conformance from "../../src/conformance/index.ts"
import { EngineError } from "../../src/services/SpeechEngine.ts"
import * as ScriptedHarness from "../support/ScriptedHarness.ts"

const verdict = (promise: RegExp, faults: ScriptedHarness.Faults) =>
  Effect.gen(function* () {
    const check = Conformance.checks.find(({ name }) => promise.test(name))
    assert.isDefined(check)
    return yield* Effect.flip(check.run(ScriptedHarness.make(faults)))
  })

const faulty = (name: string, promise: RegExp, faults: ScriptedHarness.Faults, finding: RegExp) =>
  it.live(name, () => Effect.map(verdict(promise, faults), ({ message }) => assert.match(message, finding)))

describe("the conformance suite finds an engine that", () => {
  faulty(
    "says a word twice",
    /speaking order/,
    {
      onWord: (text, session) => {
        session.say(text)
        session.say(text)
      }
    },
    /after utterance 1: said "\w+ \w+ \w+ \w+", read "(\w+) \1/
  )
  faulty(
    "swallows a word",
    /speaking order/,
    {
      onWord: (text, session) => {
        if (!text.endsWith(".")) session.say(text)
      }
    },
    /after utterance 1/
  )
  faulty(
    "completes a flush before it has said everything",
    /when a flush completes/,
    { flushing: () => Effect.void },
    /when the flush completed: said/
  )
  faulty("never completes one", /every flush/, { flushing: () => Effect.never }, /within 5 s/)
  faulty(
    "marks what it has not said",
    /marks no more/,
    {
      onWord: (text, session) => {
        session.say(text)
        session.proveUpTo(1e9)
      }
    },
    /ahead of what was sent/
  )
  faulty(
    "marks what it has only begun to hear",
    /marks a place/,
    {
      onWord: (text, session) => {
        session.say(text)
        session.proveUpTo(session.positions().at(-1) ?? 0)
      }
    },
    /"\w+" was not said before the mark/
  )
  faulty(
    "marks a place behind words that were spoken later",
    /marks a place/,
    {
      onWord: (text, session) => {
        session.say(text)
        session.proveUpTo((session.positions()[0] ?? 0) + 1)
      }
    },
    /"\w+" was said before the mark/
  )
  faulty(
    "takes a mark back",
    /marks a place/,
    {
      onWord: (text, session) => {
        const [begin = 0] = session.positions()
        session.emit({ _tag: "Marked", position: begin }, { _tag: "Marked", position: begin - 1 })
        session.say(text)
      }
    },
    /goes back/
  )
  faulty(
    "has said words in its next session that it had not proven, otherwise",
    /continued by another session/,
    { onWord: (text, session) => session.say(session.index === 1 ? `s${text}` : text) },
    /behind the mark it had said/
  )
  faulty(
    "goes on with an utterance it had completed",
    /utterance once/,
    {
      onWord: (text, session) =>
        session.emit(
          { _tag: "Appended", item: "one", words: [{ text, joiner: "space" }] },
          { _tag: "Completed", item: "one", cause: "EngineFinal" }
        )
    },
    /of an utterance that had ended/
  )
  faulty(
    "ends utterances, as it says, but does not",
    /utterance once/,
    { capabilities: { endOfTurn: "vad" } },
    /2 utterances, 0 completed/
  )
  faulty(
    "has times, as it says, but none on its words",
    /where they were spoken/,
    { capabilities: { wordTimes: true } },
    /placed from undefined/
  )
  faulty("does not notice that its connection is gone", /session broke/, { crash: () => {} }, /within 5 s/)
  faulty(
    "takes a language it does not know for a fault of the network",
    /language it lists/,
    { opening: Effect.fail(new EngineError({ reason: "Unreachable", detail: "no" })) },
    /Unreachable/
  )
  faulty("has a bug", /speaking order/, { flushing: () => Effect.die(new Error("oops")) }, /a defect: Error: oops/)
})
