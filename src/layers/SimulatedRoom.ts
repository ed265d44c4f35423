/**
 * One room of the simulated HPB: who is in it, who is in the call, and the events that tell everybody. Plain and synchronous.
 */
import { isDeepStrictEqual } from "node:util"

/** Somebody in a room: a person of the simulator, or a service over a websocket. */
export interface Member {
  readonly sessionId: string
  /** People only. */
  readonly person?: { readonly nextcloudSession: string; readonly userId: string; readonly name: string }
  readonly deliver: (message: object) => void
  /** The room is gone. */
  readonly onRemoved: () => void
}

export interface SimulatedRoom {
  readonly token: string
  readonly join: (member: Member, inCall: number) => void
  readonly leave: (sessionId: string) => void
  readonly setInCall: (sessionId: string, flags: number) => void
  /** Shows one member who is in the call. */
  readonly repeatParticipants: (sessionId: string) => void
  readonly has: (sessionId: string) => boolean
  /** To one member; nothing when it is not here. */
  readonly tell: (sessionId: string, message: object) => void
  /** Transient data: everybody here is told when it changes; forgotten when nobody is here. */
  readonly keep: (key: string, value: unknown) => void
  /** To everybody but the sender, or to those in the call but the sender. */
  readonly broadcast: (sender: string, message: object, to: "room" | "call") => void
  /** A moderator ends the call for everybody. */
  readonly endForAll: (isTold: boolean) => void
  /** The conversation is deleted: services are told, everybody is out. */
  readonly remove: () => void
}

export const make = (token: string): SimulatedRoom => {
  const members = new Map<string, Member>()
  const inCall = new Map<string, number>()
  const kept = new Map<string, unknown>()

  const toAll = (message: object) => {
    for (const member of members.values()) member.deliver(message)
  }
  const roomEvent = (type: "join" | "leave", entries: ReadonlyArray<unknown>) => ({
    type: "event",
    event: { target: "room", type, [type]: entries }
  })
  /** Nextcloud's list of those in the call, those who have just left it, and every service. */
  const participants = (changed?: string) => ({
    type: "event",
    event: {
      target: "participants",
      type: "update",
      update: {
        roomid: token,
        users: [...members.values()]
          .filter(({ person, sessionId }) => !person || inCall.get(sessionId) !== 0 || sessionId === changed)
          .map((member) => userEntry(member, inCall.get(member.sessionId) ?? 0))
      }
    }
  })

  return {
    token,
    join: (member, flags) => {
      const others = [...members.values()].map(joinEntry)
      members.set(member.sessionId, member)
      inCall.set(member.sessionId, flags)
      if (others.length > 0) member.deliver(roomEvent("join", others))
      toAll(roomEvent("join", [joinEntry(member)]))
      // Nextcloud says nothing about somebody who is only in the room; the HPB tells about services by itself.
      if (member.person === undefined) toAll(participants())
      else member.deliver(participants())
    },
    leave: (sessionId) => {
      const member = members.get(sessionId)
      if (member === undefined) return
      members.delete(sessionId)
      inCall.delete(sessionId)
      if (members.size === 0) kept.clear()
      toAll(roomEvent("leave", [sessionId]))
      if (member.person === undefined) toAll(participants())
    },
    setInCall: (sessionId, flags) => {
      if (!members.has(sessionId) || inCall.get(sessionId) === flags) return
      inCall.set(sessionId, flags)
      toAll(participants(sessionId))
    },
    repeatParticipants: (sessionId) => members.get(sessionId)?.deliver(participants()),
    has: (sessionId) => members.has(sessionId),
    tell: (sessionId, message) => members.get(sessionId)?.deliver(message),
    keep: (key, value) => {
      const old = kept.get(key)
      if (members.size === 0 || isDeepStrictEqual(old, value)) return
      kept.set(key, value)
      const change = { type: "set", key, value, ...(old === undefined ? {} : { oldvalue: old }) }
      toAll({ type: "transient", transient: change })
    },
    broadcast: (sender, message, to) => {
      for (const { deliver, sessionId } of members.values()) {
        const isReached = to === "room" || ((inCall.get(sessionId) ?? 0) & 1) !== 0
        if (sessionId !== sender && isReached) deliver(message)
      }
    },
    endForAll: (isTold) => {
      for (const { person, sessionId } of members.values()) if (person) inCall.set(sessionId, 0)
      const update = { roomid: token, incall: 0, all: true }
      if (isTold) toAll({ type: "event", event: { target: "participants", type: "update", update } })
    },
    remove: () => {
      const all = [...members.values()]
      members.clear()
      inCall.clear()
      kept.clear()
      for (const { deliver, onRemoved, person } of all) {
        if (person === undefined) deliver({ type: "event", event: { target: "room", type: "delete" } })
        deliver({ type: "room", room: { roomid: "" } })
        onRemoved()
      }
    }
  }
}

const joinEntry = ({ person, sessionId }: Member) => ({
  sessionid: sessionId,
  userid: person?.userId ?? "",
  ...(person === undefined ? {} : { user: { displayname: person.name }, roomsessionid: person.nextcloudSession })
})

const userEntry = ({ person, sessionId }: Member, inCall: number) => {
  const lastPing = Math.floor(Date.now() / 1000)
  if (person === undefined) return { internal: true, inCall, sessionId, lastPing }
  return {
    actorType: "users",
    actorId: person.userId,
    userId: person.userId,
    displayName: person.name,
    nextcloudSessionId: person.nextcloudSession,
    sessionId,
    participantType: 3,
    participantPermissions: 254,
    lastPing,
    inCall
  }
}
