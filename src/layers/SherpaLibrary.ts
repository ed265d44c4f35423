/**
 * The part of `sherpa-onnx-node` that is used here, as it was found in version 1.13.8. It brings no types of its own.
 */
import { createRequire } from "node:module"
import { Schema } from "effect"
import type { SherpaModel } from "./SherpaModel.ts"

export interface OnlineStream {
  readonly acceptWaveform: (audio: { readonly samples: Float32Array; readonly sampleRate: number }) => void
  readonly setOption: (key: string, value: string) => void
}

/** Everything here is synchronous and takes as long as the model computes. What is not allowed ends the process. */
export interface OnlineRecognizer {
  readonly createStream: () => OnlineStream
  readonly isReady: (stream: OnlineStream) => boolean
  /** All of them must be ready. */
  readonly decodeStreams: (streams: ReadonlyArray<OnlineStream>) => void
  readonly isEndpoint: (stream: OnlineStream) => boolean
  readonly reset: (stream: OnlineStream) => void
  readonly getResult: (stream: OnlineStream) => unknown
}

/** `timestamps` are seconds since `start_time`, which is where the utterance begins in the stream. */
export const Heard = Schema.Struct({
  text: Schema.String,
  tokens: Schema.Array(Schema.String),
  timestamps: Schema.Array(Schema.Finite),
  start_time: Schema.Finite,
  ys_probs: Schema.Array(Schema.Finite)
})

interface Library {
  readonly OnlineRecognizer: new (configuration: unknown) => OnlineRecognizer
}

const isLibrary = (value: unknown): value is Library =>
  typeof value === "object" &&
  value !== null &&
  "OnlineRecognizer" in value &&
  typeof value.OnlineRecognizer === "function"

/** s of silence that end an utterance behind words, or before any; s of speech that end it anyhow, be it in the middle of a word. */
const ENDPOINT = { afterWords: 0.8, withoutWords: 2.4, longest: 300 }

/** Loads library and model. Throws what the library throws; a file that is no model ends the process. */
export const load = (model: SherpaModel): OnlineRecognizer => {
  const library: unknown = createRequire(import.meta.url)("sherpa-onnx-node")
  if (!isLibrary(library)) throw new TypeError("sherpa-onnx-node has no OnlineRecognizer")
  const [file = ""] = Object.values(model.files)
  return new library.OnlineRecognizer({
    featConfig: { sampleRate: model.sampleRate, featureDim: 80 },
    modelConfig: {
      [model.kind]: Object.keys(model.files).length === 1 ? { model: file } : model.files,
      tokens: model.tokens,
      // one process computes for all: several streams at once gain more than several threads for one
      numThreads: 1,
      provider: "cpu",
      debug: 0
    },
    // never takes a word back: what was read may stay on a screen
    decodingMethod: "greedy_search",
    enableEndpoint: true,
    rule1MinTrailingSilence: ENDPOINT.withoutWords / model.timeScale,
    rule2MinTrailingSilence: ENDPOINT.afterWords / model.timeScale,
    rule3MinUtteranceLength: ENDPOINT.longest / model.timeScale
  })
}
