/**
 * A person in a simulated call, without the call's technique: a session on the HPB that can be lost and made anew.
 */
import { randomUUID } from "node:crypto"
import * as SimulatedHello from "./SimulatedHello.ts"
import type { SimulatedHpb } from "./SimulatedHpb.ts"

export interface SimulatedPerson {
  readonly name: string
  readonly room: string
  /** New after every restart of the HPB. */
  readonly sessionId: () => string
  /** What Nextcloud knows the person's browser by; new after a reload of the page. */
  readonly nextcloudSession: () => string
  /** Everything the browser receives. */
  readonly onMessage: (listener: (message: object) => void) => void
  /** Into the room, with a new session. */
  readonly enter: () => void
  readonly setInCall: (flags: number) => void
  /** Out of the room. */
  readonly leave: () => void
  /** Loses everything the browser had: the next `enter` is somebody new to Nextcloud too. */
  readonly reload: () => void
}

export const make = (hpb: SimulatedHpb, options: { readonly name: string; readonly room: string }): SimulatedPerson => {
  const { name, room } = options
  const listeners: Array<(message: object) => void> = []
  const userId = name.toLowerCase().replaceAll(/\W+/g, "-")
  const newNextcloudSession = () => `${userId}-${randomUUID()}`
  let nextcloudSession = newNextcloudSession()
  let sessionId = ""

  const leave = () => hpb.room(room).leave(sessionId)
  return {
    name,
    room,
    sessionId: () => sessionId,
    nextcloudSession: () => nextcloudSession,
    onMessage: (listener) => {
      listeners.push(listener)
    },
    enter: () => {
      sessionId = SimulatedHello.randomId()
      const deliver = (message: object) => {
        for (const listener of listeners) listener(message)
      }
      hpb.room(room).join({ sessionId, person: { nextcloudSession, userId, name }, deliver, onRemoved: () => {} }, 0)
    },
    setInCall: (flags) => hpb.room(room).setInCall(sessionId, flags),
    leave,
    reload: () => {
      leave()
      nextcloudSession = newNextcloudSession()
    }
  }
}
