/**
 * A SignalingSession under a test's control, with the pages of its readers behind it: who is in the room, what the socket does, and what
 * the HPB has read of what was sent.
 */
import { Deferred, Effect, Stream } from "effect"
import { NextcloudSessionId, RoomToken, SessionId } from "../../src/domain/Call.ts"
import { InCall, type Participant, type Roster } from "../../src/domain/Roster.ts"
import type { Recipient, SignalingSession, SignalingState, Transcript } from "../../src/services/Signaling.ts"
import * as TalkPage from "./TalkPage.ts"

export const id = (name: string): SessionId => SessionId.make(name)
export const nextcloudId = (name: string): NextcloudSessionId => NextcloudSessionId.make(`nc-${name}`)

export const person = (name: string, change: Partial<Participant> = {}): Participant => ({
  session: id(name),
  nextcloudSession: nextcloudId(name),
  inCall: InCall.IN_CALL | InCall.WITH_AUDIO,
  internal: false,
  virtual: false,
  ...change
})

export interface Sent {
  readonly to: Recipient
  readonly transcript: Transcript
  readonly atMs: number
}

export interface ScriptedSession {
  readonly session: SignalingSession
  readonly join: (...people: ReadonlyArray<Participant>) => void
  readonly leave: (name: string) => void
  /** Leaves; pages know it, and we will. */
  readonly disappear: (name: string) => void
  /** Everybody gets a new session id, as after a restart of the HPB: `name` becomes `name#generation`. */
  readonly renew: (generation: number) => void
  readonly page: (name: string) => TalkPage.TalkPage
  /** Everything the socket took. */
  readonly sent: () => ReadonlyArray<Sent>
  /** From now on what is sent is lost on its way, and nobody notices. */
  readonly vanish: () => void
  /** From now on the HPB reads what is sent, and nothing of it is confirmed. */
  readonly hush: () => void
  /** The socket is gone: sending says so, confirmations fail. */
  readonly drop: () => void
  /** The socket is back, with the same session ids. */
  readonly comeBack: () => void
  readonly setCanReachCall: (can: boolean) => void
}

export interface ScriptedOptions {
  readonly now: () => number
  readonly canReachCall?: boolean
  /** How long a confirmation takes, ms. */
  readonly confirmMs?: number
  /** The HPB keeps marks, and tells the newest after so long, ms. */
  readonly recallMs?: number
}

export const make = (options: ScriptedOptions): ScriptedSession => {
  const room = RoomToken.make("room1")
  const self = id("parlance")
  const participants = new Map<SessionId, Participant>()
  const pages = new Map<string, TalkPage.TalkPage>()
  const sent: Array<Sent> = []
  let roster: Roster = { self, participants: new Map() }
  let state: SignalingState = { _tag: "Joined" }
  let isVanished = false
  let isHushed = false
  let kept: number | undefined
  let canReachCall = options.canReachCall ?? false
  let dropped = Deferred.makeUnsafe<void>()

  const publishRoster = () => {
    roster = { self, participants: new Map(participants) }
  }
  const inCall = () => [...participants.values()].filter((one) => one.inCall !== 0)
  /** A page stays when the HPB gives its session a new id. */
  const pageOf = (key: string): TalkPage.TalkPage => {
    const others = () => inCall().filter((one) => one.nextcloudSession !== key)
    const page = pages.get(key) ?? TalkPage.make({ participants: () => new Set(others().map((one) => one.session)) })
    pages.set(key, page)
    return page
  }
  const deliver = (to: Recipient, transcript: Transcript) => {
    const readers =
      to._tag === "Call" ? inCall() : [...participants.values()].filter((one) => one.session === to.session)
    for (const { nextcloudSession } of readers) {
      if (nextcloudSession !== undefined) pageOf(nextcloudSession).receive(transcript, options.now())
    }
  }

  const isUp = () => state._tag === "Joined"
  const session: SignalingSession = {
    room,
    events: Stream.never,
    roster: () => roster,
    state: () => state,
    canReachCall: () => canReachCall,
    keepsFailed: () => false,
    requestOffer: () => {},
    answer: () => {},
    sendCandidate: () => {},
    sendTranscript: (to, transcript) => {
      if (!isUp()) return false
      sent.push({ to, transcript, atMs: options.now() })
      if (!isVanished) deliver(to, transcript)
      return true
    },
    confirm: Effect.suspend(() => {
      const lost = Effect.as(Deferred.await(dropped), false)
      if (!isUp()) return Effect.succeed(false)
      return isVanished || isHushed
        ? lost
        : Effect.timeoutOrElse(lost, { duration: options.confirmMs ?? 5, orElse: () => Effect.succeed(true) })
    }),
    mark: (number) => {
      if (isUp() && !isVanished && options.recallMs !== undefined) kept = number
    },
    recall: Effect.delay(
      Effect.sync(() => kept),
      options.recallMs ?? 0
    )
  }
  return {
    session,
    join: (...people) => {
      for (const one of people) participants.set(one.session, one)
      publishRoster()
    },
    leave: (name) => {
      participants.delete(id(name))
      publishRoster()
    },
    disappear: (name) => {
      participants.delete(id(name))
    },
    renew: (generation) => {
      const people = [...participants.values()]
      participants.clear()
      for (const one of people) {
        const session = id(`${one.session.replace(/#.*/, "")}#${generation}`)
        participants.set(session, { ...one, session })
      }
      publishRoster()
    },
    page: (name) => pageOf(nextcloudId(name)),
    sent: () => sent,
    vanish: () => {
      isVanished = true
    },
    hush: () => {
      isHushed = true
    },
    drop: () => {
      state = { _tag: "Dropped" }
      Deferred.doneUnsafe(dropped, Effect.void)
    },
    comeBack: () => {
      state = { _tag: "Joined" }
      isVanished = false
      isHushed = false
      dropped = Deferred.makeUnsafe<void>()
    },
    setCanReachCall: (can) => {
      canReachCall = can
    }
  }
}
