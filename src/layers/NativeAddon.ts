/**
 * Our own addon (`native/`), made of C where a compiler is found at installation. It is optional: whoever asks for it has another way.
 */
import { createRequire } from "node:module"

/** Something of the addon's that is freed with the last reference to it. */
export interface NativeHandle {
  readonly nativeHandle: never
}

/**
 * No call throws or allocates, and none goes outside of what it is given, whatever the bytes are; each works synchronously. Numbers below 0:
 * refused.
 */
export interface NativeAddon {
  /** Name and version of the library that decodes. */
  readonly opus: string
  /** A decoder of 24 kHz mono. */
  readonly makeDecoder: () => NativeHandle | undefined
  /** Frees its memory now; it refuses everything afterwards. */
  readonly closeDecoder: (decoder: NativeHandle) => void
  /** How many samples of `out` the packet became; a packet that has no room there is refused and changes nothing. */
  readonly decode: (decoder: NativeHandle, packet: Uint8Array, out: Float32Array) => number
  /** Fills `out` (whole steps of 2.5 ms) with what may have been lost. */
  readonly conceal: (decoder: NativeHandle, out: Float32Array) => number
  /** Fills `out`, the time of one lost packet, with what the packet behind it repeats of it (FEC), else with what may have been lost. */
  readonly recover: (decoder: NativeHandle, next: Uint8Array, out: Float32Array) => number
  /** A thread that decodes; `onDone` is called, by the event loop, behind each batch, and keeps no process alive. `undefined` where the system gives none. */
  readonly makeThread: (onDone: () => void) => NativeHandle | undefined
  /** It ends behind the batch it has, and takes no more. */
  readonly closeThread: (thread: NativeHandle) => void
  /**
   * Takes as many packets as there are decoders; one batch at a time. `packets` and `table`, which says where each of them is, may be reused at once; what rows
   * mean: `DecodingThread`. Until they are taken back, these decoders refuse everything else.
   */
  readonly decodeBeside: (
    thread: NativeHandle,
    decoders: ReadonlyArray<NativeHandle>,
    packets: Uint8Array,
    table: Float64Array
  ) => number
  /** How many packets of the batch became sound, or 0 where there is none; waits for the thread. Their sound stands in `sound`, each with the room it was given. */
  readonly takeDecoded: (thread: NativeHandle, sound: Float32Array, table: Float64Array) => number
  /** Whether this Node has all of OpenSSL that opening needs; without it there are no ciphers. */
  readonly srtp: boolean
  /** Of derived keys (RFC 3711 §4.3); `undefined` where they do not fit the profile. */
  readonly makeCipher: (
    profile: number,
    encryption: Uint8Array,
    authentication: Uint8Array,
    salt: Uint8Array
  ) => NativeHandle | undefined
  /** How many bytes of `out` the payload has; where the packet is refused, what is in `out` means nothing. `out` is not a part of `packet`. */
  readonly open: (
    cipher: NativeHandle,
    packet: Uint8Array,
    headerBytes: number,
    rolloverCounter: number,
    out: Uint8Array
  ) => number
  /** Reads many sockets at a time; `undefined` where the system has no more room. */
  readonly makeReader: () => NativeHandle | undefined
  /** From now on it reads the socket of that descriptor too, under a number of its caller's that is free. The descriptor stays its owner's, and is removed before it is closed. */
  readonly addSocket: (reader: NativeHandle, id: number, fd: number) => number
  /** What waits of it is gone. */
  readonly removeSocket: (reader: NativeHandle, id: number) => number
  /**
   * How many datagrams came, or waited for long enough; `MORE` is added where there are more for another call. What they are and what waits:
   * `SocketReader`, which also says how much room `slab` and `table` must have.
   */
  readonly readSockets: (
    reader: NativeHandle,
    nowMs: number,
    slab: Uint8Array,
    table: Float64Array,
    rules: Float64Array
  ) => number
  /** What waits of one socket, in the same form. */
  readonly wakeSocket: (reader: NativeHandle, id: number, slab: Uint8Array, table: Float64Array) => number
  /**
   * From now on a thread looks once a second whether that is still the parent of this process, and kills this process when it has not been for longer than
   * `endsWithin` said, whatever JavaScript does.
   */
  readonly watchParent: (pid: number) => number
  /** Before the first call of it that is for ever. */
  readonly endsWithin: (ms: number) => number
  /** Gives back to the system what was freed outside of V8's heap, some ms for all of it. Nothing happens where the C library is not glibc. */
  readonly trimMemory: () => void
}

/** See `readSockets`. */
export const MORE = 0x1_0000

/** The same from `src` and from `dist`. */
const FILE = "../../native/build/parlance.node"
const FUNCTIONS = [
  ...["makeDecoder", "closeDecoder", "decode", "conceal", "recover"],
  ...["makeThread", "closeThread", "decodeBeside", "takeDecoded"],
  ...["makeCipher", "open"],
  ...["makeReader", "addSocket", "removeSocket", "readSockets", "wakeSocket"],
  ...["watchParent", "endsWithin", "trimMemory"]
]

/** The addon, or why there is none. */
export const load = (file: string = FILE): NativeAddon | string => {
  try {
    const loaded: unknown = createRequire(import.meta.url)(file)
    return isAddon(loaded) ? loaded : "is another addon than expected"
  } catch (cause) {
    const [reason = ""] = (cause instanceof Error ? cause.message : String(cause)).split("\n", 1)
    return reason
  }
}

const isAddon = (loaded: unknown): loaded is NativeAddon => {
  if (typeof loaded !== "object" || loaded === null) return false
  const members = new Map(Object.entries(loaded))
  return (
    typeof members.get("opus") === "string" &&
    typeof members.get("srtp") === "boolean" &&
    FUNCTIONS.every((name) => typeof members.get(name) === "function")
  )
}
