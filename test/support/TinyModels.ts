/**
 * Tiny streaming models which sherpa-onnx runs as it runs real ones, and the speech they understand: each letter is a tone, spelled one after the
 * other. Nothing is trained: a letter's weight is its mel bin against its surroundings.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { encode, FLOAT, INT64 } from "./OnnxWriter.ts"

const melOf = (hz: number) => 1127 * Math.log(1 + hz / 700)
const hzOf = (mel: number) => 700 * (Math.exp(mel / 1127) - 1)
const BINS = 80
/** sherpa-onnx's filter bank: 20 Hz to 400 Hz below half the sampling rate. */
const LOWEST = melOf(20)
const STEP = (melOf(8000 - 400) - LOWEST) / (BINS + 1)
const centre = (bin: number) => hzOf(LOWEST + (bin + 1) * STEP)

const WORD_MARK = "\u2581"
const letters = [WORD_MARK, ..."abcdefghijklmnopqrstuvwxyz", "'"]
/** Low bins are narrower than a tone: three apart below 1 kHz, two above. */
const bins = letters.reduce<ReadonlyArray<number>>((found) => {
  const last = found.at(-1)
  return [...found, last === undefined ? 15 : last + (centre(last) < 1000 ? 3 : 2)]
}, [])
const neighbours = (bin: number) =>
  [bin - 7, bin - 6, bin + 6, bin + 7].map((one) => Math.min(BINS - 1, Math.max(0, one)))

const TONE_MS = 120
const GAP_MS = 80
const LEAD_MS = 200

export interface SpelledWord {
  readonly text: string
  readonly startMs: number
  readonly endMs: number
}

/** Says words letter by letter: 120 ms of tone and 80 ms of silence each, the mark of a word before it. */
export const spell = (words: ReadonlyArray<string>, sampleRate: number) => {
  const samplesOf = (ms: number) => Math.round((ms * sampleRate) / 1000)
  const symbols = words.map((word) => [WORD_MARK, ...word])
  const total = symbols.flat().length * (TONE_MS + GAP_MS) + 2 * LEAD_MS
  const pcm = new Float32Array(samplesOf(total))
  let atMs = LEAD_MS
  const spelled = symbols.map((symbol, index): SpelledWord => {
    const startMs = atMs
    for (const letter of symbol) {
      addTone(pcm, centre(bins[letters.indexOf(letter)] ?? 0), { from: samplesOf(atMs), sampleRate })
      atMs += TONE_MS + GAP_MS
    }
    return { text: words[index] ?? "", startMs, endMs: atMs - GAP_MS }
  })
  return { pcm, words: spelled }
}

const addTone = (pcm: Float32Array, hz: number, at: { readonly from: number; readonly sampleRate: number }) => {
  const length = Math.round((TONE_MS * at.sampleRate) / 1000)
  const ramp = length / 12
  for (let i = 0; i < length; i++) {
    const envelope = Math.min(1, i / ramp, (length - i) / ramp)
    pcm[at.from + i] = 0.3 * envelope * Math.sin((2 * Math.PI * hz * i) / at.sampleRate)
  }
}

/** A NeMo CTC model whose encoder makes one frame of `subsampling` (4: 40 ms, 8: 80 ms). */
export const writeCtc = (folder: string, subsampling: 4 | 8 = 4): void => {
  const vocabulary = letters.length + 1
  const chunk = 4 * subsampling
  const kernel = 2 * subsampling
  const weights = new Float32Array(vocabulary * BINS * kernel)
  const bias = new Float32Array(vocabulary)
  for (const [letter, bin] of bins.entries()) {
    for (let t = 0; t < kernel; t++) {
      const at = (feature: number) => (letter * BINS + feature) * kernel + t
      weights[at(bin)] = (weights[at(bin)] ?? 0) + 1 / kernel
      for (const one of neighbours(bin)) weights[at(one)] = (weights[at(one)] ?? 0) - 1 / kernel / 4
    }
    // a tone stands out by 15 dB; the blank, last as in NeMo, has nothing to prove
    bias[letter] = -3.5
  }
  const integer = (name: string, ...values: ReadonlyArray<bigint>) => ({
    name,
    dims: [values.length],
    data: BigInt64Array.from(values)
  })
  const model = encode({
    nodes: [
      { op: "Squeeze", in: ["cache_last_time", "first"], out: ["left"] },
      { op: "Concat", in: ["left", "audio_signal"], out: ["whole"], attributes: { axis: 2 } },
      {
        op: "Conv",
        in: ["whole", "weights", "bias"],
        out: ["tones"],
        attributes: { kernel_shape: [kernel], strides: [subsampling] }
      },
      { op: "Transpose", in: ["tones"], out: ["turned"], attributes: { perm: [0, 2, 1] } },
      { op: "LogSoftmax", in: ["turned"], out: ["logprobs"], attributes: { axis: 2 } },
      { op: "Slice", in: ["audio_signal", "from", "to", "second"], out: ["tail"] },
      { op: "Unsqueeze", in: ["tail", "first"], out: ["cache_last_time_next"] },
      { op: "Identity", in: ["cache_last_channel"], out: ["cache_last_channel_next"] },
      { op: "Add", in: ["cache_last_channel_len", "four"], out: ["cache_last_channel_next_len"] },
      { op: "Div", in: ["length", "factor"], out: ["encoded_lengths"] }
    ],
    constants: [
      { name: "weights", dims: [vocabulary, BINS, kernel], data: weights },
      { name: "bias", dims: [vocabulary], data: bias },
      integer("first", 1n),
      integer("second", 2n),
      integer("from", BigInt(-subsampling)),
      integer("to", 1n << 40n),
      integer("four", 4n),
      integer("factor", BigInt(subsampling))
    ],
    inputs: [
      { name: "audio_signal", type: FLOAT, dims: ["B", BINS, chunk] },
      { name: "length", type: INT64, dims: ["B"] },
      { name: "cache_last_channel", type: FLOAT, dims: ["B", 1, 1, 1] },
      { name: "cache_last_time", type: FLOAT, dims: ["B", 1, BINS, subsampling] },
      { name: "cache_last_channel_len", type: INT64, dims: ["B"] }
    ],
    outputs: [
      { name: "logprobs", type: FLOAT, dims: ["B", 4, vocabulary] },
      { name: "encoded_lengths", type: INT64, dims: ["B"] },
      { name: "cache_last_channel_next", type: FLOAT, dims: ["B", 1, 1, 1] },
      { name: "cache_last_time_next", type: FLOAT, dims: ["B", 1, BINS, subsampling] },
      { name: "cache_last_channel_next_len", type: INT64, dims: ["B"] }
    ],
    metadata: {
      model_type: "EncDecCTCModelBPE",
      window_size: chunk,
      chunk_shift: chunk,
      subsampling_factor: subsampling,
      vocab_size: vocabulary - 1,
      cache_last_channel_dim1: 1,
      cache_last_channel_dim2: 1,
      cache_last_channel_dim3: 1,
      cache_last_time_dim1: 1,
      cache_last_time_dim2: BINS,
      cache_last_time_dim3: subsampling
    }
  })
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, "model.onnx"), model)
  writeFileSync(join(folder, "tokens.txt"), tokens([...letters, "<blk>"]))
}

/** An icefall "lstm" transducer: encoder, decoder, joiner. The encoder fires once at the onset of each tone. */
export const writeTransducer = (folder: string): void => {
  const vocabulary = letters.length + 1
  const gain = 24
  const contrast = new Float32Array(vocabulary * BINS)
  const contrastBias = new Float32Array(vocabulary)
  const onset = new Float32Array(vocabulary * 8)
  const onsetBias = new Float32Array(vocabulary)
  for (const [index, bin] of bins.entries()) {
    const letter = index + 1
    contrast[letter * BINS + bin] = 1.5
    for (const one of neighbours(bin)) contrast[letter * BINS + one] = (contrast[letter * BINS + one] ?? 0) - 0.375
    contrastBias[letter] = -5
    for (let t = 0; t < 8; t++) onset[letter * 8 + t] = ((t < 4 ? -1 : 1) / 4) * gain
    onsetBias[letter] = -0.47 * gain
  }
  // a mild penalty for saying the same again
  const again = new Float32Array(vocabulary * vocabulary)
  for (let letter = 1; letter < vocabulary; letter++) again[letter * vocabulary + letter] = -0.05 * gain
  mkdirSync(folder, { recursive: true })
  const write = (name: string, model: Parameters<typeof encode>[0]) => writeFileSync(join(folder, name), encode(model))
  write("encoder.onnx", {
    nodes: [
      { op: "Transpose", in: ["x"], out: ["turned"], attributes: { perm: [0, 2, 1] } },
      { op: "Conv", in: ["turned", "contrast", "contrastBias"], out: ["tones"], attributes: { kernel_shape: [1] } },
      { op: "Softmax", in: ["tones"], out: ["loudest"], attributes: { axis: 1 } },
      {
        op: "Conv",
        in: ["loudest", "onset", "onsetBias"],
        out: ["fired"],
        attributes: { kernel_shape: [8], strides: [4], group: vocabulary }
      },
      { op: "Transpose", in: ["fired"], out: ["encoder_out"], attributes: { perm: [0, 2, 1] } },
      { op: "Identity", in: ["h"], out: ["new_h"] },
      { op: "Identity", in: ["c"], out: ["new_c"] }
    ],
    constants: [
      { name: "contrast", dims: [vocabulary, BINS, 1], data: contrast },
      { name: "contrastBias", dims: [vocabulary], data: contrastBias },
      { name: "onset", dims: [vocabulary, 1, 8], data: onset },
      { name: "onsetBias", dims: [vocabulary], data: onsetBias }
    ],
    inputs: [
      { name: "x", type: FLOAT, dims: ["N", 20, BINS] },
      { name: "h", type: FLOAT, dims: [1, "N", 4] },
      { name: "c", type: FLOAT, dims: [1, "N", 4] }
    ],
    outputs: [
      { name: "encoder_out", type: FLOAT, dims: ["N", 4, vocabulary] },
      { name: "new_h", type: FLOAT, dims: [1, "N", 4] },
      { name: "new_c", type: FLOAT, dims: [1, "N", 4] }
    ],
    metadata: { model_type: "lstm", num_encoder_layers: 1, T: 20, decode_chunk_len: 16, rnn_hidden_size: 4, d_model: 4 }
  })
  write("decoder.onnx", {
    nodes: [
      { op: "Gather", in: ["y", "one"], out: ["last"], attributes: { axis: 1 } },
      { op: "Gather", in: ["again", "last"], out: ["decoder_out"], attributes: { axis: 0 } }
    ],
    constants: [
      { name: "again", dims: [vocabulary, vocabulary], data: again },
      { name: "one", dims: [], data: BigInt64Array.of(1n) }
    ],
    inputs: [{ name: "y", type: INT64, dims: ["N", 2] }],
    outputs: [{ name: "decoder_out", type: FLOAT, dims: ["N", vocabulary] }],
    metadata: { vocab_size: vocabulary, context_size: 2 }
  })
  write("joiner.onnx", {
    nodes: [{ op: "Add", in: ["encoder_out", "decoder_out"], out: ["logit"] }],
    constants: [],
    inputs: [
      { name: "encoder_out", type: FLOAT, dims: ["N", vocabulary] },
      { name: "decoder_out", type: FLOAT, dims: ["N", vocabulary] }
    ],
    outputs: [{ name: "logit", type: FLOAT, dims: ["N", vocabulary] }],
    metadata: { joiner_dim: vocabulary }
  })
  writeFileSync(join(folder, "tokens.txt"), tokens(["<blk>", ...letters]))
}

const tokens = (all: ReadonlyArray<string>): string => `${all.map((token, index) => `${token} ${index}`).join("\n")}\n`
