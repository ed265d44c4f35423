/**
 * Who reads a call at this moment: the intents, resolved to sessions of the HPB.
 */
import type { Intent, SessionId } from "../domain/Call.ts"
import type { LanguageId } from "../domain/Language.ts"
import { humansInCall, InCall, type Participant, type Roster } from "../domain/Roster.ts"

/** A reader keeps its key when the HPB gives it a new session id. */
export interface Reader {
  readonly key: string
  readonly session: SessionId
  readonly language: LanguageId
}

export interface Audience {
  readonly readers: ReadonlyMap<string, Reader>
  /** Language of everybody who wants captions, also of those the roster does not show (any more, or yet). */
  readonly wanted: (key: string) => LanguageId | undefined
  readonly hasEveryone: boolean
  /** Nobody wants captions. */
  readonly isEmpty: boolean
  /** Set when one message to the call reaches those who asked and nobody else: its language. */
  readonly callLanguage: LanguageId | undefined
}

export const keyOf = (participant: Participant): string =>
  participant.nextcloudSession ?? `session:${participant.session}`

/** Phone callers have no screen. */
const hasScreen = (one: Participant): boolean => !one.virtual && (one.inCall & InCall.WITH_PHONE) === 0

export const isInCall = (one: Participant): boolean =>
  (one.inCall & InCall.IN_CALL) !== 0 || (one.virtual && one.inCall !== 0)

/** Built anew for each round of captions: who asked a moment ago reads from the next one on, who left reads nothing more. */
export const audienceOf = (intents: ReadonlyArray<Intent>, roster: Roster, canReachCall: boolean): Audience => {
  const asked = new Map<string, LanguageId>()
  let everyone: LanguageId | undefined
  for (const { language, viewer } of intents) {
    if (viewer._tag === "Everyone") everyone = language
    else asked.set(viewer.session, language)
  }
  const humans = humansInCall(roster).filter(hasScreen)
  const readers = new Map<string, Reader>()
  const add = (one: Participant, language: LanguageId | undefined) => {
    if (language !== undefined) readers.set(keyOf(one), { key: keyOf(one), session: one.session, language })
  }
  for (const one of roster.participants.values()) {
    // A viewer's request can be faster than its "in call"; its page ignores what comes before.
    if (one.session !== roster.self) add(one, asked.get(keyOf(one)))
  }
  if (everyone !== undefined) for (const one of humans) if (!readers.has(keyOf(one))) add(one, everyone)

  const languages = new Set([...readers.values()].map((reader) => reader.language))
  const inCall = new Set(humans.map(keyOf))
  const isWhole = humans.every((one) => readers.has(keyOf(one))) && [...readers.keys()].every((key) => inCall.has(key))
  const [language] = languages
  return {
    readers,
    wanted: (key) => asked.get(key) ?? everyone,
    hasEveryone: everyone !== undefined,
    isEmpty: intents.length === 0,
    callLanguage: canReachCall && isWhole && languages.size === 1 ? language : undefined
  }
}

/** Readers apart from these speakers: nobody's page shows its own words. */
export const readersBeside = (audience: Audience, speakers: ReadonlyArray<SessionId>): ReadonlyArray<Reader> =>
  [...audience.readers.values()].filter((reader) => !speakers.includes(reader.session))
