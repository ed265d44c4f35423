/**
 * What is said: 80 ms of mono sound at 24 kHz at a time.
 */
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { Cause, Effect, Queue, Stream } from "effect"
import { FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE } from "../../src/domain/Audio.ts"
import * as Pcm16 from "../../src/layers/Pcm16.ts"
import * as PolyphaseResampler from "../../src/layers/PolyphaseResampler.ts"
import { speak } from "../../src/layers/ToneModem.ts"
import * as WavReader from "../../src/layers/WavReader.ts"
import type { Sound } from "./Options.ts"
import { SayError } from "./SayError.ts"

/** Words of an utterance of synthetic speech, and the pause behind it. */
const utteranceWords = 8
const pauseMs = 800
/** 10 s: a service that takes no sound for longer loses the oldest. */
const microphoneFrames = 125

/** Sound as it is said: a file all at once, a microphone in its own time. A file is read before anybody is called. */
export const open = (sound: Sound): Effect.Effect<Stream.Stream<Float32Array, SayError>, SayError> => {
  switch (sound._tag) {
    case "File":
      return Effect.map(readWav(sound.path), framesOf)
    case "Tones":
      return Effect.succeed(framesOf(synthetic(sound.words)))
    case "Microphone":
      return Effect.succeed(microphone)
  }
}

/** No faster than people speak. */
export const paced = <E>(frames: Stream.Stream<Float32Array, E>): Stream.Stream<Float32Array, E> =>
  Stream.suspend(() => {
    const startedMs = performance.now()
    return frames.pipe(
      Stream.zipWithIndex,
      Stream.mapEffect(([frame, index]) =>
        Effect.as(Effect.sleep(Math.max(0, startedMs + (index + 1) * FRAME_MS - performance.now())), frame)
      )
    )
  })

/** Silence, for services that hear the end of an utterance. */
export const silence = (ms: number): Stream.Stream<Float32Array> =>
  framesOf(new Float32Array(Math.round((SAMPLE_RATE * ms) / 1000)))

const framesOf = (pcm: Float32Array): Stream.Stream<Float32Array> =>
  Stream.fromIterable(
    Array.from({ length: Math.ceil(pcm.length / FRAME_SAMPLES) }, (_, at) => {
      const frame = new Float32Array(FRAME_SAMPLES)
      frame.set(pcm.subarray(at * FRAME_SAMPLES, (at + 1) * FRAME_SAMPLES))
      return frame
    })
  )

const synthetic = (words: ReadonlyArray<number>): Float32Array => {
  const parts: Array<Float32Array> = []
  for (let at = 0; at < words.length; at += utteranceWords) {
    const options = { speaker: 1, sampleRate: SAMPLE_RATE, firstSequence: at % 16 }
    parts.push(speak(words.slice(at, at + utteranceWords), options).pcm)
    parts.push(new Float32Array((SAMPLE_RATE * pauseMs) / 1000))
  }
  return joined(parts)
}

const joined = (parts: ReadonlyArray<Float32Array>): Float32Array => {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

const bad = (detail: string) => new SayError({ reason: "Sound", detail })

const readWav = (path: string): Effect.Effect<Float32Array, SayError> =>
  Effect.gen(function* () {
    const bytes = yield* Effect.try({ try: () => readFileSync(path), catch: () => bad(`${path} cannot be read`) })
    if (bytes.toString("latin1", 0, 4) !== "RIFF") return yield* bad(`${path} is no WAV file`)
    const parts: Array<Float32Array> = []
    let trouble: string | undefined
    const reader = WavReader.make(PolyphaseResampler, {
      onSound: (pcm) => parts.push(pcm.slice()),
      onSilence: (samples) => parts.push(new Float32Array(samples)),
      onTrouble: (one) => {
        if (!one.goesOn) trouble = one.message
      }
    })
    reader.read(bytes)
    reader.close()
    if (trouble !== undefined) return yield* bad(`${path}: ${trouble}`)
    if (parts.length === 0) return yield* bad(`${path} has no sound in it`)
    return joined(parts)
  })

const recorders = [
  ["arecord", ["-q", "-t", "raw", "-f", "S16_LE", "-r", String(SAMPLE_RATE), "-c", "1"]],
  ["parec", ["--raw", "--format=s16le", `--rate=${SAMPLE_RATE}`, "--channels=1"]]
] as const

/** Until Ctrl-C. */
const microphone: Stream.Stream<Float32Array, SayError> = Stream.callback<Float32Array, SayError>(
  (queue) =>
    Effect.acquireRelease(
      Effect.sync(() => record(queue, 0)),
      (stop) => Effect.sync(stop)
    ),
  { bufferSize: microphoneFrames, strategy: "sliding" }
)

type Frames = Queue.Enqueue<Float32Array, SayError | Cause.Done>

/** Tries one program after the other; gives what stops the one that runs. */
const record = (queue: Frames, which: number): (() => void) => {
  const recorder = recorders[which]
  if (recorder === undefined) {
    const detail =
      "there is neither arecord (package alsa-utils) nor parec (package pulseaudio-utils) to hear the microphone with"
    Queue.failCauseUnsafe(queue, Cause.fail(bad(detail)))
    return () => {}
  }
  const [program, args] = recorder
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] })
  let rest = Buffer.alloc(0)
  let complaint = ""
  let stop = () => {
    child.kill("SIGTERM")
  }
  const onInterrupt = () => stop()
  process.once("SIGINT", onInterrupt)
  let hasSpoken = false
  child.stdout.on("data", (chunk: Buffer) => {
    hasSpoken = true
    rest = Buffer.concat([rest, chunk])
    const bytes = FRAME_SAMPLES * 2
    while (rest.length >= bytes) {
      Queue.offerUnsafe(queue, Pcm16.decode(rest.subarray(0, bytes)))
      rest = rest.subarray(bytes)
    }
  })
  child.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString("utf8")
  })
  child.on("error", () => {
    process.off("SIGINT", onInterrupt)
    stop = record(queue, which + 1)
  })
  child.on("close", () => {
    process.off("SIGINT", onInterrupt)
    if (hasSpoken) Queue.endUnsafe(queue)
    else if (child.pid !== undefined)
      Queue.failCauseUnsafe(queue, Cause.fail(bad(`${program} hears nothing: ${complaint.trim()}`)))
  })
  return () => stop()
}
