/**
 * The captions of one call by Talk's rules: lines (what each voice has to say), turn-taking (whose block is open) and the outbox (who gets
 * it) brought together. Plain and synchronous: `publish` does at once what can be done at once, `attend` does what has become due.
 */
import type { Intent, SessionId } from "../domain/Call.ts"
import type { Caption } from "../domain/Caption.ts"
import { offsetBehind } from "../domain/Remainder.ts"
import type { SignalingSession } from "../services/Signaling.ts"
import type { UnsaidText } from "../services/SpeechJournal.ts"
import { type Audience, audienceOf, readersBeside } from "./CaptionAudience.ts"
import * as CaptionLine from "./CaptionLine.ts"
import * as CaptionOutbox from "./CaptionOutbox.ts"
import * as CaptionSpeakers from "./CaptionSpeakers.ts"
import * as CaptionVoices from "./CaptionVoices.ts"
import * as TurnTaking from "./TurnTaking.ts"

/** How long a token was under way in here until a message carried it, and why. */
export interface CaptionDelay {
  readonly totalMs: number
  /** Part of it: the speaker waited for its turn. */
  readonly turnMs: number
  /** Part of it: the last caption of the segment was too fresh. */
  readonly pacingMs: number
}

/** What is worth counting. Never any text. */
export interface CaptionObserver {
  readonly onSent: (kind: "partial" | "final") => void
  readonly onResent: () => void
  readonly onDropped: (reason: string, count: number) => void
  readonly onDelay: (delay: CaptionDelay) => void
}

export interface CallCaptionsOptions {
  readonly session: SignalingSession
  readonly intents: () => ReadonlyArray<Intent>
  readonly now: () => number
  readonly observer: CaptionObserver
}

export interface CallCaptions extends Pick<CaptionOutbox.CaptionOutbox, "doubt" | "needsProof" | "isProven"> {
  readonly publish: (caption: Caption) => void
  readonly speakerLeft: (speaker: SessionId) => void
  readonly resumed: (upTo?: number) => void
  readonly rejoined: () => void
  /** Everything known is said as final, as far as it can be. */
  readonly finish: () => void
  /** Does what is due. */
  readonly attend: () => void
  /** When something will be due; infinite when only an event can change anything. */
  readonly dueMs: () => number
  readonly prove: () => (isProven: boolean) => void
  /** What was published and is in no final that is on its way, in the order in which it is to be said. */
  readonly unsaid: () => ReadonlyArray<UnsaidText>
  /** Everything is said and proven. */
  readonly isSettled: () => boolean
}

/** How often is looked for somebody whose arrival no event announces to us. */
const lookMs = 200
/** How often open blocks are looked after: readers leave without an event to us, and a voice can end without its final. */
const tendMs = 1_000
/** A block that does not grow for so long is finished: no engine is silent about an open segment longer. */
const idleMs = 10_000

export const make = ({ intents, now, observer, session }: CallCaptionsOptions): CallCaptions => {
  const speakers = CaptionSpeakers.make(session)
  const voices = CaptionVoices.make({ speakers, now })
  const turns = TurnTaking.make()
  let waitsForPeople = false
  let paceMs = Number.POSITIVE_INFINITY

  const { whereIs } = voices
  const outbox = CaptionOutbox.make({
    session,
    whereIs: ({ key, session }) => speakers.whereIs(session, key),
    openBlocks: () => voices.all().flatMap((voice) => voice.block ?? []),
    onSent: observer.onSent,
    onResent: observer.onResent,
    onDropped: (reason) => observer.onDropped(reason, 1)
  })

  const rivalsIn =
    (audience: Audience): TurnTaking.AreRivals =>
    (one, other) => {
      const [a, b] = [voices.get(one), voices.get(other)]
      if (a === undefined || b === undefined) return false
      const speakers = [a, b].map((voice) => whereIs(voice) ?? voice.speaker)
      return audience.hasEveryone || readersBeside(audience, speakers).length > 0
    }

  const end = (voice: CaptionVoices.Voice) => {
    voice.block = undefined
    voice.leftOver = ""
    turns.ended(voice.key)
  }

  /** Ends what stands open of a voice, exactly as it was shown. */
  const close = (voice: CaptionVoices.Voice, audience: Audience, nowMs: number) => {
    const { block, line } = voice
    const shown = line.shown()
    if (block === undefined || shown === undefined) return
    const isGone = whereIs(voice) !== block.speaker.session
    // Pages have dropped a speaker whose id is void, and its open text stays as it is: a final for it would be ignored.
    if (!isGone && !outbox.final(block, shown, audience, nowMs)) return
    line.cut(isGone ? block.proven : shown)
    end(voice)
  }

  const note = (voice: CaptionVoices.Voice, tokens: ReadonlyArray<CaptionLine.Token>, nowMs: number) => {
    const turnWaitMs = voice.askedMs === undefined ? 0 : nowMs - voice.askedMs
    voice.askedMs = undefined
    for (const { atMs, publishedMs } of tokens) {
      const turnMs = Math.min(turnWaitMs, nowMs - publishedMs)
      const pacingMs = Math.min(nowMs - publishedMs - turnMs, CaptionLine.partialEveryMs)
      observer.onDelay({ totalMs: nowMs - atMs, turnMs, pacingMs })
    }
  }

  /** Whether it is the voice's turn to begin; interrupts who has to be interrupted. */
  const mayBegin = (voice: CaptionVoices.Voice, audience: Audience, nowMs: number): boolean => {
    const wish = { sinceMs: voice.line.unsaidSinceMs() ?? nowMs, areRivals: rivalsIn(audience) }
    let turn = turns.ask(voice.key, nowMs, wish)
    if (turn._tag === "Interrupt") {
      for (const key of turn.whom) {
        const other = voices.get(key)
        if (other !== undefined) close(other, audience, nowMs)
      }
      turn = turns.ask(voice.key, nowMs, wish)
    }
    if (turn._tag !== "Speak") voice.askedMs ??= nowMs
    return turn._tag === "Speak"
  }

  /** The speaker is not in the call (yet, or any more): pages would drop what it says. */
  const miss = (voice: CaptionVoices.Voice, nowMs: number) => {
    turns.withdrew(voice.key)
    waitsForPeople = true
    voice.absentSinceMs ??= nowMs
    if (nowMs - voice.absentSinceMs < CaptionSpeakers.absentMs) return
    const reason = voices.isGone(voice) ? "caption_speaker_left" : "caption_speaker_unknown"
    observer.onDropped(reason, voice.line.giveUp())
    turns.ended(voice.key)
    voices.forget(voice)
  }

  /** Sends at most one caption of a voice. `true`: something changed. */
  const advance = (voice: CaptionVoices.Voice, audience: Audience, nowMs: number): boolean => {
    const { key, line } = voice
    if (!line.hasUnsaid()) {
      turns.withdrew(key)
      return false
    }
    const where = whereIs(voice)
    if (where === undefined) {
      miss(voice, nowMs)
      return false
    }
    voice.absentSinceMs = undefined
    voices.recognise(voice)
    if (voice.block !== undefined) {
      const areRivals = rivalsIn(audience)
      const others = turns.openRivals(key, areRivals).flatMap((other) => voices.get(other) ?? [])
      for (const other of others) close(other, audience, nowMs)
      if (voice.block.speaker.session !== where || !outbox.isValid(voice.block, audience)) {
        close(voice, audience, nowMs)
        return true
      }
    } else if (voices.isBehind(voice) || !mayBegin(voice, audience, nowMs)) return false

    const step = line.next(nowMs, turns.isContested(key, rivalsIn(audience)))
    if (step._tag === "Idle") {
      paceMs = Math.min(paceMs, step.untilMs)
      return false
    }
    const speaker = { session: where, key: voice.speakerKey }
    const block = voice.block ?? outbox.begin({ speaker, proven: voice.leftOver }, audience)
    if (block === undefined) return false
    if (step._tag === "Partial") {
      if (!outbox.partial(block, step.text, audience, nowMs)) return false
      voice.block = block
      turns.opened(key)
    } else {
      if (!outbox.final(block, step.text, audience, nowMs)) return false
      const isLate = step.text.length < (line.shown()?.length ?? 0)
      end(voice)
      // What readers have behind a late cut is the beginning of the next block.
      if (isLate) voice.leftOver = block.proven.slice(offsetBehind(step.text, block.proven)).trim()
    }
    const tokens = line.did(step, nowMs)
    if (readersBeside(audience, [where]).length > 0) note(voice, tokens, nowMs)
    return true
  }

  /** Those who wait for their turn, the others; each by the age of what they have to say. */
  const inOrder = (): Array<CaptionVoices.Voice> => {
    const rank = (voice: CaptionVoices.Voice) => (turns.isWaiting(voice.key) ? 0 : 1)
    const since = (voice: CaptionVoices.Voice) => voice.line.unsaidSinceMs() ?? 0
    return voices.all().sort((one, other) => rank(one) - rank(other) || since(one) - since(other))
  }

  /** Ends blocks which nobody continues, or nobody reads. */
  const tend = (audience: Audience, nowMs: number) => {
    for (const voice of voices.all()) {
      if (audience.isEmpty) voice.line.skip()
      else if (voice.block === undefined) continue
      else if (outbox.isUnread(voice.block, audience)) voice.line.cut(voice.line.shown() ?? "")
      else {
        if (nowMs - voice.heardMs >= idleMs && outbox.canSend()) close(voice, audience, nowMs)
        continue
      }
      end(voice)
    }
  }

  const attend = () => {
    const nowMs = now()
    const audience = audienceOf(intents(), session.roster(), session.canReachCall())
    outbox.attend(audience, nowMs)
    tend(audience, nowMs)
    waitsForPeople = false
    paceMs = Number.POSITIVE_INFINITY
    let moved = true
    while (moved && outbox.canSend()) moved = inOrder().some((voice) => advance(voice, audience, nowMs))
  }

  const back = () => {
    for (const voice of voices.all()) voice.line.repeat()
    attend()
  }

  return {
    publish: ({ segment, speaker }) => {
      const voice = voices.of(speaker, segment)
      const gone = voice.line.take(segment, now())
      if (gone > 0) observer.onDropped("caption_backlog", gone)
      attend()
    },
    speakerLeft: (speaker) => {
      if (!speakers.left(speaker, now())) return
      outbox.left(speaker, now())
      for (const voice of voices.all()) {
        if (voice.block?.speaker.session !== speaker) continue
        voice.line.cut(voice.block.standing)
        end(voice)
      }
      attend()
    },
    doubt: outbox.doubt,
    resumed: (upTo) => {
      outbox.resumed(now(), upTo)
      back()
    },
    rejoined: () => {
      speakers.rejoined(now())
      outbox.rejoined(now())
      back()
    },
    finish: () => {
      for (const voice of voices.all()) voice.line.hurry()
      attend()
    },
    attend,
    dueMs: () => {
      const isOpen = voices.all().some((voice) => voice.block !== undefined)
      const wait = waitsForPeople || outbox.isWaiting() ? lookMs : isOpen ? tendMs : Number.POSITIVE_INFINITY
      const look = now() + wait
      return outbox.canSend() ? Math.min(look, paceMs, turns.deadline(now())) : look
    },
    needsProof: outbox.needsProof,
    isProven: outbox.isProven,
    prove: () => {
      const verdict = outbox.prove()
      return (isProven) => {
        verdict(isProven, now())
        attend()
      }
    },
    unsaid: () => {
      const held = outbox
        .held(now())
        .map(({ speaker, text }) => ({ speaker, voice: `${speaker} held`, texts: [text], ahead: "" }))
      // pages continue only the last block: what stands open there is finished before others say a word
      const openFirst = voices
        .all()
        .sort((one, other) => Number(other.block !== undefined) - Number(one.block !== undefined))
      const said = openFirst.map(({ id, line, speaker }) => ({ voice: id, speaker, ...line.unsaid() }))
      return [...held, ...said.filter(({ ahead, texts }) => texts.length > 0 || ahead !== "")]
    },
    isSettled: () =>
      outbox.isSettled() && voices.all().every((voice) => !voice.line.hasUnsaid() || whereIs(voice) === undefined)
  }
}
