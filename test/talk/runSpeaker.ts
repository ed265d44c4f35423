/**
 * A speaker in a process of its own, to be killed. One argument: JSON of its options. Says a word after the other until it dies; prints
 * its session, and each word when its last sound has left.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Schema } from "effect"
import * as WeriftSpeaker from "./WeriftSpeaker.ts"

const Options = Schema.fromJsonString(
  Schema.Struct({ backend: Schema.String, room: Schema.String, name: Schema.String, number: Schema.Int })
)

NodeRuntime.runMain(
  Effect.gen(function* () {
    const { backend, ...options } = yield* Schema.decodeUnknownEffect(Options)(process.argv[2])
    const print = (line: object) => console.log(JSON.stringify(line))
    const speaker = yield* WeriftSpeaker.make({
      ...options,
      nextcloud: {
        backend,
        // Nextcloud lives in the parent process, which puts us into the call when it reads this.
        setInCall: (_room, ncSession) => Effect.sync(() => print({ ncSession }))
      },
      ledger: {
        said: [],
        note: print,
        name: (session) => print({ session }),
        speakerOf: () => undefined
      }
    })
    return yield* Effect.forever(Effect.andThen(speaker.say(5), Effect.sleep("600 millis")))
  }).pipe(Effect.scoped)
)
