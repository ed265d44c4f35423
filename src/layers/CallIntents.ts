/**
 * The intents of one room: who reads, and in which language. The only truth about whether a call runs.
 */
import { type IceServer, type Intent, type RoomToken, type Viewer, viewerKey } from "../domain/Call.ts"
import type { LanguageId } from "../domain/Language.ts"
import { type Privacy, strictest } from "../domain/Privacy.ts"

export interface CallIntents {
  readonly room: RoomToken
  readonly list: () => ReadonlyArray<Intent>
  /** What the room is heard in: the newest choice. */
  readonly language: () => LanguageId
  /** As strict as anybody has asked since the room was wanted; everybody's intent says so too. */
  readonly privacy: () => Privacy
  /** Given with the request in service mode; never stored anywhere else. */
  readonly iceServers: () => ReadonlyArray<IceServer> | undefined
  readonly add: (intent: Intent, iceServers: ReadonlyArray<IceServer> | undefined) => void
  /** One that an earlier process knew: nothing that was asked of this one is overruled, and it is not recorded again. */
  readonly restore: (intent: Intent, iceServers?: ReadonlyArray<IceServer>) => void
  readonly remove: (viewer: Viewer) => void
  /** Forgets everybody: the call is over, without a grace period. */
  readonly clear: () => void
  /** Cleared, and nobody has asked since. */
  readonly isOver: () => boolean
  readonly setLanguage: (language: LanguageId) => void
  /** Called after every change. */
  readonly onChange: (listener: (() => void) | undefined) => void
}

/** Told of every intent that is new or changed, and of every one that is not wanted any more. */
export type RecordIntent = (intent: Intent, isWanted: boolean) => void

export const make = (room: RoomToken, language: LanguageId, record: RecordIntent = () => {}): CallIntents => {
  const intents = new Map<string, Intent>()
  let current = language
  let privacy: Privacy = "any"
  let servers: ReadonlyArray<IceServer> | undefined
  let over = false
  let listener: (() => void) | undefined
  // Read for every caption, changed by a click: kept as an array.
  let list: ReadonlyArray<Intent> = []
  const changed = () => {
    list = [...intents.values()]
    listener?.()
  }
  const set = (intent: Intent) => {
    intents.set(viewerKey(intent.viewer), intent)
    record(intent, true)
  }
  const restrict = (intent: Intent) => {
    if (strictest(privacy, intent.privacy) === privacy) return
    privacy = strictest(privacy, intent.privacy)
    for (const other of intents.values()) set({ ...other, privacy })
  }
  return {
    room,
    list: () => list,
    language: () => current,
    privacy: () => privacy,
    iceServers: () => servers,
    add: (intent, iceServers) => {
      restrict(intent)
      set(privacy === "any" ? intent : { ...intent, privacy })
      current = intent.language
      servers = iceServers ?? servers
      over = false
      changed()
    },
    restore: (intent, iceServers) => {
      servers ??= iceServers
      const key = viewerKey(intent.viewer)
      restrict(intent)
      if (intents.has(key)) return
      intents.set(key, intent)
      changed()
    },
    remove: (viewer) => {
      const removed = intents.get(viewerKey(viewer))
      if (removed === undefined) return
      intents.delete(viewerKey(viewer))
      record(removed, false)
      changed()
    },
    clear: () => {
      for (const intent of intents.values()) record(intent, false)
      intents.clear()
      privacy = "any"
      over = true
      changed()
    },
    isOver: () => over,
    setLanguage: (next) => {
      current = next
      for (const intent of intents.values()) set({ ...intent, language: next })
      changed()
    },
    onChange: (next) => {
      listener = next
    }
  }
}
