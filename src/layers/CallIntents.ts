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
  readonly remove: (viewer: Viewer) => void
  /** Forgets everybody: the call is over, without a grace period. */
  readonly clear: () => void
  /** Cleared, and nobody has asked since. */
  readonly isOver: () => boolean
  readonly setLanguage: (language: LanguageId) => void
  /** Called after every change. */
  readonly onChange: (listener: (() => void) | undefined) => void
}

export const make = (room: RoomToken, language: LanguageId): CallIntents => {
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
      current = intent.language
      servers = iceServers ?? servers
      over = false
      changed()
    },
    remove: (viewer) => {
      if (intents.delete(viewerKey(viewer))) changed()
    },
    clear: () => {
      intents.clear()
      over = true
      changed()
    },
    isOver: () => over,
    setLanguage: (next) => {
      current = next
      for (const [key, intent] of intents) intents.set(key, { ...intent, language: next })
      changed()
    },
    onChange: (next) => {
      listener = next
    }
  }
}
