/**
 * The way of captions to the HPB: who gets them by which route, what is proven to have been read there, what is sent again.
 *
 * The HPB acknowledges nothing. A confirmation (see `SignalingSession.confirm`) proves everything sent before it; finals that are not
 * proven when the socket is lost are sent again when it is back, to those who still read. Plain and synchronous; time is an argument.
 */
import type { SessionId } from "../domain/Call.ts"
import type { LanguageId } from "../domain/Language.ts"
import { offsetBehind } from "../domain/Remainder.ts"
import type { Recipient, SignalingSession } from "../services/Signaling.ts"
import { type Audience, readersBeside } from "./CaptionAudience.ts"

/** Finals kept until they are proven; the oldest goes first, counted. */
export const maxUnproven = 1_000
/** How long after the socket is back people are waited for who have to come back themselves. */
const returnMs = 30_000
/** Without news of the session, how long it must look joined before we believe that the socket never went. */
const calmMs = 1_000

/** A speaker as pages know it, and as Nextcloud does: the key survives a new session id. */
export interface Speaker {
  readonly session: SessionId
  readonly key: string
}

/** One caption from its first partial to its final, as it stands on readers' screens. */
export interface Block {
  readonly speaker: Speaker
  /** Set: one message to the call, in this language. */
  readonly callLanguage: LanguageId | undefined
  readonly languages: Map<string, LanguageId>
  /** Sent, not proven yet. */
  partials: Array<{ readonly number: number; readonly text: string }>
  /** What readers certainly have of it. */
  proven: string
}

export interface BlockWish {
  readonly speaker: Speaker
  readonly proven: string
  readonly isUrgent: boolean
}

interface Final {
  readonly block: Block
  readonly text: string
  readonly readers: ReadonlyMap<string, LanguageId>
  /** To whom it is still to be sent. */
  pending: Map<string, LanguageId>
  untilMs: number
  number: number
}

export interface OutboxOptions {
  readonly session: SignalingSession
  /** The session id under which readers know a speaker now; `undefined` when they do not. */
  readonly whereIs: (speaker: Speaker) => SessionId | undefined
  /** Blocks that stand open on screens. */
  readonly openBlocks: () => Iterable<Block>
  readonly onSent: (kind: "partial" | "final") => void
  readonly onResent: () => void
  readonly onDropped: (reason: string) => void
}

export interface CaptionOutbox {
  /** Whether there is a point in sending now. */
  readonly canSend: () => boolean
  /**
   * A new block for the current readers, who may already have `proven` of it on their screens. `undefined` while the route changes: what
   * went by the former route must be proven first. An urgent one keeps the former route where that is right, and does not wait in any case.
   */
  readonly begin: (wish: BlockWish, audience: Audience) => Block | undefined
  /** Whether the block may go on as it began: same route, same languages. */
  readonly isValid: (block: Block, audience: Audience) => boolean
  /** All who had it on their screens have stopped reading. */
  readonly isUnread: (block: Block, audience: Audience) => boolean
  /** `false`: not sent, the socket is gone. */
  readonly partial: (block: Block, text: string, audience: Audience) => boolean
  /** Once sent it is kept until it is proven. `false`: not sent, the socket is gone. */
  readonly final: (block: Block, text: string, audience: Audience, nowMs: number) => boolean
  /** Sends what waits for somebody to come back. To be called before anything new is sent. */
  readonly attend: (audience: Audience, nowMs: number) => void
  /** Something was sent that is not proven: run the confirmation. */
  readonly needsProof: () => boolean
  /** A confirmation begins; the result takes its verdict. */
  readonly prove: () => (isProven: boolean, nowMs: number) => void
  readonly resumed: (nowMs: number) => void
  readonly rejoined: (nowMs: number) => void
  /** Everything sent is proven, nothing waits. */
  readonly isSettled: () => boolean
  /** Somebody or something is waited for without an event to tell. */
  readonly isWaiting: () => boolean
}

export const make = ({ onDropped, onResent, onSent, openBlocks, session, whereIs }: OutboxOptions): CaptionOutbox => {
  const finals: Array<Final> = []
  const known = new Set<string>()
  let sent = 0
  /** Everything up to here is proven, or known to be lost. */
  let settled = 0
  let route: "Call" | "Sessions" | undefined
  let isLost = false
  let isProving = false
  /** Grows with every new socket: a confirmation that began on a former one says nothing any more. */
  let epoch = 0
  let isBackWhileProving = false
  let calmSince: number | undefined
  let returning: { readonly keys: ReadonlySet<string>; readonly untilMs: number } | undefined

  const send = (to: Recipient, transcript: Parameters<SignalingSession["sendTranscript"]>[1]): boolean => {
    if (isLost || !session.sendTranscript(to, transcript)) {
      isLost = true
      return false
    }
    sent++
    return true
  }

  const readersOf = (block: Block, audience: Audience): ReadonlyMap<string, LanguageId> => {
    const readers = new Map<string, LanguageId>()
    for (const { key, language } of readersBeside(audience, [block.speaker.session])) {
      if (key !== block.speaker.key) readers.set(key, block.callLanguage ?? block.languages.get(key) ?? language)
    }
    return readers
  }

  const deliver = (block: Block, text: string, final: boolean, audience: Audience): boolean => {
    const readers = readersOf(block, audience)
    if (readers.size === 0) return true
    const message = { message: text, speakerSessionId: block.speaker.session, final }
    route = block.callLanguage === undefined ? "Sessions" : "Call"
    let isSent = true
    if (block.callLanguage !== undefined) isSent = send({ _tag: "Call" }, { ...message, langId: block.callLanguage })
    for (const [key, langId] of readers) {
      known.add(key)
      block.languages.set(key, langId)
      const reader = audience.readers.get(key)
      if (block.callLanguage !== undefined || reader === undefined) continue
      isSent = send({ _tag: "Session", session: reader.session }, { ...message, langId }) && isSent
    }
    if (isSent) onSent(final ? "final" : "partial")
    return isSent
  }

  /** Who was here before the session was joined anew and is still on the way back. */
  const absent = (audience: Audience, nowMs: number): Map<string, LanguageId> => {
    const keys = new Map<string, LanguageId>()
    if (returning === undefined || nowMs > returning.untilMs) return keys
    for (const key of returning.keys) {
      const language = audience.wanted(key)
      if (language !== undefined && !audience.readers.has(key)) keys.set(key, language)
    }
    return keys
  }

  const resend = (one: Final, audience: Audience, nowMs: number) => {
    const speaker = whereIs(one.block.speaker)
    // Under a new id the words go into a new block, next to what was read of the old one.
    const text =
      speaker === one.block.speaker.session ? one.text : one.text.slice(offsetBehind(one.block.proven, one.text)).trim()
    const isLate = nowMs > one.untilMs
    if (speaker === undefined && isLate) onDropped("caption_speaker_unknown")
    if (text === "" || (speaker === undefined && isLate)) one.pending.clear()
    if (speaker === undefined) return
    const message = { message: text, speakerSessionId: speaker, final: true }
    const toSend = reachable(one, speaker, audience, isLate)
    const { callLanguage } = one.block
    const isForAll = readersBeside(audience, [speaker]).every(({ key }) => toSend.has(key))
    // By the way it went first, where that is still right: what follows on that way must not overtake it.
    if (callLanguage !== undefined && callLanguage === audience.callLanguage && isForAll && toSend.size > 0) {
      if (!send({ _tag: "Call" }, { ...message, langId: callLanguage })) return
      for (const key of toSend.keys()) one.pending.delete(key)
      onResent()
    } else {
      for (const [key, { langId, session: reader }] of toSend) {
        if (!send({ _tag: "Session", session: reader }, { ...message, langId })) return
        route = "Sessions"
        one.pending.delete(key)
        onResent()
      }
    }
    if (toSend.size > 0) one.number = sent
  }

  /** Those of the pending who can be sent to now. Who will not come (any more) is struck off. */
  const reachable = (one: Final, speaker: SessionId, audience: Audience, isLate: boolean) => {
    const readers = new Map<string, { readonly langId: LanguageId; readonly session: SessionId }>()
    for (const [key, langId] of one.pending) {
      const reader = audience.readers.get(key)
      if (reader === undefined ? isLate || audience.wanted(key) === undefined : reader.session === speaker) {
        one.pending.delete(key)
      } else if (reader !== undefined) readers.set(key, { langId, session: reader.session })
    }
    return readers
  }

  const blocks = () => [...openBlocks(), ...finals.map((one) => one.block)]
  const noteProven = (block: Block, upTo: number) => {
    block.proven = block.partials.findLast((partial) => partial.number <= upTo)?.text ?? block.proven
    block.partials = block.partials.filter((partial) => partial.number > upTo)
  }
  const forgetProven = () => {
    for (const one of [...finals]) {
      if (one.pending.size === 0 && one.number <= settled) finals.splice(finals.indexOf(one), 1)
    }
  }

  /** There is a socket again: what was sent on the former one and is not proven is taken for lost. */
  const back = (nowMs: number) => {
    isLost = false
    epoch++
    settled = sent
    for (const block of blocks()) block.partials = []
    for (const one of finals) {
      one.pending = new Map([...one.readers, ...one.pending])
      one.untilMs = nowMs + returnMs
    }
  }

  const isBack = (nowMs: number) => {
    if (isLost) back(nowMs)
    else isBackWhileProving = isProving
  }

  return {
    canSend: () => !isLost && !isBackWhileProving,
    begin: ({ isUrgent, proven, speaker }, audience) => {
      const others = readersBeside(audience, [speaker.session]).length
      // For one reader a message to the call saves nothing.
      const isWorthwhile = audience.callLanguage !== undefined && others >= (audience.hasEveryone ? 1 : 2)
      const isMixed = settled < sent && route !== undefined
      const toCall = isWorthwhile && !(isUrgent && isMixed && route === "Sessions")
      if (isMixed && !isUrgent && route !== (toCall ? "Call" : "Sessions")) return undefined
      const callLanguage = toCall ? audience.callLanguage : undefined
      return { speaker, callLanguage, languages: new Map(), partials: [], proven }
    },
    isValid: (block, audience) =>
      block.callLanguage === undefined
        ? [...block.languages].every(
            ([key, language]) => (audience.readers.get(key)?.language ?? language) === language
          )
        : audience.callLanguage === block.callLanguage,
    isUnread: ({ languages }, audience) =>
      languages.size > 0 && [...languages.keys()].every((key) => audience.wanted(key) === undefined),
    partial: (block, text, audience) => {
      const isSent = deliver(block, text, false, audience)
      if (isSent) block.partials.push({ number: sent, text })
      return isSent
    },
    final: (block, text, audience, nowMs) => {
      const readers = readersOf(block, audience)
      const pending = absent(audience, nowMs)
      if (readers.size === 0 && pending.size === 0) return true
      if (!deliver(block, text, true, audience)) return false
      finals.push({ block, text, readers, pending, untilMs: nowMs + returnMs, number: sent })
      if (finals.length > maxUnproven) {
        finals.shift()
        onDropped("caption_unproven")
      }
      return true
    },
    attend: (audience, nowMs) => {
      if (isLost && session.state()._tag === "Joined") {
        calmSince ??= nowMs
        if (nowMs - calmSince >= calmMs) isLost = false
      } else calmSince = undefined
      if (isLost || isBackWhileProving) return
      for (const one of finals) if (one.pending.size > 0 && !isLost) resend(one, audience, nowMs)
      forgetProven()
    },
    needsProof: () => !isLost && !isProving && settled < sent,
    prove: () => {
      const upTo = sent
      const begunIn = epoch
      isProving = true
      return (isProven, nowMs) => {
        isProving = false
        if (begunIn !== epoch) return
        if (isProven) {
          settled = Math.max(settled, upTo)
          for (const block of blocks()) noteProven(block, upTo)
          forgetProven()
        } else if (isBackWhileProving) back(nowMs)
        else isLost = true
        isBackWhileProving = false
      }
    },
    resumed: isBack,
    rejoined: (nowMs) => {
      returning = { keys: new Set(known), untilMs: nowMs + returnMs }
      isBack(nowMs)
    },
    isSettled: () => !isLost && settled >= sent && finals.length === 0,
    isWaiting: () => isLost || finals.some((one) => one.pending.size > 0)
  }
}
