/**
 * From the HPB's events to who is in the room: a pure reducer.
 *
 * Nextcloud says two kinds of lists through the same message. The *in-call* list names the sessions in the call and those which changed,
 * with their Nextcloud sessions; the *participants* list names everybody in the room, without. A session can be missing in a list only
 * because the HPB could not map it at that moment, and the HPB repeats the last in-call list whenever an internal session changes. So
 * missing proves something only in two different in-call lists, one after the other.
 */
import { Option } from "effect"
import type { SessionId } from "../domain/Call.ts"
import { emptyRoster, forget, InCall, learn, type News, type Roster } from "../domain/Roster.ts"
import { decodeJoinEntry, decodeSessionId, decodeUserEntry, type RoomEvent, type UserEntry } from "./SpreedProtocol.ts"

export interface RosterState {
  readonly roster: Roster
  /** Who is in the call but was missing in the newest in-call list. */
  readonly missing: ReadonlySet<SessionId>
  /** The newest in-call list, to recognise its repetition. */
  readonly inCallList: string
  /** Entries which could not be read, so far. */
  readonly unreadable: number
}

export const enter = (self: SessionId): RosterState => ({
  roster: { ...emptyRoster, self },
  missing: new Set(),
  inCallList: "",
  unreadable: 0
})

/** The state after an event of the room; the roster is the same object when nobody came, went or changed. */
export const apply = (state: RosterState, event: RoomEvent): RosterState => {
  if (event.target === "participants") {
    if (event.type === "flags") return learned(state, [virtualNews(event.flags)])
    return "users" in event.update ? update(state, event.update.users) : endForAll(state)
  }
  if (event.target !== "room") return state
  if (event.type === "join") return join(state, event.join)
  if (event.type === "change") return join(state, event.change)
  if (event.type === "leave") return leave(state, event.leave)
  return event.type === "delete"
    ? { ...state, roster: forget(state.roster, [...state.roster.participants.keys()]) }
    : state
}

/** What a participant's own client says about its microphone. */
export const mute = (state: RosterState, session: SessionId, muted: boolean): RosterState =>
  state.roster.participants.has(session) ? learned(state, [{ session, muted }]) : state

const learned = (state: RosterState, news: ReadonlyArray<News>, unreadable = 0): RosterState => ({
  ...state,
  roster: learn(state.roster, news),
  unreadable: state.unreadable + unreadable
})

const join = (state: RosterState, entries: ReadonlyArray<unknown>): RosterState => {
  const people = entries.map((entry) => decodeJoinEntry(entry)).filter(Option.isSome)
  const news = people.map(
    ({ value }): News => ({
      session: value.sessionid,
      ...named(value.user?.displayname),
      ...(value.userid ? { userId: value.userid } : {}),
      ...(value.roomsessionid === undefined ? {} : { nextcloudSession: value.roomsessionid })
    })
  )
  return learned(state, news, entries.length - people.length)
}

const leave = (state: RosterState, entries: ReadonlyArray<unknown>): RosterState => {
  const gone = entries.map((entry) => decodeSessionId(entry)).filter(Option.isSome)
  return {
    ...state,
    roster: forget(
      state.roster,
      gone.map(({ value }) => value)
    ),
    unreadable: state.unreadable + entries.length - gone.length
  }
}

const update = (state: RosterState, entries: ReadonlyArray<unknown>): RosterState => {
  const people = entries.map((entry) => readUser(entry)).filter((one) => one !== undefined)
  const humans = people.filter(({ entry }) => entry.internal !== true && entry.virtual !== true)
  const after = learned(
    state,
    people.map(({ news }) => news),
    entries.length - people.length
  )
  if (!humans.some(({ entry }) => entry.nextcloudSessionId !== undefined)) return after
  const inCallList = JSON.stringify(
    humans.map(({ entry, news }) => [news.session, entry.inCall, entry.lastPing]).sort()
  )
  if (inCallList === state.inCallList) return after
  return withoutTheMissing({ ...after, inCallList }, new Set(humans.map(({ news }) => news.session)))
}

/** Whoever was missing before and is missing again has left the call. */
const withoutTheMissing = (state: RosterState, listed: ReadonlySet<SessionId>): RosterState => {
  const missing = [...state.roster.participants.values()]
    .filter((one) => one.inCall !== 0 && !one.internal && !one.virtual && one.session !== state.roster.self)
    .map(({ session }) => session)
    .filter((session) => !listed.has(session))
  const left = missing.filter((session) => state.missing.has(session))
  return {
    ...learned(
      state,
      left.map((session) => ({ session, inCall: 0 }))
    ),
    missing: new Set(missing.filter((session) => !left.includes(session)))
  }
}

const endForAll = (state: RosterState): RosterState => ({
  ...learned(
    state,
    [...state.roster.participants.keys()].map((session) => ({ session, inCall: 0 }))
  ),
  missing: new Set()
})

const readUser = (unread: unknown): { readonly entry: UserEntry; readonly news: News } | undefined => {
  const read = decodeUserEntry(unread)
  if (Option.isNone(read)) return undefined
  const entry = read.value
  const session = entry.sessionId ?? entry.sessionid
  if (session === undefined) return undefined
  const news: News = {
    session,
    ...named(entry.displayName),
    ...(entry.userId ? { userId: entry.userId } : {}),
    ...(entry.nextcloudSessionId === undefined ? {} : { nextcloudSession: entry.nextcloudSessionId }),
    ...(entry.inCall === undefined ? {} : { inCall: flagsOf(entry.inCall) }),
    ...(entry.internal === true ? { internal: true } : {}),
    ...(entry.virtual === true ? { virtual: true } : {})
  }
  return { entry, news }
}

/** Old servers only say whether, not with what. */
const flagsOf = (inCall: number | boolean): number => {
  if (typeof inCall === "number") return inCall
  return inCall ? InCall.IN_CALL | InCall.WITH_AUDIO | InCall.WITH_VIDEO : 0
}

/** 1 muted, 2 deafened, 4 talking. */
const virtualNews = ({ flags, sessionid }: { readonly flags: number; readonly sessionid: SessionId }): News => ({
  session: sessionid,
  virtual: true,
  muted: (flags & 1) !== 0,
  talking: (flags & 4) !== 0
})

/** Names are for status pages and feeds; nobody's is longer. */
const maxNameLength = 200
const named = (name: string | undefined): { readonly name?: string } =>
  name === undefined || name === "" ? {} : { name: name.slice(0, maxNameLength) }
