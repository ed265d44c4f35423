/**
 * The way of captions to the HPB: who gets them by which route, what is proven to have been read there, what is sent again.
 *
 * The HPB acknowledges nothing. Finals that are not proven to have been read (`CaptionProof`) when the socket is lost are sent again when it
 * is back, to those who still read. Plain and synchronous; time is an argument.
 */
import type { SessionId } from "../domain/Call.ts"
import type { LanguageId } from "../domain/Language.ts"
import { offsetBehind } from "../domain/Remainder.ts"
import type { Recipient, SignalingSession, Transcript } from "../services/Signaling.ts"
import { type Audience, readersBeside } from "./CaptionAudience.ts"
import * as CaptionFinals from "./CaptionFinals.ts"
import * as CaptionProof from "./CaptionProof.ts"
import * as CaptionReturns from "./CaptionReturns.ts"
import type { Block, Speaker } from "./CaptionScreens.ts"
import * as CaptionScreens from "./CaptionScreens.ts"

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
   * went by the former route must be proven first.
   */
  readonly begin: (wish: Pick<Block, "speaker" | "proven">, audience: Audience) => Block | undefined
  /** Whether the block may go on as it began: same route, same languages. */
  readonly isValid: (block: Block, audience: Audience) => boolean
  /** All who had it on their screens have stopped reading. */
  readonly isUnread: (block: Block, audience: Audience) => boolean
  /** `false`: not sent, the socket is gone. */
  readonly partial: (block: Block, text: string, audience: Audience, nowMs: number) => boolean
  /** Once sent it is kept until it is proven. `false`: not sent, the socket is gone. */
  readonly final: (block: Block, text: string, audience: Audience, nowMs: number) => boolean
  /** Sends what waits for somebody to come back. To be called before anything new is sent. */
  readonly attend: (audience: Audience, nowMs: number) => void
  /** Something was sent that is not proven: run the confirmation. */
  readonly needsProof: () => boolean
  /** A confirmation begins; the result takes its verdict. */
  readonly prove: () => (isProven: boolean, nowMs: number) => void
  /**
   * A speaker left: pages ignore everything of it that comes after they were told, which is what is not proven by now. Its finals among that
   * are sent again when it is back, and an open block that ends here stands there as far as it is proven.
   */
  readonly left: (speaker: SessionId, nowMs: number) => void
  /** The socket is back. `true`: finals are in doubt, and nothing is sent before `resumed` says what was read. */
  readonly doubt: () => boolean
  /** `upTo`: the mark that the HPB has kept (`SignalingSession.recall`). */
  readonly resumed: (nowMs: number, upTo?: number) => void
  readonly rejoined: (nowMs: number) => void
  /** It is known of everything that was sent whether it was read. */
  readonly isProven: () => boolean
  /** Everything sent is proven, nothing waits. */
  readonly isSettled: () => boolean
  /** Somebody or something is waited for without an event to tell. */
  readonly isWaiting: () => boolean
  /** Finals that wait for a socket, or for proof longer than that takes, oldest first. */
  readonly held: (nowMs: number) => ReadonlyArray<{ readonly speaker: SessionId; readonly text: string }>
}

export const make = ({ onDropped, onResent, onSent, openBlocks, session, whereIs }: OutboxOptions): CaptionOutbox => {
  const finals = CaptionFinals.make(() => onDropped("caption_unproven"))
  const screens = CaptionScreens.make()
  const returns = CaptionReturns.make()
  let route: "Call" | "Sessions" | undefined
  /** A final was sent behind the newest mark. */
  let isUnmarked = false

  const blocks = () => [...openBlocks(), ...finals.all().map((one) => one.block)]
  const proof = CaptionProof.make({
    session,
    onProven: (upTo) => {
      for (const block of blocks()) CaptionScreens.noteProven(block, upTo)
      finals.proven(upTo)
      finals.forget(proof.settled())
    },
    onLost: (nowMs) => {
      for (const block of blocks()) block.partials = []
      finals.takeBack(nowMs)
    }
  })

  const isMuted = () => session.fence?.isMuted() === true
  const send = (to: Recipient, transcript: Transcript): boolean => {
    if (proof.isLost() || !session.sendTranscript(to, transcript)) {
      proof.lose()
      return false
    }
    proof.count()
    if (transcript.final) isUnmarked = true
    return true
  }
  /** Behind every final: by it is known after a cut how far the HPB had read. */
  const mark = () => {
    if (!isUnmarked || proof.isLost()) return
    isUnmarked = false
    session.mark(proof.sent())
  }

  /** The message that was sent last. */
  const lastSent = (nowMs: number): CaptionFinals.SentMessage => ({ number: proof.sent(), atMs: nowMs })

  /** Where a page ends with an open block of this speaker that nobody continues, it is finished before another one would replace it. */
  const finishReplaced = (next: Block, audience: Audience, nowMs: number) => {
    for (const { key, session: reader } of readersBeside(audience, [next.speaker.session])) {
      const block = screens.replacedBy(key, next)
      const langId = block?.callLanguage ?? block?.languages.get(key)
      if (block === undefined || langId === undefined || block.standing === "") continue
      const { speaker, standing: text } = block
      if (!send({ _tag: "Session", session: reader }, { ...messageOf(speaker.session, text), langId })) return
      onResent()
      finals.keep({ block, text, readers: new Map([[key, langId]]), pending: new Map() }, lastSent(nowMs))
    }
  }

  const deliver = (block: Block, text: string, final: boolean, audience: Audience, nowMs: number): boolean => {
    const readers = CaptionScreens.readersOf(block, audience)
    if (readers.size === 0) return true
    finishReplaced(block, audience, nowMs)
    returns.reads(readers.keys())
    const message = { message: text, speakerSessionId: block.speaker.session, final }
    route = block.callLanguage === undefined ? "Sessions" : "Call"
    let isSent = true
    if (block.callLanguage !== undefined) isSent = send({ _tag: "Call" }, { ...message, langId: block.callLanguage })
    for (const [key, langId] of readers) {
      block.languages.set(key, langId)
      const reader = audience.readers.get(key)
      if (block.callLanguage !== undefined || reader === undefined) continue
      isSent = send({ _tag: "Session", session: reader.session }, { ...message, langId }) && isSent
    }
    if (isSent) for (const key of readers.keys()) screens.showed(key, block)
    if (isSent) onSent(final ? "final" : "partial")
    return isSent
  }

  const resend = (one: CaptionFinals.Final, audience: Audience, nowMs: number) => {
    const speaker = whereIs(one.block.speaker)
    const isLate = nowMs > one.untilMs
    if (speaker === undefined && isLate) {
      onDropped("caption_speaker_unknown")
      one.pending.clear()
    }
    if (speaker === undefined) return
    const toSend = reachable(one, speaker, audience, isLate)
    const { callLanguage } = one.block
    const isForAll = readersBeside(audience, [speaker]).every(({ key }) => toSend.get(key)?.text === one.text)
    // By the way it went first, where that is still right: what follows on that way must not overtake it.
    if (callLanguage !== undefined && callLanguage === audience.callLanguage && isForAll && toSend.size > 0) {
      if (!send({ _tag: "Call" }, { ...messageOf(speaker, one.text), langId: callLanguage })) return
      for (const [key, { langId }] of toSend) sentAgain(one, key, langId, nowMs)
      onResent()
    } else {
      for (const [key, { langId, session: reader, text }] of toSend) {
        if (!send({ _tag: "Session", session: reader }, { ...messageOf(speaker, text), langId })) return
        route = "Sessions"
        sentAgain(one, key, langId, nowMs)
        onResent()
      }
    }
  }

  const sentAgain = (one: CaptionFinals.Final, key: string, langId: LanguageId, nowMs: number) => {
    finals.sentAgain(one, key, langId, lastSent(nowMs))
    screens.showed(key, one.block)
  }

  /** Those of the pending who can be sent to now, and what. Who will not come (any more), or has all of it, is struck off. */
  const reachable = (one: CaptionFinals.Final, speaker: SessionId, audience: Audience, isLate: boolean) => {
    const { block, isIgnored, text } = one
    const readers = new Map<
      string,
      { readonly langId: LanguageId; readonly session: SessionId; readonly text: string }
    >()
    for (const [key, langId] of one.pending) {
      const reader = audience.readers.get(key)
      // In another block than the one that was read the words stand next to what was read.
      const isSameBlock = speaker === block.speaker.session && (!isIgnored || screens.endsWith(key, block))
      const missing = isSameBlock ? text : text.slice(offsetBehind(block.proven, text)).trim()
      if (reader === undefined) {
        if (isLate || audience.wanted(key) === undefined) one.pending.delete(key)
      } else if (reader.session === speaker || missing === "") one.pending.delete(key)
      else readers.set(key, { langId, session: reader.session, text: missing })
    }
    return readers
  }

  return {
    canSend: () => proof.canSend() && !isMuted(),
    begin: ({ proven, speaker }, audience) => {
      const others = readersBeside(audience, [speaker.session]).length
      // For one reader a message to the call saves nothing.
      const toCall = audience.callLanguage !== undefined && others >= (audience.hasEveryone ? 1 : 2)
      const isMixed = proof.settled() < proof.sent() && route !== undefined
      if (isMixed && route !== (toCall ? "Call" : "Sessions")) return undefined
      const callLanguage = toCall ? audience.callLanguage : undefined
      return CaptionScreens.begin({ speaker, callLanguage, proven })
    },
    isValid: (block, audience) =>
      block.callLanguage === undefined
        ? [...block.languages].every(
            ([key, language]) => (audience.readers.get(key)?.language ?? language) === language
          )
        : audience.callLanguage === block.callLanguage,
    isUnread: ({ languages }, audience) =>
      languages.size > 0 && [...languages.keys()].every((key) => audience.wanted(key) === undefined),
    partial: (block, text, audience, nowMs) => {
      const isSent = deliver(block, text, false, audience, nowMs)
      if (isSent) block.partials.push({ number: proof.sent(), text })
      mark()
      return isSent
    },
    final: (block, text, audience, nowMs) => {
      const readers = CaptionScreens.readersOf(block, audience)
      const pending = returns.absent(audience, nowMs)
      if (readers.size === 0 && pending.size === 0) return true
      if (!deliver(block, text, true, audience, nowMs)) return false
      block.isOpen = false
      finals.keep({ block, text, readers: new Map(readers), pending }, lastSent(nowMs))
      mark()
      return true
    },
    attend: (audience, nowMs) => {
      screens.keep((key) => audience.readers.has(key))
      proof.look(nowMs)
      if (!proof.canSend() || isMuted()) return
      for (const one of finals.all()) if (one.pending.size > 0 && !proof.isLost()) resend(one, audience, nowMs)
      mark()
      finals.forget(proof.settled())
    },
    needsProof: proof.needsProof,
    prove: proof.prove,
    left: (speaker, nowMs) => {
      for (const block of blocks()) if (block.speaker.session === speaker) block.partials = []
      finals.ignored(speaker, proof.settled(), nowMs)
    },
    doubt: () => {
      const isInDoubt = finals.all().some((one) => one.number > proof.settled())
      if (isInDoubt) proof.doubt()
      return isInDoubt
    },
    resumed: proof.back,
    rejoined: (nowMs) => {
      returns.rejoined(nowMs)
      proof.back(nowMs)
    },
    held: (nowMs) => {
      const isHeld = (one: CaptionFinals.Final) =>
        proof.isLost() || CaptionFinals.isLate(one, proof.settled(), nowMs) || (one.isTakenBack && isMuted())
      const held = finals.all().filter(isHeld)
      return held.map(({ block, text }) => ({ speaker: block.speaker.session, text }))
    },
    isProven: () => proof.canSend() && proof.settled() >= proof.sent(),
    isSettled: () => !proof.isLost() && proof.settled() >= proof.sent() && finals.all().length === 0,
    isWaiting: () => proof.isLost() || isMuted() || finals.all().some((one) => one.pending.size > 0)
  }
}

const messageOf = (speaker: SessionId, message: string) => ({ message, speakerSessionId: speaker, final: true })
