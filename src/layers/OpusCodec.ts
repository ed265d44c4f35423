/**
 * libopus behind one interface: in our own addon or another's where one could be built, else as WebAssembly. All decode straight to 24 kHz
 * mono, which costs less than decoding at 48 kHz and resampling, and sounds the same.
 */
import { createRequire } from "node:module"
import { Effect, Schema, type Scope } from "effect"
import type { OpusDecoderHandle } from "libopus-wasm"
import { SAMPLE_RATE } from "../domain/Audio.ts"
import type { Codec } from "../services/Decoder.ts"
import * as DecodingThread from "./DecodingThread.ts"
import * as NativeAddon from "./NativeAddon.ts"
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

export interface OpusCodec extends Codec {
  /** What the library's thread knows it by. */
  readonly handle?: NativeAddon.NativeHandle | undefined
}

export interface CodecLibrary {
  readonly name: string
  readonly make: () => Codec
  /** One whose sound is valid until any of those that were made so decodes a packet: hundreds of voices in turn write where the processor has it at hand. */
  readonly makeSharing: () => OpusCodec
  /** Decodes for those where it is wanted. */
  readonly thread?: DecodingThread.DecodingThread
}

const ADDON = "native/build"
/** Needs a compiler or a prebuilt binary at installation: an optional dependency, so only asked for here. */
const NATIVE = "@discordjs/opus"
const WASM = "libopus-wasm"
/** Decoders are made behind a promise; so many voices and replays may begin within one turn of the event loop. */
const SPARES = 64

/** libopus in our own addon (`native/`), which writes into memory that stays. `isNeeded`: where it decodes on a `DecodingThread`; left out: nowhere. */
export const addonWith = (
  isNeeded?: (atMs: number) => boolean
): Effect.Effect<CodecLibrary, CodecMissing, Scope.Scope> =>
  Effect.gen(function* () {
    const loaded = NativeAddon.load()
    if (typeof loaded === "string") return yield* new CodecMissing({ library: ADDON, detail: loaded })
    const shared = makeRoom()
    const library = {
      name: `${loaded.opus} (${ADDON})`,
      make: () => addonCodec(loaded, makeRoom()),
      makeSharing: () => addonCodec(loaded, shared)
    }
    if (isNeeded === undefined) return library
    const thread = yield* Effect.acquireRelease(
      Effect.sync(() => DecodingThread.make({ addon: loaded, isNeeded })),
      (one) => Effect.sync(one.close)
    )
    return { ...library, thread }
  })

export const addon = addonWith()

/** libopus as a native addon of others: integers, in new memory for each packet. */
export const native: Effect.Effect<CodecLibrary, CodecMissing> = Effect.try({
  try: () => {
    const loaded: unknown = createRequire(import.meta.url)(NATIVE)
    if (!isNativeOpus(loaded)) throw new TypeError("has no OpusEncoder")
    const { OpusEncoder } = loaded
    // A binary for another platform loads and fails here.
    new OpusEncoder(SAMPLE_RATE, 1).decode(silentPacket)
    const make = () => nativeCodec(new OpusEncoder(SAMPLE_RATE, 1))
    return { name: NATIVE, make, makeSharing: make }
  },
  catch: (cause) =>
    new CodecMissing({ library: NATIVE, detail: cause instanceof Error ? cause.message : String(cause) })
})

/** libopus as WebAssembly: runs everywhere, and is only loaded where there is no other. Keeps a few decoders ready; they are freed with the scope. */
export const wasm: Effect.Effect<CodecLibrary, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () => {
    const { createDecoder } = await import("libopus-wasm")
    const spares = makeSpares(() => createDecoder({ channels: 1, sampleRate: SAMPLE_RATE, maxFrameSize: MAX_SAMPLES }))
    await Promise.all(Array.from({ length: SPARES }, spares.prepare))
    return spares
  }),
  (spares) => Effect.sync(spares.close)
).pipe(
  Effect.map((spares) => {
    const make = () => wasmCodec(spares)
    return { name: WASM, make, makeSharing: make }
  })
)

/** What a packet of 20 ms needs; few packets are longer. */
const USUAL_SAMPLES = 480
/** OPUS_BUFFER_TOO_SMALL. */
const NO_ROOM = -2

/** Where packets are decoded to. */
interface Room {
  samples: Float32Array
  /** Its beginning, by length. */
  readonly results: Map<number, Float32Array>
}

const makeRoom = (): Room => ({ samples: new Float32Array(USUAL_SAMPLES), results: new Map() })

const enlarge = (room: Room): void => {
  room.samples = new Float32Array(MAX_SAMPLES)
  room.results.clear()
}

const resultIn = ({ results, samples }: Room, length: number): Float32Array => {
  const known = results.get(length)
  if (known !== undefined) return known
  const result = samples.subarray(0, length)
  results.set(length, result)
  return result
}

const addonCodec = (native: NativeAddon.NativeAddon, room: Room): OpusCodec => {
  const decoder = native.makeDecoder()
  return {
    handle: decoder,
    decode: (packet) => {
      if (decoder === undefined) return undefined
      let samples = native.decode(decoder, packet, room.samples)
      if (samples === NO_ROOM && room.samples.length < MAX_SAMPLES) {
        enlarge(room)
        samples = native.decode(decoder, packet, room.samples)
      }
      return samples <= 0 ? undefined : resultIn(room, samples)
    },
    close: () => {
      if (decoder !== undefined) native.closeDecoder(decoder)
    }
  }
}

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

interface Spares {
  readonly prepare: () => Promise<void>
  /** A decoder, while another one is prepared. */
  readonly take: () => OpusDecoderHandle | undefined
  readonly close: () => void
}

const makeSpares = (make: () => Promise<OpusDecoderHandle>): Spares => {
  const spares: Array<OpusDecoderHandle> = []
  let closed = false
  const prepare = async () => {
    const decoder = await make()
    if (closed) decoder.free()
    else spares.push(decoder)
  }
  return {
    prepare,
    take: () => {
      if (!closed) void prepare()
      return spares.pop()
    },
    close: () => {
      closed = true
      for (const decoder of spares.splice(0)) decoder.free()
    }
  }
}

const wasmCodec = (spares: Spares): Codec => {
  let decoder: OpusDecoderHandle | undefined
  let closed = false
  return {
    decode: (packet) => {
      if (packet.length === 0 || closed) return undefined
      decoder ??= spares.take()
      try {
        return decoder?.decodeFloat(packet)
      } catch {
        return undefined
      }
    },
    close: () => {
      closed = true
      decoder?.free()
      decoder = undefined
    }
  }
}
