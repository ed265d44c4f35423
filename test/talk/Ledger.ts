/**
 * What was said in a scenario: every word once, by whom, and when its last sound left the speaker.
 */
export interface SaidWord {
  readonly word: string
  /** Who said it, by the name of the participant. */
  readonly speaker: string
  /** `machineMs`; absent where only the order is known (Chromium's microphone). */
  readonly atMs?: number
}

export interface Ledger {
  readonly said: ReadonlyArray<SaidWord>
  readonly note: (word: SaidWord) => void
  /** A name for a session id; a participant that comes back with a new id keeps its name. */
  readonly name: (session: string, speaker: string) => void
  readonly speakerOf: (session: string) => string | undefined
}

export const make = (): Ledger => {
  const said: Array<SaidWord> = []
  const names = new Map<string, string>()
  return {
    said,
    note: (word) => said.push(word),
    name: (session, speaker) => names.set(session, speaker),
    speakerOf: (session) => names.get(session)
  }
}
