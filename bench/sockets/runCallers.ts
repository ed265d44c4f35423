/**
 * All clients as a process of their own. The only argument is a `Task` as JSON; what becomes of it is said over the channel to the parent:
 * `Speaking` when all speak, `Ended` when all have ended, which they do when the parent says anything.
 */
import { Effect, Redacted, Schema } from "effect"
import { type Client, clients } from "../../tools/say/Clients.ts"
import { say } from "../process/Channel.ts"
import { quantile } from "../Quantile.ts"
import * as Caller from "./Caller.ts"
import { messageMsOf } from "./Options.ts"
import * as Tape from "./Tape.ts"
import { Ended, Speaking, Task } from "./Wire.ts"

/** What is due is looked up at every tick: a late one loses nothing. */
const TICK_MS = 4
/** Connections that are made at a time. */
const AT_ONCE = 20
/** All have begun by then, none with another: a crowd does not speak in step. */
const STAGGER_MS = 3000

const callerOf = Effect.fnUntraced(function* (task: Task, client: Client, number: number) {
  const address = new URL(client.path, `ws://127.0.0.1:${task.port}`)
  if (client.tokenIn === "Query") address.searchParams.set("token", task.token)
  const headers: Record<string, string> = client.tokenIn === "Header" ? { authorization: `Bearer ${task.token}` } : {}
  const wish = { token: Redacted.make(task.token), language: undefined, model: undefined, variant: undefined }
  const speech = client.speak(wish)
  const begin =
    task.format === "webm" ? [JSON.stringify({ action: "start", token: task.token, details: true })] : speech.begin
  const { format, speaking } = task
  const tape = yield* Tape.make({ client, format, number, messageMs: messageMsOf(task, number), speaking })
  return { address, client, headers, number, speech: { ...speech, begin }, tape }
})

const run = Effect.gen(function* () {
  const task = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Task))(process.argv[2])
  const client = clients[task.door === "nemo" ? "tldw" : task.door]
  if (client === undefined) return yield* Effect.die(new Error(`no client speaks as ${task.door}`))
  const told = new Promise<void>((resolve) => process.once("message", () => resolve()))

  const prepared = yield* Effect.forEach(Array.from({ length: task.sockets }), (_, n) => callerOf(task, client, n + 1))
  const callers = yield* Effect.forEach(
    prepared,
    (one) => Effect.sync(() => Caller.make(one)).pipe(Effect.tap(({ ready }) => Effect.promise(() => ready))),
    { concurrency: AT_ONCE }
  )
  const now = performance.now()
  callers.forEach((caller, n) => {
    caller.start(now + (STAGGER_MS * n) / callers.length)
  })
  const lates: Array<number> = []
  const ticking = setInterval(() => {
    const nowMs = performance.now()
    let late = 0
    for (const caller of callers) late = Math.max(late, caller.tick(nowMs))
    lates.push(late)
  }, TICK_MS)
  yield* Effect.sleep(STAGGER_MS)
  yield* say(Speaking.make({}))
  yield* Effect.promise(() => told)
  const lateP99Ms = quantile(lates, 0.99)
  const heard = yield* Effect.promise(() => Promise.all(callers.map((caller) => caller.finish())))
  clearInterval(ticking)
  yield* say(Ended.make({ heard, lateP99Ms }))
})

await Effect.runPromise(run)
process.disconnect?.()
