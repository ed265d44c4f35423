/**
 * Where sound comes from: the microphone as PCM16 or as WebM/Opus, or a file.
 */

/** @typedef {{ readonly bytes: ArrayBuffer, readonly ms: number }} Chunk */
/**
 * @typedef {object} Source
 * @property {{ readonly format: string, readonly sample_rate?: number }} format as the service is told
 * @property {boolean} isRepeatable any chunk can be the first one of a connection
 * @property {() => void} restart chunks from now on can be understood without those before
 * @property {() => Promise<void>} stop resolves behind the last chunk
 */
/** @typedef {"pcm" | "opus"} Path */
/**
 * @typedef {object} Microphone
 * @property {AnalyserNode} analyser
 * @property {Path} path
 * @property {(onChunk: (chunk: Chunk) => void) => Promise<Source>} record
 * @property {() => void} close
 */

/** What Kyutai and OpenAI take: other rates are resampled by the service. */
const preferredRate = 24_000
const opusTypes = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus"]
/** How often the recorder hands out what it has: later words would wait longer. */
const opusChunkMs = 200
const opusBitsPerSecond = 32_000

/** There is no microphone, or it may not be used; `name` is the browser's. */
export class MicrophoneError extends Error {
  /** @param {string} name */
  constructor(name) {
    super(name)
    this.name = name
  }
}

const opusType = () =>
  typeof MediaRecorder === "undefined" ? undefined : opusTypes.find((type) => MediaRecorder.isTypeSupported(type))

/**
 * PCM is quickest and loses nothing when a connection breaks; Opus needs a twelfth of the bandwidth.
 *
 * @param {string} wished "auto", or a path
 * @returns {Path}
 */
const choosePath = (wished) => {
  const canPcm = typeof AudioWorkletNode !== "undefined"
  const canOpus = opusType() !== undefined
  const connection = /** @type {{ saveData?: boolean } | undefined} */ (Reflect.get(navigator, "connection"))
  if (wished === "opus" || (wished === "auto" && connection?.saveData === true)) return canOpus ? "opus" : "pcm"
  return canPcm ? "pcm" : "opus"
}

/**
 * Opens the microphone. It is used as it is: what browsers do against noise is made for people on the phone and takes away what engines hear.
 *
 * @param {{ readonly path: string, readonly deviceId: string, readonly onLost: () => void }} options
 * @returns {Promise<Microphone>}
 */
export const openMicrophone = async ({ deviceId, onLost, path: wished }) => {
  if (navigator.mediaDevices === undefined) throw new MicrophoneError("InsecureContext")
  const path = choosePath(wished)
  const stream = await navigator.mediaDevices
    .getUserMedia({
      audio: {
        ...(deviceId === "" ? {} : { deviceId }),
        channelCount: 1,
        echoCancellation: false,
        noiseSuppression: false,
        autoGainControl: true
      }
    })
    .catch((error) => {
      throw new MicrophoneError(error instanceof Error ? error.name : "unknown")
    })
  const { context, input } = connect(stream)
  const analyser = new AnalyserNode(context, { fftSize: 1024, smoothingTimeConstant: 0.75 })
  input.connect(analyser)
  for (const track of stream.getTracks()) track.addEventListener("ended", onLost)
  await context.resume()
  return {
    analyser,
    path,
    record: (onChunk) => (path === "pcm" ? recordPcm(context, input, onChunk) : recordOpus(stream, onChunk)),
    close: () => {
      for (const track of stream.getTracks()) {
        track.removeEventListener("ended", onLost)
        track.stop()
      }
      void context.close()
    }
  }
}

/** @param {MediaStream} stream */
const connect = (stream) => {
  try {
    const context = new AudioContext({ sampleRate: preferredRate, latencyHint: "interactive" })
    return { context, input: context.createMediaStreamSource(stream) }
  } catch {
    // Firefox connects a microphone only at its own rate.
    const native = new AudioContext({ latencyHint: "interactive" })
    return { context: native, input: native.createMediaStreamSource(stream) }
  }
}

/**
 * @param {AudioContext} context
 * @param {AudioNode} input
 * @param {(chunk: Chunk) => void} onChunk
 * @returns {Promise<Source>}
 */
const recordPcm = async (context, input, onChunk) => {
  await context.audioWorklet.addModule(new URL("./PcmWorklet.js", import.meta.url))
  const node = new AudioWorkletNode(context, "pcm16", {
    numberOfOutputs: 0,
    channelCount: 1,
    channelCountMode: "explicit"
  })
  const ended = Promise.withResolvers()
  node.port.onmessage = ({ data }) => {
    if (!(data instanceof ArrayBuffer)) return
    if (data.byteLength === 0) return ended.resolve(undefined)
    onChunk({ bytes: data, ms: (data.byteLength / 2 / context.sampleRate) * 1000 })
  }
  input.connect(node)
  return {
    format: { format: "pcm16", sample_rate: context.sampleRate },
    isRepeatable: true,
    restart: () => {},
    stop: async () => {
      node.port.postMessage("end")
      // A context that the browser has suspended never answers.
      await Promise.race([ended.promise, new Promise((resolve) => setTimeout(resolve, 500))])
      node.disconnect()
    }
  }
}

/**
 * @param {MediaStream} stream
 * @param {(chunk: Chunk) => void} onChunk
 * @returns {Promise<Source>}
 */
const recordOpus = async (stream, onChunk) => {
  const type = opusType() ?? ""
  /** Blobs are read one after the other, so that chunks keep their order. */
  let reading = Promise.resolve()
  let current = begin()

  function begin() {
    const recorder = new MediaRecorder(stream, { mimeType: type, audioBitsPerSecond: opusBitsPerSecond })
    let isWanted = true
    let sinceMs = performance.now()
    recorder.ondataavailable = ({ data }) => {
      const nowMs = performance.now()
      const ms = nowMs - sinceMs
      sinceMs = nowMs
      if (data.size === 0) return
      reading = reading.then(async () => {
        const bytes = await data.arrayBuffer()
        if (isWanted) onChunk({ bytes, ms })
      })
    }
    recorder.start(opusChunkMs)
    return {
      end: () => {
        const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve, { once: true }))
        if (recorder.state === "inactive") return Promise.resolve()
        recorder.stop()
        return stopped.then(() => reading)
      },
      abandon: () => {
        isWanted = false
        if (recorder.state !== "inactive") recorder.stop()
      }
    }
  }

  return {
    format: { format: "auto" },
    isRepeatable: false,
    restart: () => {
      current.abandon()
      current = begin()
    },
    stop: () => current.end()
  }
}

/**
 * A file as PCM16, whatever the browser can read.
 *
 * @param {File} file
 * @returns {Promise<{ readonly samples: Int16Array<ArrayBuffer>, readonly sampleRate: number }>}
 */
export const readFile = async (file) => {
  const context = new OfflineAudioContext(1, 1, preferredRate)
  const decoded = await context.decodeAudioData(await file.arrayBuffer())
  const samples = new Int16Array(decoded.length)
  const channels = Array.from({ length: decoded.numberOfChannels }, (_, at) => decoded.getChannelData(at))
  for (let at = 0; at < samples.length; at++) {
    let sum = 0
    for (const channel of channels) sum += channel[at] ?? 0
    samples[at] = Math.max(-1, Math.min(1, sum / channels.length)) * 32_767
  }
  return { samples, sampleRate: decoded.sampleRate }
}
