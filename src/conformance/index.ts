/**
 * The conformance suite: what every adapter of a speech engine promises (`SpeechEngine`), as checks that need no test framework.
 *
 * To add an engine: write a fake of its server that understands synthetic speech (`parlance/layers/SimulatedRecogniser` does, at 24 kHz; it
 * is told frames and tells words), as strict as the real one or stricter; a `Harness` that starts it and the engine that speaks to it; and
 * run every check, here with vitest:
 *
 * ```ts
 * const harness: Conformance.Harness = {
 *   start: Effect.gen(function* () {
 *     const server = yield* MySimulator.make()
 *     const built = yield* Layer.build(MyEngine.layer({ url: server.url }))
 *     return {
 *       engine: Context.get(built, SpeechEngine),
 *       connections: server.connections,
 *       crash: server.crash,
 *       babble: server.send,
 *       refuse: server.refuse
 *     }
 *   })
 * }
 * describe("MyEngine", () => {
 *   for (const check of Conformance.checks) it.live(check.name, () => check.run(harness))
 * })
 * ```
 *
 * A check succeeds with `Conforms` or `DoesNotApply` (the harness or the engine has not what it needs), or fails with a `ConformanceError`
 * that says what was wrong. Checks take real time and may run beside each other.
 */
import { faultChecks } from "./FaultChecks.ts"
import type { Check } from "./Harness.ts"
import { hearingChecks } from "./HearingChecks.ts"
import { markChecks } from "./MarkChecks.ts"

export { type Check, ConformanceError, type Harness, type Subject, type Verdict } from "./Harness.ts"
export { type ExpectedWord, type Speak, speak, type Utterance, utteranceOf } from "./Speech.ts"

/** All promises. */
export const checks: ReadonlyArray<Check> = [...hearingChecks, ...markChecks, ...faultChecks]
