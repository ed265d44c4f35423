/**
 * libopus behind one interface: native where it could be built, else WebAssembly. Both decode straight to 24 kHz mono, which costs less
 * than decoding at 48 kHz and resampling, and sounds the same.
 */
import { createRequire } from "node:module"
import { Effect, Schema, type Scope } from "effect"
import { OpusDecoder } from "opus-decoder"
import { SAMPLE_RATE } from "../domain/Audio.ts"
import type { Codec } from "../services/Decoder.ts"
import { MAX_TICKS } from "./OpusPacket.ts"

/** The library cannot be used on this machine. */
export class CodecMissing extends Schema.TaggedError<CodecMissing>()("CodecMissing", {
  library: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.library}: ${this.detail}`
  }
}

export interface CodecLibrary {
  readonly name: string
  readonly make: () => Codec
}

/** Needs a compiler or a prebuilt binary at installation: an optional dependency, so only asked for here. */
const NATIVE = "@discordjs/opus"
const WASM = "opus-decoder"
/** WebAssembly decoders need a moment to be ready; so many set-ups and replays may begin at once before one is late. */
const SPARES = 8

/** libopus as a native addon: 25 µs for 20 ms of speech. */
export const native: Effect.Effect<CodecLibrary, CodecMissing> = Effect.try({
  try: () => {
    const loaded: unknown = createRequire(import.meta.url)(NATIVE)
    if (!isNativeOpus(loaded)) throw new TypeError("has no OpusEncoder")
    const { OpusEncoder } = loaded
    // A binary for another platform loads and fails here.
    new OpusEncoder(SAMPLE_RATE, 1).decode(silentPacket)
    return { name: NATIVE, make: () => nativeCodec(new OpusEncoder(SAMPLE_RATE, 1)) }
  },
  catch: (cause) =>
    new CodecMissing({ library: NATIVE, detail: cause instanceof Error ? cause.message : String(cause) })
})

/** libopus as WebAssembly: a third slower, runs everywhere. Keeps a few decoders ready; they are freed with the scope. */
export const wasm: Effect.Effect<CodecLibrary, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () => {
    const spares = makeSpares()
    await Promise.all(Array.from({ length: SPARES }, spares.prepare))
    return spares
  }),
  (spares) => Effect.sync(spares.close)
).pipe(Effect.map((spares) => ({ name: WASM, make: () => wasmCodec(spares) })))

interface NativeDecoder {
  readonly decode: (packet: Buffer) => Buffer
}

const isNativeOpus = (
  loaded: unknown
): loaded is { readonly OpusEncoder: new (rate: number, channels: number) => NativeDecoder } =>
  typeof loaded === "object" && loaded !== null && "OpusEncoder" in loaded && typeof loaded.OpusEncoder === "function"

/** 20 ms of digital silence. */
const silentPacket = Buffer.from([0xf8, 0xff, 0xfe])
const MAX_SAMPLES = MAX_TICKS / 2

const nativeCodec = (decoder: NativeDecoder): Codec => {
  const samples = new Float32Array(MAX_SAMPLES)
  let result = samples
  return {
    decode: (packet) => {
      // An empty packet would conceal 240 ms (facts of the binding, not of Opus).
      if (packet.length === 0) return undefined
      try {
        const decoded = decoder.decode(Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength))
        const pcm = new Int16Array(decoded.buffer, decoded.byteOffset, decoded.length >> 1)
        if (result.length !== pcm.length) result = samples.subarray(0, pcm.length)
        for (let n = 0; n < pcm.length; n++) samples[n] = (pcm[n] ?? 0) / 32768
        return result
      } catch {
        return undefined
      }
    },
    close: () => undefined
  }
}

type WasmDecoder = OpusDecoder<24000>

interface Spares {
  readonly prepare: () => Promise<void>
  /** A decoder, while another one is prepared. */
  readonly take: () => WasmDecoder | undefined
  readonly giveBack: (decoder: WasmDecoder) => void
  readonly close: () => void
}

const makeSpares = (): Spares => {
  const fresh: Array<WasmDecoder> = []
  /** They sound of their last voice for a moment: only when there is no fresh one. */
  const used: Array<WasmDecoder> = []
  let closed = false
  let preparing = 0
  const prepare = async () => {
    preparing++
    const decoder = new OpusDecoder({ channels: 1, sampleRate: SAMPLE_RATE })
    await decoder.ready
    preparing--
    if (closed) decoder.free()
    else fresh.push(decoder)
  }
  return {
    prepare,
    take: () => {
      const decoder = fresh.pop() ?? used.pop()
      if (!closed && fresh.length + preparing < SPARES) void prepare()
      return decoder
    },
    giveBack: (decoder) => {
      if (closed || used.length >= SPARES) decoder.free()
      else used.push(decoder)
    },
    close: () => {
      closed = true
      for (const decoder of [...fresh.splice(0), ...used.splice(0)]) decoder.free()
    }
  }
}

const wasmCodec = (spares: Spares): Codec => {
  let decoder: WasmDecoder | undefined
  let closed = false
  return {
    decode: (packet) => {
      if (packet.length === 0 || closed) return undefined
      decoder ??= spares.take()
      if (decoder === undefined) return undefined
      try {
        const { channelData, samplesDecoded } = quietly(decoder, packet)
        return samplesDecoded === 0 ? undefined : channelData[0]
      } catch {
        // Memory of the module may be damaged: this decoder is not used again.
        decoder = undefined
        return undefined
      }
    },
    close: () => {
      closed = true
      if (decoder !== undefined) spares.giveBack(decoder)
      decoder = undefined
    }
  }
}

/** The library prints every packet it cannot decode; a sender must not be able to fill our log. Synchronous, so nothing else is muted. */
const quietly = (decoder: WasmDecoder, packet: Uint8Array) => {
  const { console: printer } = globalThis
  const print = printer.error
  printer.error = mute
  try {
    return decoder.decodeFrame(packet)
  } finally {
    printer.error = print
  }
}

const mute = () => undefined
