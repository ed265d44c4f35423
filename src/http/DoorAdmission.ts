/**
 * Whether a client of a streaming socket is let in: the credential first, then the quotas of whom it belongs to.
 */
import { Effect, Redacted, type Scope } from "effect"
import { type Privacy, strictest } from "../domain/Privacy.ts"
import type { Access, AccessRefusal } from "./Access.ts"
import type { Event } from "./Dialect.ts"
import type { DoorClient } from "./DoorClient.ts"
import type { Lease, QuotaRefusal, Quotas } from "./Quotas.ts"

/** What the client is told. */
export type Greeting = Extract<Event, { readonly _tag: "Admitted" | "Denied" }>

/** Whoever is let in is counted as a stream until the scope closes, and not asked again. */
export interface DoorAdmission {
  /** By what the request shows, or because nothing is needed. `undefined`: a message may still bring a credential, there is time for it. */
  readonly knock: Effect.Effect<Greeting | undefined, never, Scope.Scope>
  /** By the credential of a message. */
  readonly authenticate: (token: string) => Effect.Effect<Greeting, never, Scope.Scope>
  readonly isAdmitted: () => boolean
  /** Bytes that have come over the connection. */
  readonly received: () => number
  /** Where the client's audio may go, by the credential. */
  readonly privacy: () => Privacy
  /** Counts what was heard; `false`: the day's minutes are used up. */
  readonly spend: (seconds: number) => boolean
}

type Admitted = Extract<Event, { readonly _tag: "Admitted" }>

type Knocking = Pick<DoorClient, "credential" | "dialect" | "provenance" | "received">

export const make = (
  { credential, dialect, provenance, received }: Knocking,
  { access, quotas }: { readonly access: Access["Service"]; readonly quotas: Quotas["Service"] }
): DoorAdmission => {
  let lease: Lease | undefined
  let privacy: Privacy = "any"
  const { messages, noneKnown } = dialect.credentials
  const admit = Effect.fnUntraced(function* (shown: Redacted.Redacted | undefined, by: Admitted["by"]) {
    const admitted: Admitted = { _tag: "Admitted", by }
    if (lease !== undefined) return admitted
    const grant = yield* access.admit({ ...provenance, credential: shown, noneKnown })
    privacy = strictest(privacy, grant.privacy)
    lease = yield* quotas.reserve(grant)
    return admitted
  })
  const mayFollow = credential === undefined && messages === true
  return {
    knock: Effect.catch(admit(credential, credential === undefined ? "Nothing" : "Request"), (refusal) =>
      Effect.succeed(mayFollow && refusal.denial === "Unauthorized" ? undefined : denied(refusal))
    ),
    authenticate: (token) =>
      Effect.catch(admit(Redacted.make(token), "Message"), (refusal) => Effect.succeed(denied(refusal))),
    isAdmitted: () => lease !== undefined,
    received,
    privacy: () => privacy,
    spend: (seconds) => lease?.spend(seconds) ?? true
  }
}

const denied = ({ denial, detail }: AccessRefusal | QuotaRefusal): Greeting => ({ _tag: "Denied", denial, detail })
