/**
 * Who of those who asked is there to read, and whether the call still needs us. Plain and synchronous; time is an argument.
 */
import { type Intent, type NextcloudSessionId, type Viewer, viewerKey } from "../domain/Call.ts"
import { humansInCall, InCall, type Roster, sessionOf } from "../domain/Roster.ts"

export interface PresenceInput {
  readonly intents: ReadonlyArray<Intent>
  readonly roster: Roster
  readonly nowMs: number
}

export interface PresenceDecision {
  /** Somebody reads: speakers are heard. */
  readonly hearing: boolean
  /** Viewers who are gone for good. */
  readonly forget: ReadonlyArray<Viewer>
  /** Nobody needs us any more. */
  readonly leave: boolean
}

/** A viewer's session as it was when it was seen first. */
interface Seen {
  readonly userId: string | undefined
  /** Further devices of the same user, which were there then. */
  readonly beside: ReadonlySet<NextcloudSessionId>
}

export interface CallPresence {
  /** Only while joined: a dropped socket says nothing about people. */
  readonly review: (input: PresenceInput) => PresenceDecision
  /** The room was joined anew: everybody seems absent until they are back. */
  readonly rejoined: () => void
}

export interface PresenceLimits {
  /** Room membership without viewers. 60 s as Nextcloud's own app: who switches captions off and on again waits for nothing. */
  readonly graceMs: number
  /**
   * A viewer who is not in the call is forgotten, at once if the same user's page was loaded anew. After an HPB restart browsers need up
   * to half a minute to come back.
   */
  readonly absenceMs: number
  /** Nobody at all is in the call; long enough for a reload of the last one. */
  readonly emptyMs: number
  /** A call started for everybody before anybody came. */
  readonly waitForFirstMs: number
}

export const defaultLimits: PresenceLimits = {
  graceMs: 60_000,
  absenceMs: 60_000,
  emptyMs: 10_000,
  waitForFirstMs: 600_000
}

export const make = (limits: PresenceLimits): CallPresence => {
  const absentSince = new Map<string, number>()
  const seen = new Map<string, Seen>()
  let emptySince: number | undefined
  let unreadSince: number | undefined
  let wasFull = false
  let emptyLimitMs = limits.emptyMs

  const isGone = (viewer: Viewer, roster: Roster, present: boolean, nowMs: number): boolean => {
    const key = viewerKey(viewer)
    const before = seen.get(key)
    if (present) {
      if (before === undefined) seen.set(key, seenNow(viewer, roster))
      absentSince.delete(key)
      return false
    }
    if (before !== undefined && hasReloaded(viewer, before, roster)) return true
    const since = absentSince.get(key) ?? nowMs
    absentSince.set(key, since)
    const patience = viewer._tag === "Everyone" && !seen.has(key) ? limits.waitForFirstMs : limits.absenceMs
    return nowMs - since >= patience
  }

  const review = ({ intents, nowMs, roster }: PresenceInput): PresenceDecision => {
    const people = humansInCall(roster).length
    if (people > 0) {
      wasFull = true
      emptyLimitMs = limits.emptyMs
    }
    emptySince = people > 0 ? undefined : (emptySince ?? nowMs)
    const isEmpty = wasFull && emptySince !== undefined && nowMs - emptySince >= emptyLimitMs

    const present = intents.filter((intent) => isPresent(intent.viewer, roster, people))
    const forget = intents
      .filter((intent) => isGone(intent.viewer, roster, present.includes(intent), nowMs) || isEmpty)
      .map((intent) => intent.viewer)
    for (const viewer of forget) {
      absentSince.delete(viewerKey(viewer))
      seen.delete(viewerKey(viewer))
    }

    unreadSince = intents.length > forget.length ? undefined : (unreadSince ?? nowMs)
    const isUnread = unreadSince !== undefined && nowMs - unreadSince >= limits.graceMs
    return { hearing: present.length > 0, forget, leave: isEmpty || isUnread }
  }

  return {
    review,
    rejoined: () => {
      emptySince = undefined
      emptyLimitMs = limits.absenceMs
      absentSince.clear()
    }
  }
}

/** Sessions of this user in the call. */
const sessionsOf = (roster: Roster, userId: string): Array<NextcloudSessionId> =>
  humansInCall(roster).flatMap((one) =>
    one.userId === userId && one.nextcloudSession !== undefined ? [one.nextcloudSession] : []
  )

const seenNow = (viewer: Viewer, roster: Roster): Seen => {
  const userId = viewer._tag === "Everyone" ? undefined : sessionOf(roster, viewer.session)?.userId
  return { userId, beside: new Set(userId === undefined ? [] : sessionsOf(roster, userId)) }
}

/** A session of the same user that came after it: the page of a session that left was loaded anew. */
const hasReloaded = (viewer: Viewer, { beside, userId }: Seen, roster: Roster): boolean =>
  viewer._tag === "Participant" &&
  userId !== undefined &&
  sessionsOf(roster, userId).some((session) => session !== viewer.session && !beside.has(session))

const isPresent = (viewer: Viewer, roster: Roster, people: number): boolean => {
  if (viewer._tag === "Everyone") return people > 0
  const participant = sessionOf(roster, viewer.session)
  return participant !== undefined && (participant.inCall & InCall.IN_CALL) !== 0
}
