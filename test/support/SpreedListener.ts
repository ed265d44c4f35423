/**
 * A room joined through the real layer at a fake HPB, and everything heard of it.
 */
import { Effect, type Layer, Redacted, References, type Scope, Stream } from "effect"
import { RoomToken, SessionId } from "../../src/domain/Call.ts"
import * as SpreedSignaling from "../../src/layers/SpreedSignaling.ts"
import { Signaling, type SignalingEvent, type SignalingSession } from "../../src/services/Signaling.ts"
import { eventually, type FakeHpb } from "./FakeHpb.ts"

export interface Listener {
  readonly session: SignalingSession
  readonly events: ReadonlyArray<SignalingEvent>
  readonly tags: () => ReadonlyArray<string>
  /** Whether the newest event tells that this session is in the room. */
  readonly heardOf: (session: string) => boolean
}

/** The layer for this HPB. */
export const layerFor = (hpb: FakeHpb, changed: Partial<SpreedSignaling.SpreedOptions> = {}): Layer.Layer<Signaling> =>
  SpreedSignaling.layer({
    hpbUrl: hpb.url,
    internalSecret: Redacted.make(hpb.rules.secret),
    backendUrls: Effect.succeed(hpb.rules.backends),
    skipCertVerify: false,
    ...changed
  })

/** Joins without waiting; `reads: false` leaves all events unread. */
export const listen = Effect.fnUntraced(
  function* (options: {
    readonly room?: string
    readonly reads?: boolean
  }): Effect.fn.Return<Listener, never, Signaling | Scope.Scope> {
    const signaling = yield* Signaling
    const session = yield* signaling.join(RoomToken.make(options.room ?? "room1"))
    const events: Array<SignalingEvent> = []
    if (options.reads !== false) {
      yield* session.events.pipe(
        Stream.runForEach((event) => Effect.sync(() => void events.push(event))),
        Effect.forkScoped
      )
    }
    return {
      session,
      events,
      tags: () => events.map(({ _tag }) => _tag),
      heardOf: (who) => {
        const newest = events.at(-1)
        return newest?._tag === "RosterChanged" && newest.roster.participants.has(SessionId.make(who))
      }
    }
  },
  Effect.provideService(References.MinimumLogLevel, "None")
)

/** Joins and waits until we are in. */
export const joined = Effect.fnUntraced(function* (options: { readonly room?: string; readonly reads?: boolean } = {}) {
  const listener = yield* listen(options)
  yield* eventually("joined", () => listener.session.state()._tag === "Joined")
  if (options.reads !== false) yield* eventually("told so", () => listener.events.length > 0)
  return listener
})
