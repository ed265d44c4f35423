/**
 * The recorded speech that the benchmarks send: `fixtures/speech.json`, made by `fixtures/makeSpeech.ts`.
 */
import { readFileSync } from "node:fs"
import { Effect, Schema } from "effect"

/** Opus packets of 20 ms. */
type Packets = ReadonlyArray<Uint8Array>

export interface Speech {
  /** Sentences of 1.5 s each. */
  readonly phrases: ReadonlyArray<Packets>
  /** A microphone in a quiet room, to be repeated. */
  readonly room: Packets
  /** A microphone that is muted, to be repeated: a browser goes on sending. */
  readonly muted: Packets
}

const Recording = Schema.Struct({
  phrases: Schema.Array(Schema.String),
  room: Schema.String,
  muted: Schema.String
})

/** Reads it from the disk. */
export const load: Effect.Effect<Speech> = Effect.suspend(() =>
  Schema.decodeEffect(Schema.fromJsonString(Recording))(
    readFileSync(new URL("fixtures/speech.json", import.meta.url), "utf8")
  )
).pipe(
  Effect.map(({ muted, phrases, room }) => ({
    phrases: phrases.map(packetsOf),
    room: packetsOf(room),
    muted: packetsOf(muted)
  })),
  Effect.orDie
)

/** Each behind its length in two bytes. */
const packetsOf = (recorded: string): Packets => {
  const bytes = Buffer.from(recorded, "base64")
  const packets: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt16BE(at)
    packets.push(bytes.subarray(at + 2, at + 2 + length))
    at += 2 + length
  }
  return packets
}
