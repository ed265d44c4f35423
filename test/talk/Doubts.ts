/**
 * Cuts in the very moment in which nobody can know from the socket alone whether the HPB has read a final: it is read once all the same.
 */
import { Effect } from "effect"
import { drill } from "./Drill.ts"
import { machineMs } from "./HpbClient.ts"
import { saidSince, settle } from "./Reading.ts"
import type { Scenario } from "./Scenario.ts"
import type { Stack } from "./Stack.ts"

/** The HPB reads the final and nobody hears of it; it does not read it; the cut comes beside it. */
const moments = ["answers", "requests", "beside"] as const

/** Each moment twice: while viewers get messages of their own, and while one goes to the call. */
const CUTS = 6

/** Cuts at the next final. */
const cutAtFinal = ({ door, onSaid }: Stack, moment: (typeof moments)[number]) =>
  Effect.callback<void>((resume) => {
    let isOver = false
    if (moment !== "beside") door.swallow(moment)
    onSaid((text) => {
      if (isOver || !text.includes('"transcript"') || !text.includes('"final":true')) return
      isOver = true
      const cut = () => {
        door.cut()
        resume(Effect.void)
      }
      if (moment === "answers") setTimeout(cut, 10)
      else setImmediate(cut)
    })
  })

const inDoubt = drill(
  {
    name: "finals-in-doubt",
    about:
      "the websocket is cut at finals, before anything says whether the HPB has read them; two readers read each once",
    seconds: 100
  },
  ({ ann, scene, vera }) =>
    Effect.gen(function* () {
      const { ledger } = scene.stack
      const vic = yield* scene.viewer("vic")
      yield* scene.captions(vic, true)
      yield* Effect.sleep("1 second")
      const from = machineMs()
      let cuts = 0
      const cutWhileTalking = Effect.gen(function* () {
        const moment = moments[cuts % moments.length] ?? "beside"
        yield* Effect.all([ann.say(9), cutAtFinal(scene.stack, moment)], { concurrency: 2 })
        cuts++
        // From here on everybody has asked: one message for all.
        if (cuts === Math.ceil(CUTS / 2)) yield* scene.captions({ ncSession: ann.ncSession, name: "ann" }, true)
        // A connection that is cut again within five seconds is dialled ever later.
        yield* Effect.sleep("4 seconds")
      })
      yield* Effect.repeat(cutWhileTalking, { times: CUTS - 1 }).pipe(Effect.timeoutOption("80 seconds"))
      const said = () => saidSince(ledger, from)
      const verdicts = [yield* settle(ledger, vera, said, 10_000), yield* settle(ledger, vic, said)]
      return { verdicts, faults: cuts < CUTS ? [`only ${cuts} cuts`] : [], figures: { cuts } }
    }),
  { engine: ["punctuation"] }
)

export const doubts: ReadonlyArray<Scenario> = [inDoubt]
