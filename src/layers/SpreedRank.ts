/**
 * What our sessions in a room say to each other about themselves; `SpreedFence` says when.
 *
 * A rank is sealed with the secret that only services know, for one room, one sender and one recipient: nobody in the call can silence us.
 */
import { createHmac, timingSafeEqual } from "node:crypto"
import { Redacted, Schema } from "effect"
import type { RoomToken, SessionId } from "../domain/Call.ts"
import { Incarnation } from "../domain/Seat.ts"

/** HPB 1.x before 1.3 refuses data without a `roomType`. */
export const RankData = Schema.Struct({
  type: Schema.tag("parlance-rank"),
  roomType: Schema.Literal("video"),
  epoch: Schema.Finite,
  incarnation: Incarnation,
  /** Nothing is said under this rank any more. */
  yields: Schema.Boolean,
  seal: Schema.String.check(Schema.isMaxLength(64))
})
export type RankMessage = typeof RankData.Type

type Said = Pick<RankMessage, "epoch" | "incarnation" | "yields">

export interface Sealer {
  readonly seal: (from: SessionId, to: SessionId, said: Said) => RankMessage
  readonly isSealed: (from: SessionId, to: SessionId, message: RankMessage) => boolean
}

export const sealer = (secret: Redacted.Redacted, room: RoomToken): Sealer => {
  const seal = (from: SessionId, to: SessionId, { epoch, incarnation, yields }: Said) =>
    createHmac("sha256", Redacted.value(secret))
      .update(JSON.stringify(["parlance rank", room, from, to, epoch, incarnation, yields]))
      .digest("base64url")
  return {
    seal: (from, to, said) => ({ type: "parlance-rank", roomType: "video", ...said, seal: seal(from, to, said) }),
    isSealed: (from, to, message) => {
      const [given, right] = [Buffer.from(message.seal), Buffer.from(seal(from, to, message))]
      return given.length === right.length && timingSafeEqual(given, right)
    }
  }
}
