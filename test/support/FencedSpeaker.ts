/**
 * A process that captions a room for as long as it may: what a runner does, reduced to its session. Arguments: HPB, secret, room, speaker,
 * epoch. It says `joined`, `outranked` and nothing else on its standard output.
 */
import { Effect, Redacted, References, Schedule, Stream } from "effect"
import { RoomToken, SessionId } from "../../src/domain/Call.ts"
import { Incarnation } from "../../src/domain/Seat.ts"
import * as SpreedSignaling from "../../src/layers/SpreedSignaling.ts"
import { Signaling } from "../../src/services/Signaling.ts"

const [hpbUrl = "", secret = "", room = "", speaker = "", epoch = ""] = process.argv.slice(2)

const say = (word: string) => Effect.sync(() => process.stdout.write(`${word}\n`))

const program = Effect.gen(function* () {
  const rank = { epoch: Number(epoch), incarnation: Incarnation.make("child") }
  const session = yield* (yield* Signaling).join(RoomToken.make(room), () => rank)
  let number = 0
  const caption = Effect.sync(() => {
    const message = `child ${number++}`
    const transcript = { message, langId: "en", speakerSessionId: SessionId.make(speaker), final: true }
    session.sendTranscript({ _tag: "Call" }, transcript)
  })
  yield* Effect.forkScoped(Effect.repeat(caption, Schedule.spaced("20 millis")))
  yield* Stream.runForEach(session.events, (event) => {
    if (event._tag === "Joined") return say("joined")
    return event._tag === "Outranked" ? say("outranked") : Effect.void
  })
})

const layer = SpreedSignaling.layer({
  hpbUrl,
  internalSecret: Redacted.make(secret),
  backendUrls: Effect.succeed(["http://127.0.0.1/"])
})
void Effect.runPromise(
  Effect.scoped(program).pipe(Effect.provide(layer), Effect.provideService(References.MinimumLogLevel, "None"))
)
