/**
 * `npm run demo`: the whole service at work on this machine, without Nextcloud, without an account and without a model.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import * as Options from "./Options.ts"
import * as Scene from "./Scene.ts"
import { isClean } from "./Score.ts"
import * as Screen from "./Screen.ts"

const introduction = `
Parlance demo: people talk in a call, captions appear while they talk.

  real       the service (a process of its own, as you would run it): signaling, WebRTC, Opus, the speech
             pipeline, captions by Talk's rules
  simulated  the call (an HPB on this machine), the people, and what they say: words made of tones, so that
             anybody can check what became of each; the speech engine, a server with Kyutai's protocol and delay
             that recognises those tones in the audio it receives
  not shown  how well a real model understands real speech
`

const demo = Effect.gen(function* () {
  const options = yield* Options.parse(process.argv.slice(2))
  const screen = Screen.make(options.json ? process.stderr : process.stdout)
  screen.say(introduction)
  const { clues, latencies, spoken, verdicts } = yield* Effect.scoped(Scene.play(options, screen))
  screen.table(verdicts, spoken, latencies)
  const isPerfect = spoken > 0 && verdicts.every(isClean)
  screen.say(
    isPerfect ? "\nEvery word was read once, in order, under the right name." : "\nSomething went wrong: see the table."
  )
  if (!isPerfect) for (const clue of clues) screen.say(`  ${clue}`)
  if (options.json) {
    const worst = (of: (verdict: (typeof verdicts)[number]) => number) => Math.max(...verdicts.map(of))
    console.log(
      JSON.stringify({
        spoken,
        captioned: Math.min(...verdicts.map(({ captioned }) => captioned)),
        lost: worst(({ lost }) => lost),
        duplicated: worst(({ duplicated }) => duplicated),
        wrongSpeaker: worst(({ wrongSpeaker }) => wrongSpeaker),
        latencyMs: latencies.own
      })
    )
  }
  return isPerfect
})

const program = demo.pipe(
  Effect.catch((error) =>
    Effect.sync(() => {
      console.error(`\nThe demo could not run: ${error.message}`)
      return false
    })
  )
)

NodeRuntime.runMain(program, {
  teardown: (exit, onExit) => onExit(exit._tag === "Success" && exit.value ? 0 : 1)
})
