/**
 * What others have heard of a call and not said is said first: by a process that was killed, or by a runner that has given the call away.
 */
import { Effect, Latch, Stream } from "effect"
import type * as HandOver from "../domain/HandOver.ts"
import type { Privacy } from "../domain/Privacy.ts"
import type { Transcribed } from "../domain/Segment.ts"
import { type VoiceKey, voiceId } from "../domain/Speaker.ts"
import type { Decoder } from "../services/Decoder.ts"
import type { CallJournal, HeardMark, LeftVoice, UnsaidText } from "../services/SpeechJournal.ts"
import type { Transcriber } from "../services/Transcriber.ts"
import * as CallSpeech from "./CallSpeech.ts"
import * as EarlierVoice from "./EarlierVoice.ts"
import * as VoiceGiven from "./VoiceGiven.ts"

export interface EarlierSpeechOptions extends CallSpeech.CallSpeechOptions {
  readonly journal: CallJournal
  readonly privacy: () => Privacy
  readonly decoder: Decoder["Service"]
  readonly transcriber: Transcriber["Service"]
  readonly now: () => number
  readonly fork: (id: string, effect: Effect.Effect<void>) => void
}

export interface EarlierSpeech {
  /** Publishes texts of another's voices, each under the new id of its voice. */
  readonly publish: (unsaid: ReadonlyArray<UnsaidText>, idOf: (voice: string) => string) => void
  /** Has an engine hear once more what is behind the mark, under the id of what was said before it. */
  readonly retell: (left: LeftVoice, id: string, unsaid: UnsaidText | undefined) => void
  /** Completes when all that is retold now of this publisher is said. */
  readonly toldBefore: (key: VoiceKey) => Effect.Effect<void>
  /** What is not said of it yet. */
  readonly given: () => ReadonlyArray<HandOver.LeftVoice>
}

interface Retold {
  readonly id: string
  readonly key: VoiceKey
  readonly tell: EarlierVoice.EarlierVoice["tell"]
  mark: HeardMark
}

export const make = (options: EarlierSpeechOptions): EarlierSpeech => {
  const { decoder, fork, journal, now, transcriber } = options
  /** The newest voice of each publisher, until all of it is said. */
  const retelling = new Map<string, Latch.Latch>()
  const retold = new Set<Retold>()

  const toldBefore = (key: VoiceKey) => retelling.get(voiceId(key))?.await ?? Effect.void

  return {
    toldBefore,
    publish: (unsaid, idOf) => {
      for (const { speaker, texts, voice } of unsaid) {
        const id = idOf(voice)
        for (const [ordinal, text] of texts.entries()) {
          const segment = { id: `${id}:${ordinal}`, revision: 1, committed: text, open: "", tokenAtMs: now() }
          CallSpeech.publish(options, { speaker, segment: { ...segment, final: "EngineLost" } })
        }
      }
    },
    retell: (left, id, unsaid) => {
      const { key } = left
      const entry = journal.voice(id, key, (position, listener) => earlier.tell(position, listener))
      const earlier = EarlierVoice.make({
        id,
        left,
        ahead: unsaid?.ahead ?? "",
        segments: unsaid?.texts.length ?? 0,
        language: options.language,
        privacy: options.privacy(),
        decoder,
        now,
        listener: entry
      })
      const one: Retold = { id, key, tell: earlier.tell, mark: earlier.begun }
      retold.add(one)
      const mark = (reached: HeardMark) => {
        one.mark = reached
        entry.mark(reached)
      }
      mark(earlier.begun)
      const speech = CallSpeech.make(options, { key, id, now, journal: { mark } })
      const before = toldBefore(key)
      const done = Latch.makeUnsafe(false)
      retelling.set(voiceId(key), done)
      const over = () => {
        retold.delete(one)
        entry.forget()
        done.openUnsafe()
      }
      const take = (said: ReadonlyArray<Transcribed>) =>
        Effect.andThen(before, () => Effect.sync(() => speech.take(said)))
      const said = Stream.runForEachArray(transcriber.transcribe(earlier.voice), take)
      fork(id, Effect.ensuring(said, Effect.sync(over)))
    },
    given: () =>
      [...retold].map(({ id, key, mark, tell }) =>
        VoiceGiven.give({ id, key, mark, tell, newest: () => {}, quietMs: 0, isOver: true })
      )
  }
}
