/**
 * Who is in the room, as the HPB's events tell it. The HPB's events are the only truth about who publishes (see `Signaling`).
 */
import type { NextcloudSessionId, SessionId } from "./Call.ts"

/** Bits of Talk's in-call flag. WITH_AUDIO says that a device exists, not that it is unmuted. */
export const InCall = { IN_CALL: 1, WITH_AUDIO: 2, WITH_VIDEO: 4, WITH_PHONE: 8 } as const

export interface Participant {
  readonly session: SessionId
  /** Absent for internal and virtual sessions, and in some updates: kept from where it was last seen. */
  readonly nextcloudSession?: NextcloudSessionId
  readonly userId?: string
  readonly name?: string
  /** 0 when not in the call. */
  readonly inCall: number
  /** A service such as the recorder, a SIP bridge or ourselves. */
  readonly internal: boolean
  /** A phone caller, added by a SIP bridge which publishes for it. */
  readonly virtual: boolean
  /** A phone caller who is talking, as far as the bridge says so. */
  readonly talking?: boolean
  /** What the participant's client last said about its microphone; a hint, RTP decides. */
  readonly muted?: boolean
}

export interface Roster {
  readonly self?: SessionId
  readonly participants: ReadonlyMap<SessionId, Participant>
}

export const emptyRoster: Roster = { participants: new Map() }

const others = (roster: Roster): Array<Participant> =>
  [...roster.participants.values()].filter((one) => one.session !== roster.self)

/** In the call with audio: people, and SIP bridges which publish for phone callers. Virtual sessions publish nothing. */
export const publishers = (roster: Roster): Array<Participant> =>
  others(roster).filter(
    (one) => !one.virtual && (one.inCall & InCall.IN_CALL) !== 0 && (one.inCall & InCall.WITH_AUDIO) !== 0
  )

/** In the call and not a service. */
export const humansInCall = (roster: Roster): Array<Participant> =>
  others(roster).filter((one) => !one.internal && (one.inCall & InCall.IN_CALL) !== 0)

/** Where a Nextcloud session is reached. Its former session on the HPB may still be listed for half a minute: the newest one counts. */
export const sessionOf = (roster: Roster, nextcloudSession: NextcloudSessionId): Participant | undefined =>
  others(roster).findLast((one) => one.nextcloudSession === nextcloudSession)

/**
 * Who is heard when `publisher` sends audio: itself, or, for a SIP bridge, the phone caller who is talking, else the only or first one
 * in the call. `undefined` while nobody is known who could have said it.
 */
export const speakerOf = (roster: Roster, publisher: SessionId): Participant | undefined => {
  const sender = roster.participants.get(publisher)
  if (sender === undefined || !sender.internal) return sender
  const callers = others(roster).filter((one) => one.virtual && one.inCall !== 0)
  return callers.find((one) => one.talking === true) ?? callers[0]
}

/** What was newly said about one participant; what is absent stays as it was. */
export type News = { readonly session: SessionId } & Partial<Omit<Participant, "session">>

/** More people than any call has; a roster cannot grow beyond it. */
const maxParticipants = 10_000

const stranger = { inCall: 0, internal: false, virtual: false } as const

/** The roster with the news in it; the same roster when there is nothing new in them. */
export const learn = (roster: Roster, news: ReadonlyArray<News>): Roster => {
  const participants = new Map(roster.participants)
  let isNew = false
  for (const one of news) {
    const before = participants.get(one.session)
    const after: Participant = { ...(before ?? stranger), ...one }
    if (before !== undefined && isSame(before, after)) continue
    if (before === undefined && participants.size >= maxParticipants) continue
    participants.set(one.session, after)
    isNew = true
  }
  return isNew ? { ...roster, participants } : roster
}

/** The roster without these; the same roster when none of them was there. */
export const forget = (roster: Roster, sessions: ReadonlyArray<SessionId>): Roster => {
  const participants = new Map(roster.participants)
  for (const session of sessions) participants.delete(session)
  return participants.size === roster.participants.size ? roster : { ...roster, participants }
}

const isSame = (a: Participant, b: Participant): boolean =>
  a.nextcloudSession === b.nextcloudSession &&
  a.userId === b.userId &&
  a.name === b.name &&
  a.inCall === b.inCall &&
  a.internal === b.internal &&
  a.virtual === b.virtual &&
  a.talking === b.talking &&
  a.muted === b.muted

/** Who was in the call and is not any more. */
export const leftBetween = (before: Roster, after: Roster): Array<SessionId> =>
  [...before.participants.values()]
    .filter((one) => (one.inCall & InCall.IN_CALL) !== 0)
    .filter((one) => ((after.participants.get(one.session)?.inCall ?? 0) & InCall.IN_CALL) === 0)
    .map((one) => one.session)
