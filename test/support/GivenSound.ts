/**
 * What the browser gave to a page of its microphone's sound, taken down where the page takes it, and which words are whole in it. A browser
 * that stands still for 50 ms leaves sound out: no page can write down what it was not given.
 */
import { Effect } from "effect"
import type { BrowserContext, Page } from "playwright-core"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import * as WebmReader from "../../src/layers/WebmReader.ts"
import type { Codec } from "../../src/services/Decoder.ts"

export interface Given {
  /** Words that are understood however one listens. */
  readonly whole: ReadonlyArray<string>
  /** As in `whole`, of what was given since the page last began to listen. */
  readonly wholeOfLast: ReadonlyArray<string>
  /** Damaged words that are understood by who has luck: the page may have them or not. */
  readonly doubtful: ReadonlySet<string>
  /** Nothing at all was done to it. */
  readonly isWhole: boolean
  /** How long nothing is said, ms of what was given; 0 while nobody has spoken. */
  readonly quietMs: number
  /** How often somebody who spoke was quiet for half a second. */
  readonly pauses: number
}

/**
 * Every node of the audio thread that the page listens with has a twin, connected to the same, and every recorder has a second listener.
 * The twin is the page's own processor: a policy that is as strict as the page's has no room for another. That it hands on what it hears,
 * sample by sample, is another test's.
 */
const script = `{
  const parts = []
  let count = 0
  const begin = (format) => {
    const recording = { id: performance.timeOrigin + ":" + count++, format }
    return (bytes) => parts.push({ ...recording, bytes })
  }
  window.takeGiven = () =>
    Promise.all(parts.splice(0).map(async ({ bytes, format, id }) => {
      const buffer = bytes instanceof Blob ? await bytes.arrayBuffer() : bytes
      return { id, format, base64: new Uint8Array(buffer).toBase64() }
    }))
  const { connect } = AudioNode.prototype
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to instanceof AudioWorkletNode) {
      const twin = new AudioWorkletNode(this.context, "pcm16", {
        numberOfOutputs: 0,
        channelCount: 1,
        channelCountMode: "explicit"
      })
      const keep = begin("pcm16")
      twin.port.onmessage = ({ data }) => keep(data)
      connect.call(this, twin)
    }
    return connect.call(this, to, ...rest)
  }
  const { start } = MediaRecorder.prototype
  MediaRecorder.prototype.start = function (...options) {
    const keep = begin("webm")
    this.addEventListener("dataavailable", ({ data }) => keep(data))
    return start.apply(this, options)
  }
}`

/** Before there is a page: those of this context are listened to. */
export const watch = (context: BrowserContext) => Effect.promise(() => context.addInitScript(script))

const sampleRate = 24_000
const blockSamples = sampleRate / 100
/** Mean square, of −50 dBFS. */
const silence = 1e-5
const pauseMs = 500
/** The modem hears in blocks of 10 ms: what is damaged a little is understood, or is not, by where they begin. */
const phases = [0, 60, 120, 180]

interface Part {
  readonly id: string
  readonly format: string
  readonly base64: string
}

/** What is given to the page, as often as it is run: all of it so far. */
export const listen = (page: Page, makeCodec: () => Codec): Effect.Effect<Given> => {
  const recordings = new Map<string, { readonly read: (bytes: Uint8Array) => void; readonly heard: () => Heard }>()
  let quietMs = 0
  let hasSpoken = false
  let pauses = 0
  const onBlock = (isSilent: boolean) => {
    if (!isSilent) hasSpoken = true
    const before = quietMs
    quietMs = isSilent && hasSpoken ? quietMs + 10 : 0
    if (before < pauseMs && quietMs >= pauseMs) pauses++
  }
  const begin = (format: string) => {
    const ear = makeEar(onBlock)
    return { heard: ear.heard, read: format === "webm" ? webm(makeCodec, ear.push) : pcm16(ear.push) }
  }
  return Effect.promise(async () => {
    const parts: ReadonlyArray<Part> = Object(await page.evaluate("takeGiven()"))
    for (const { base64, format, id } of parts) {
      const recording = recordings.get(id) ?? begin(format)
      recordings.set(id, recording)
      recording.read(Buffer.from(base64, "base64"))
    }
    const heard = [...recordings.values()].map((recording) => recording.heard())
    return {
      whole: heard.flatMap(({ whole }) => whole),
      wholeOfLast: heard.at(-1)?.whole ?? [],
      doubtful: new Set(heard.flatMap(({ doubtful }) => doubtful)),
      isWhole: heard.every((one) => one.isWhole),
      quietMs,
      pauses
    }
  })
}

interface Heard {
  readonly whole: ReadonlyArray<string>
  readonly doubtful: ReadonlyArray<string>
  readonly isWhole: boolean
}

/** Words of one recording. */
const makeEar = (onBlock: (isSilent: boolean) => void) => {
  let faults = 0
  const heardBy = phases.map((offset) => {
    const words: Array<string> = []
    const decoder = ToneModem.toneDecoder(sampleRate, (event) => {
      if (event._tag === "Word") words.push(wordText(event.word))
      else faults++
    })
    decoder.push(new Float32Array(offset))
    return { words, decoder }
  })
  let energy = 0
  let filled = 0
  return {
    push: (pcm: Float32Array) => {
      for (const { decoder } of heardBy) decoder.push(pcm)
      for (const sample of pcm) {
        energy += sample * sample
        if (++filled < blockSamples) continue
        onBlock(energy < silence * blockSamples)
        energy = 0
        filled = 0
      }
    },
    heard: (): Heard => {
      const [first = [], ...others] = heardBy.map(({ words }) => words)
      const whole = first.filter((word) => others.every((words) => words.includes(word)))
      return {
        whole,
        doubtful: [first, ...others].flat().filter((word) => !whole.includes(word)),
        isWhole: faults === 0
      }
    }
  }
}

const pcm16 = (push: (pcm: Float32Array) => void) => (bytes: Uint8Array) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  push(Float32Array.from({ length: bytes.length / 2 }, (_, at) => view.getInt16(2 * at, true) / 32_768))
}

/** On the recorder's own clock: what it says was not recorded is silence. */
const webm = (makeCodec: () => Codec, push: (pcm: Float32Array) => void) => {
  const { read } = WebmReader.make(makeCodec, {
    onSound: push,
    onSilence: (samples) => push(new Float32Array(samples)),
    onTrouble: () => undefined
  })
  return read
}
