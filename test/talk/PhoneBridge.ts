/**
 * A SIP bridge as the HPB sees one: an internal session that publishes, and a virtual session for its phone caller.
 */
import { createHmac, randomBytes } from "node:crypto"
import { Effect, type Scope } from "effect"
import * as HpbClient from "./HpbClient.ts"
import { type ProofError, until } from "./ProofError.ts"
import { INTERNAL_SECRET } from "./Stack.ts"

/** IN_CALL and WITH_AUDIO. */
const PUBLISHING = 3
/** IN_CALL and WITH_PHONE. */
const BY_PHONE = 9
/** Flag of a virtual session that is talking. */
const TALKING = 4

export interface Bridge {
  readonly client: HpbClient.HpbClient
  /** The caller enters the call; gives the session id under which others know them. */
  readonly enterCall: Effect.Effect<string, ProofError>
}

const internalHello = (backend: string) => {
  const random = randomBytes(32).toString("hex")
  const token = createHmac("sha256", INTERNAL_SECRET).update(random).digest("hex")
  return {
    version: "1.0",
    features: ["internal-incall"],
    auth: { type: "internal", params: { random, token, backend } }
  }
}

/** In the room for as long as the scope. */
export const join = (options: {
  readonly caller: string
  readonly room: string
  readonly backend: string
}): Effect.Effect<Bridge, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const { backend, caller, room } = options
    const client = yield* HpbClient.join({
      userId: `bridge of ${caller}`,
      room,
      backend,
      hello: () => internalHello(backend)
    })
    const virtual = () => [...client.people].find(([, person]) => person.virtual)?.[0]
    const tell = (type: string, message: object) =>
      client.send({ type: "internal", internal: { type, [type]: message } })
    const enterCall = Effect.gen(function* () {
      tell("incall", { incall: PUBLISHING })
      const user = { displayname: caller }
      tell("addsession", { sessionid: `phone-${caller}`, roomid: room, user, incall: BY_PHONE, flags: TALKING })
      yield* until(`${caller} to be in the call`, () => virtual() !== undefined)
      return virtual() ?? ""
    })
    return { client, enterCall }
  })
