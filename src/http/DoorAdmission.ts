/**
 * Whether a client of a streaming socket is let in: the credential first, then the quotas of whom it belongs to.
 */
import { Effect, type Redacted, type Scope } from "effect"
import { type Privacy, strictest } from "../domain/Privacy.ts"
import type { Access, AccessRefusal } from "./Access.ts"
import type { Dialect } from "./Dialect.ts"
import type { Provenance } from "./Origin.ts"
import type { Lease, QuotaRefusal, Quotas } from "./Quotas.ts"

export interface DoorAdmission {
  /** The stream is counted until the scope closes. Whoever was let in once is not asked again. */
  readonly admit: (
    credential: Redacted.Redacted | undefined
  ) => Effect.Effect<void, AccessRefusal | QuotaRefusal, Scope.Scope>
  readonly isAdmitted: () => boolean
  /** Where the client's audio may go, by the credential. */
  readonly privacy: () => Privacy
  /** Counts what was heard; `false`: the day's minutes are used up. */
  readonly spend: (seconds: number) => boolean
}

export const make = (
  { dialect, provenance }: { readonly dialect: Dialect; readonly provenance: Provenance },
  { access, quotas }: { readonly access: Access["Service"]; readonly quotas: Quotas["Service"] }
): DoorAdmission => {
  let lease: Lease | undefined
  let privacy: Privacy = "any"
  const { noneKnown } = dialect.credentials
  return {
    admit: Effect.fnUntraced(function* (credential) {
      if (lease !== undefined) return
      const grant = yield* access.admit({ ...provenance, credential, noneKnown })
      privacy = strictest(privacy, grant.privacy)
      lease = yield* quotas.reserve(grant)
    }),
    isAdmitted: () => lease !== undefined,
    privacy: () => privacy,
    spend: (seconds) => lease?.spend(seconds) ?? true
  }
}
