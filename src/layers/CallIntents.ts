/**
 * The intents of one room: who reads, and in which language. The only truth about whether a call runs.
 */
import { type IceServer, type Intent, type RoomToken, type Viewer, viewerKey } from "../domain/Call.ts"
import type { LanguageId } from "../domain/Language.ts"

export interface CallIntents {
  readonly room: RoomToken
  readonly list: () => ReadonlyArray<Intent>
  /** What the room is heard in: the newest choice. */
  readonly language: () => LanguageId
  /** Given with the request in service mode; never stored anywhere else. */
  readonly iceServers: () => ReadonlyArray<IceServer> | undefined
  readonly add: (intent: Intent, iceServers: ReadonlyArray<IceServer> | undefined) => void
  /** One that an earlier process knew: nothing that was asked of this one is overruled, and it is not recorded again. */
  readonly restore: (intent: Intent) => void
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
  let servers: ReadonlyArray<IceServer> | undefined
  let over = false
  let listener: (() => void) | undefined
  // Read for every caption, changed by a click: kept as an array.
  let list: ReadonlyArray<Intent> = []
  const changed = () => {
    list = [...intents.values()]
    listener?.()
  }
  return {
    room,
    list: () => list,
    language: () => current,
    iceServers: () => servers,
    add: (intent, iceServers) => {
      intents.set(viewerKey(intent.viewer), intent)
      record(intent, true)
      current = intent.language
      servers = iceServers ?? servers
      over = false
      changed()
    },
    restore: (intent) => {
      const key = viewerKey(intent.viewer)
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
      over = true
      changed()
    },
    isOver: () => over,
    setLanguage: (next) => {
      current = next
      for (const [key, intent] of intents) {
        const heard = { ...intent, language: next }
        intents.set(key, heard)
        record(heard, true)
      }
      changed()
    },
    onChange: (next) => {
      listener = next
    }
  }
}
