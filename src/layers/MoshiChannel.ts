/**
 * One channel of a simulated moshi-server: messages wait, are taken one a step, and become words, steps and markers. Plain and synchronous.
 */
import { FRAME_MS, FRAME_SAMPLES } from "../domain/Audio.ts"
import type { ServerMessage } from "./MoshiProtocol.ts"
import * as SimulatedRecogniser from "./SimulatedRecogniser.ts"
import * as ToneModem from "./ToneModem.ts"

/** What a client may send. */
export type ClientMessage =
  | { readonly type: "Init" }
  | { readonly type: "Audio"; readonly pcm: ReadonlyArray<number> }
  | { readonly type: "Marker"; readonly id: number }

/** A word that was sent; times are those of the channel's audio. */
export interface ToldWord extends SimulatedRecogniser.RecognisedWord {
  readonly session: number
}

export interface MoshiChannelOptions {
  readonly model: "1b" | "2.6b"
  readonly format: ToneModem.ToneFormat | undefined
  readonly send: (message: ServerMessage & { readonly step_idx?: number }) => void
  readonly onWord: (word: SimulatedRecogniser.RecognisedWord) => void
  readonly onFault: (fault: "corrupt" | "gap") => void
}

export interface MoshiChannel {
  readonly receive: (message: ClientMessage) => void
  /** Takes one message that waits. */
  readonly take: (globalStep: number) => void
  /** Computes one frame if there is one. */
  readonly step: () => boolean
  /** Sends the markers that are due. */
  readonly answer: (globalStep: number) => void
  readonly isWaiting: () => boolean
}

/** `asr_delay_in_tokens`. */
const DELAY_STEPS = { "1b": 6, "2.6b": 32 } as const
/** A word is told when the next token is known. */
const WORD_COMPLETION_STEPS = 1
/** What begins earlier than this is not understood by the 2.6B model. */
const DEAF_MS = 1000
/** Steps of silence after which each head is sure of its pause. */
const PAUSE_STEPS = [2, 4, 6, 10] as const
/** In the first second the heads say anything. */
const WARM_UP_STEPS = 12
/** Mean square of −50 dBFS. */
const QUIET = 1e-5

export const make = ({ model, format, send, onWord, onFault }: MoshiChannelOptions): MoshiChannel => {
  const delay = DELAY_STEPS[model]
  const tellsSteps = model === "1b"
  const inbox: Array<ClientMessage> = []
  let data: Array<number> = []
  let markers: Array<{ readonly id: number; readonly dueStep: number }> = []
  let steps = 0
  let quietSteps = 0
  let isFirstWord = true

  const recogniser = SimulatedRecogniser.make({
    delayMs: (delay + WORD_COMPLETION_STEPS) * FRAME_MS,
    format: format ?? ToneModem.normal,
    punctuation: false,
    onFault,
    onWord: (word) => {
      if (!tellsSteps && word.startMs < DEAF_MS) return
      const start = (Math.floor(word.startMs / FRAME_MS) * FRAME_MS) / 1000
      if (!isFirstWord) send({ type: "EndWord", stop_time: start })
      isFirstWord = false
      send({ type: "Word", text: word.text, start_time: start })
      onWord(word)
    }
  })

  const waitingSamples = (): number =>
    inbox.reduce((sum, message) => sum + (message.type === "Audio" ? message.pcm.length : 0), data.length)

  const pauses = (): Array<number> =>
    steps <= WARM_UP_STEPS
      ? PAUSE_STEPS.map((_, head) => ((steps + head) % 2 === 0 ? 0.95 : 0.05))
      : PAUSE_STEPS.map((limit) => (quietSteps >= limit ? 0.9 : 0.1))

  return {
    receive: (message) => {
      inbox.push(message)
    },
    take: (globalStep) => {
      const message = inbox.shift()
      if (message?.type === "Audio") data = data.concat(message.pcm)
      else if (message?.type === "Init") send({ type: "Ready" })
      else if (message?.type === "Marker") {
        const queued = Math.floor(data.length / FRAME_SAMPLES)
        markers.push({ id: message.id, dueStep: globalStep + delay + queued })
      }
    },
    step: () => {
      if (data.length < FRAME_SAMPLES) return false
      const frame = Float32Array.from(data.slice(0, FRAME_SAMPLES))
      data = data.slice(FRAME_SAMPLES)
      steps += 1
      const isQuiet = frame.reduce((sum, sample) => sum + sample * sample, 0) < QUIET * FRAME_SAMPLES
      quietSteps = isQuiet ? quietSteps + 1 : 0
      if (tellsSteps) send({ type: "Step", step_idx: steps, prs: pauses(), buffered_pcm: waitingSamples() })
      recogniser.push(frame, performance.now())
      return true
    },
    answer: (globalStep) => {
      for (const { id } of markers.filter(({ dueStep }) => dueStep <= globalStep)) send({ type: "Marker", id })
      markers = markers.filter(({ dueStep }) => dueStep > globalStep)
    },
    isWaiting: () => inbox.length > 0
  }
}
