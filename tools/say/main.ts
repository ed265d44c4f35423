/**
 * `npm run say`: a client for the command line.
 */
import { Effect } from "effect"
import * as Conversation from "./Conversation.ts"
import * as Options from "./Options.ts"
import * as Screen from "./Screen.ts"

const screen = Screen.make(process.stdout, process.stderr)

const say = Effect.gen(function* () {
  const options = yield* Options.parse(process.argv.slice(2))
  if (options === undefined) return process.stdout.write(Options.help)
  return yield* Effect.scoped(Conversation.hold(options, screen))
}).pipe(
  Effect.as(0),
  Effect.catchTag("SayError", (error) =>
    Effect.sync(() => {
      screen.note(`say: ${error.message}`)
      return error.code
    })
  ),
  Effect.ensuring(Effect.sync(screen.end))
)

process.exitCode = await Effect.runPromise(say)
