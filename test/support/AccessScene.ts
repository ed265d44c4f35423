/**
 * Access on its own: callers from here and elsewhere, a folder of its own, and a log that is kept.
 */
import { Context, Effect, Layer, Logger, Redacted } from "effect"
import * as Access from "../../src/http/Access.ts"
import { accessSettings as settings } from "./HttpSetup.ts"
import { temporaryFolder } from "./TemporaryFolder.ts"

export { settings }

/** Keeps log lines. */
export const recorder = () => {
  const lines: Array<string> = []
  return { lines, layer: Logger.layer([Logger.make((line) => lines.push(Logger.formatJson.log(line)))]) }
}

/** Access as configured, what it wrote into the log, and the folder of what it keeps. */
export const open = Effect.fnUntraced(function* (given: Partial<Access.AccessSettings>) {
  const { layer: log, lines } = recorder()
  const storage = given.storage ?? (yield* temporaryFolder)
  const built = yield* Layer.build(Access.layer({ ...settings, ...given, storage })).pipe(Effect.provide(log))
  const { admit, admitAdmin, isSingleUser, mint } = Context.get(built, Access.Access)
  return {
    isSingleUser,
    mint,
    admit: (caller: Access.Caller) => Effect.provide(admit(caller), log),
    admitAdmin: (caller: Access.Caller) => Effect.provide(admitAdmin(caller), log),
    storage,
    lines
  }
})

/** Somebody elsewhere who knows our public name. */
export const elsewhere = (token?: string): Access.Caller => ({
  credential: token === undefined ? undefined : Redacted.make(token),
  origin: undefined,
  host: "captions.example.com",
  peerAddress: "203.0.113.7"
})

/** Somebody on this machine. */
export const here = (token?: string): Access.Caller => ({
  ...elsewhere(token),
  host: "localhost:8080",
  peerAddress: "::ffff:127.0.0.1"
})

/** Refused, and how. */
export const denialOf = <A>(asked: Effect.Effect<A, Access.AccessRefusal>) =>
  Effect.map(Effect.flip(asked), ({ denial }) => denial)
