/**
 * Grant: who somebody is, and what this one may use.
 */
import { Schema } from "effect"
import { Privacy } from "../domain/Privacy.ts"

export interface Grant {
  /** Whom streams and minutes are counted for: a name that was given, never a secret. */
  readonly subject: string
  /** May also control calls, and read metrics and documentation. */
  readonly isAdmin: boolean
  readonly concurrentStreams: number
  /** Absent: as many as they like. */
  readonly minutesPerDay?: number
  /** Where the audio of their streams may go; as far as the deployment allows when absent. */
  readonly privacy?: Privacy
  /** When the credential ends (ms since 1970), where it does. */
  readonly expiresAtMs?: number
  /** By a credential that `Access.mint` made; it cannot mint others. */
  readonly isShortLived?: boolean
}

/** What a credential may say of its own quotas, and of where its audio may go. */
export const Allowance = Schema.Struct({
  concurrentStreams: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 }))),
  minutesPerDay: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 }))),
  privacy: Schema.optionalKey(Privacy)
})

/** What holds where a credential says nothing. */
export interface Defaults {
  readonly streamsPerToken: number
  readonly minutesPerDay: number | undefined
}

/** Somebody who may stream, and nothing else. */
export const streaming = (subject: string, allowance: typeof Allowance.Type, defaults: Defaults): Grant => {
  const minutesPerDay = allowance.minutesPerDay ?? defaults.minutesPerDay
  return {
    subject,
    isAdmin: false,
    concurrentStreams: allowance.concurrentStreams ?? defaults.streamsPerToken,
    ...(minutesPerDay === undefined ? {} : { minutesPerDay }),
    ...(allowance.privacy === undefined ? {} : { privacy: allowance.privacy })
  }
}
