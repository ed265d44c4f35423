/**
 * What the processes of the benchmark tell each other, over the channel that node gives a child.
 */
import { Effect, Schema } from "effect"
import { type Measured, ProcessError } from "./Processes.ts"

/** The next message of the process that is one of these, or why there will be none. Listens from when it runs. */
export const message = <A>({ child, output }: Measured, schema: Schema.Decoder<A>): Effect.Effect<A, ProcessError> =>
  Effect.callback<A, ProcessError>((resume) => {
    const isOne = Schema.decodeUnknownOption(schema)
    const stop = () => {
      child.off("message", take).off("exit", end)
    }
    const take = (given: unknown) => {
      const read = isOne(given)
      if (read._tag === "None") return
      stop()
      resume(Effect.succeed(read.value))
    }
    const end = () => {
      stop()
      resume(Effect.fail(new ProcessError({ detail: `a process of the benchmark ended:\n${output()}` })))
    }
    child.on("message", take).once("exit", end)
    if (child.exitCode !== null) end()
    return Effect.sync(stop)
  })

/** Tells the process something, and gives what it says to that. */
export const ask = <A>(
  process: Measured,
  question: object,
  answer: Schema.Decoder<A>
): Effect.Effect<A, ProcessError> =>
  Effect.suspend(() => {
    process.child.send(question)
    return message(process, answer)
  })

/** In a child: tells the parent; complete when it has been written, for the channel closes behind the last one. */
export const say = (report: object): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    process.send?.(report, () => resume(Effect.void))
  })
