/**
 * What one client says: tone-coded words of its own, over and over, cut into the messages its door takes and encoded beforehand, so that the
 * load costs little while it is measured.
 */
import { Effect } from "effect"
import * as SpeechEncoder from "../../src/layers/SpeechEncoder.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { vocabularySize, wordText } from "../../src/layers/ToneWords.ts"
import type { Client } from "../../tools/say/Clients.ts"
import * as WebmMessages from "./WebmMessages.ts"

export interface TapeMessage {
  /** At so many ms of the client's audio. */
  readonly encoded: (atMs: number) => Uint8Array
  /** Words that end in it. */
  readonly words: ReadonlyArray<string>
  /** Nobody speaks behind it for now: here a client may stop. */
  readonly endsUtterance: boolean
}

export interface Tape {
  /** The door takes text. */
  readonly isText: boolean
  readonly messageMs: number
  readonly messages: ReadonlyArray<TapeMessage>
  /** For when nothing more is said. */
  readonly silence: TapeMessage
}

export interface TapeOptions {
  readonly client: Pick<Client, "sampleRate" | "speak">
  readonly format: "pcm16" | "webm"
  /** 0–511: says which words, and is heard by the engine as the speaker. */
  readonly number: number
  readonly messageMs: number
  readonly speaking: number
}

/** Together twice the 16 numbers by which a listener counts words. */
const UTTERANCES = 4
const WORDS = 8
const UTTERANCE_MS = ToneModem.normal.wordMs * WORDS
const WORDS_APART = 37
/** −62 dBFS: a microphone in a quiet room. */
const ROOM = 0.0008
const nobody = { token: undefined, language: undefined, model: undefined, variant: undefined }

export const make = (options: TapeOptions): Effect.Effect<Tape> =>
  options.format === "webm" ? Effect.scoped(webm(options)) : Effect.sync(() => samples(options))

interface Piece {
  readonly pcm: Float32Array
  readonly words: ReadonlyArray<string>
  readonly endsUtterance: boolean
}

const samples = ({ client, messageMs, number, speaking }: TapeOptions): Tape => {
  const { audio } = client.speak(nobody)
  const rate = client.sampleRate
  const encode = (pcm: Float32Array) => {
    const message = Buffer.from(audio(pcm))
    return () => message
  }
  const silence = { encoded: encode(room(rate, messageMs)), words: [], endsUtterance: false }
  const pauses = pausesOf(messageMs, speaking)
  const messages = spoken(number, rate, messageMs).flatMap(({ endsUtterance, pcm, words }) => [
    { encoded: encode(pcm), words, endsUtterance },
    ...(endsUtterance ? Array.from({ length: pauses }, () => silence) : [])
  ])
  const isText = typeof audio(room(rate, messageMs)) === "string"
  return { isText, messageMs, messages, silence }
}

const webm = Effect.fnUntraced(function* ({ messageMs, number, speaking }: TapeOptions) {
  const rate = SpeechEncoder.ENCODER_RATE
  const { encode } = yield* SpeechEncoder.make
  const write = WebmMessages.make()
  const message = ({ endsUtterance, pcm, words }: Piece): TapeMessage => {
    const packets = Array.from({ length: messageMs / SpeechEncoder.PACKET_MS }, (_, n) =>
      Uint8Array.from(encode(pcm.subarray(n * SpeechEncoder.PACKET_SAMPLES, (n + 1) * SpeechEncoder.PACKET_SAMPLES)))
    )
    return { encoded: (atMs) => write(packets, atMs), words, endsUtterance }
  }
  const said = spoken(number, rate, messageMs).map(message)
  const silence = message({ pcm: room(rate, messageMs), words: [], endsUtterance: false })
  const pauses = pausesOf(messageMs, speaking)
  const messages = said.flatMap((one) =>
    one.endsUtterance ? [one, ...Array.from({ length: pauses }, () => silence)] : [one]
  )
  return { isText: false, messageMs, messages, silence }
})

/** The utterances one after the other, each from the beginning of a message on. */
const spoken = (number: number, sampleRate: number, messageMs: number): ReadonlyArray<Piece> =>
  Array.from({ length: UTTERANCES }, (_, utterance) => {
    const first = number * WORDS_APART + utterance * WORDS
    const words = Array.from({ length: WORDS }, (_, n) => (first + n) % vocabularySize)
    const said = ToneModem.speak(words, { speaker: number, sampleRate, firstSequence: (utterance * WORDS) % 16 })
    const size = (sampleRate * messageMs) / 1000
    const count = Math.ceil(said.pcm.length / size)
    return Array.from({ length: count }, (_, n): Piece => {
      const pcm = new Float32Array(size)
      pcm.set(said.pcm.subarray(n * size, (n + 1) * size))
      const ending = said.words.filter(({ endMs }) => Math.ceil(endMs / messageMs) === n + 1)
      return { pcm, words: ending.map(({ word }) => wordText(word)), endsUtterance: n + 1 === count }
    })
  }).flat()

/** Messages without speech behind each utterance. */
const pausesOf = (messageMs: number, speaking: number): number =>
  Math.round((UTTERANCE_MS * (1 / speaking - 1)) / messageMs)

const room = (sampleRate: number, ms: number): Float32Array =>
  Float32Array.from({ length: (sampleRate * ms) / 1000 }, () => (Math.random() * 2 - 1) * ROOM * Math.sqrt(3))
