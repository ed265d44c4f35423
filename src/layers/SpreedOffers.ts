/**
 * Which publishers' media was asked for: one request per voice at a time, and which offers we want.
 */
import type { SessionId } from "../domain/Call.ts"
import { type VoiceKey, voiceId } from "../domain/Speaker.ts"

export interface SpreedOffers {
  /** A new request under this id. `undefined`: one is under way. `isFirst`: this voice was never asked for before. */
  readonly request: (voice: VoiceKey, id: string) => { readonly isFirst: boolean } | undefined
  /** The socket is gone, and with it, perhaps, what was asked: no request is under way any more. */
  readonly drop: () => void
  /** The request ended without an offer; its voice, if it was still under way. */
  readonly fail: (id: string) => VoiceKey | undefined
  /**
   * Whether an offer is wanted: its voice was asked for. Later offers of that voice are renegotiations, or answers to a request that had
   * been given up (the HPB holds requests up to 20 s) and whose subscription has replaced the earlier one.
   */
  readonly offered: (voice: VoiceKey) => boolean
  readonly wants: (voice: VoiceKey) => boolean
  /** An offer of this voice was answered under this id; an answer before it does not matter any more. */
  readonly answered: (id: string, voice: VoiceKey, sid: string | undefined) => void
  /** Which subscription was answered under this id. */
  readonly answerOf: (id: string) => AnsweredOffer | undefined
  /** The publisher has left. */
  readonly forget: (publisher: SessionId) => void
  readonly clear: () => void
}

export interface AnsweredOffer {
  readonly voice: VoiceKey
  readonly sid?: string
}

export const make = (): SpreedOffers => {
  const asked = new Map<string, VoiceKey>()
  const underWay = new Map<string, string>()
  /** The newest answer of each voice. */
  const answers = new Map<string, { readonly id: string; readonly answered: AnsweredOffer }>()
  const end = (voice: string) => underWay.delete(voice)
  return {
    request: (voice, id) => {
      const key = voiceId(voice)
      if (underWay.has(key)) return undefined
      const isFirst = !asked.has(key)
      underWay.set(key, id)
      asked.set(key, voice)
      return { isFirst }
    },
    fail: (id) => {
      for (const [key, request] of underWay) {
        if (request !== id) continue
        end(key)
        return asked.get(key)
      }
      return undefined
    },
    drop: () => underWay.clear(),
    offered: (voice) => {
      end(voiceId(voice))
      return asked.has(voiceId(voice))
    },
    wants: (voice) => asked.has(voiceId(voice)),
    answered: (id, voice, sid) => {
      if (asked.has(voiceId(voice)))
        answers.set(voiceId(voice), { id, answered: { voice, ...(sid === undefined ? {} : { sid }) } })
    },
    answerOf: (id) => {
      for (const answer of answers.values()) if (answer.id === id) return answer.answered
      return undefined
    },
    forget: (publisher) => {
      for (const [key, voice] of asked) {
        if (voice.publisher !== publisher) continue
        asked.delete(key)
        answers.delete(key)
        end(key)
      }
    },
    clear: () => {
      asked.clear()
      answers.clear()
      underWay.clear()
    }
  }
}
