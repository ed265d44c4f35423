/**
 * Plays a recorded session of an internal client (test/fixtures/hpb-wire) to a live client: what the HPB sent is sent again, where the
 * recording client spoke we wait until ours says the same.
 */
import { readFileSync } from "node:fs"
import { Schema } from "effect"
import { type FakeClient, type FakeHpb, field, type Message } from "./FakeHpb.ts"

const Entry = Schema.Struct({
  ms: Schema.Finite,
  dir: Schema.Literals(["->", "<-", "##"]),
  msg: Schema.Unknown
})
const File = Schema.Struct({
  hpb: Schema.String,
  legend: Schema.Record(Schema.String, Schema.String),
  wire: Schema.Array(Entry)
})

export type Recording = typeof File.Type

export const read = (name: string): Recording =>
  Schema.decodeSync(Schema.fromJsonString(File))(
    readFileSync(new URL(`../fixtures/hpb-wire/${name}.json`, import.meta.url), "utf8")
  )

/** Frames the HPB sent. */
export const framesOf = (recording: Recording): ReadonlyArray<Message> =>
  recording.wire.flatMap(({ dir, msg }) => (dir === "<-" && isMessage(msg) ? [msg] : []))

/** The room of the recording. */
export const roomOf = (recording: Recording): string =>
  String(
    recording.wire
      .map(({ msg }) => field(msg, "room", "roomid"))
      .find((room) => typeof room === "string" && room !== "")
  )

export interface Player {
  readonly isOver: () => boolean
  /** Where the live client did something else than the recording. */
  readonly where: () => string
}

/** `until` ends the play before the first entry for which it is true. */
export const play = (hpb: FakeHpb, recording: Recording, until: (entry: unknown) => boolean = () => false): Player => {
  const end = recording.wire.findIndex(({ msg }) => until(msg))
  const wire = end === -1 ? recording.wire : recording.wire.slice(0, end)
  const ids = new Map<unknown, unknown>()
  let at = 0
  let client: FakeClient | undefined
  let waiting: Array<Message> = []

  const advance = () => {
    for (; at < wire.length; at++) {
      const { dir, msg } = wire[at] ?? { dir: "##", msg: "" }
      if (dir === "##") {
        if (field(msg, "websocket") !== "close") continue
        client?.kill()
        client = undefined
        waiting = []
      } else if (dir === "<-") {
        if (client === undefined || !isMessage(msg)) return
        client.send("id" in msg ? { ...msg, id: ids.get(msg["id"]) } : msg)
      } else if (isSpoken(msg)) {
        const found = waiting.findIndex((message) => kindOf(message) === kindOf(msg))
        if (found === -1) return
        ids.set(field(msg, "id"), field(waiting[found], "id"))
        waiting.splice(found, 1)
      }
    }
  }
  hpb.rules.onConnect = (connected) => {
    client = connected
    advance()
    return true
  }
  hpb.rules.onMessage = (from, message) => {
    if (message["type"] === "bye") return false
    if (from === client) waiting.push(message)
    advance()
    return true
  }
  return {
    isOver: () => at >= wire.length,
    where: () =>
      `entry ${at} of ${wire.length}: ${JSON.stringify(wire[at]).slice(0, 200)}; heard ${waiting.map(kindOf)}`
  }
}

/** What our client says too, and what the HPB's next words depend on. */
const isSpoken = (message: unknown): boolean => /^(hello|resume|room|requestoffer)/.test(kindOf(message))

const kindOf = (message: unknown): string => {
  const type = String(field(message, "type"))
  if (type === "hello") return field(message, "hello", "resumeid") === undefined ? "hello" : "resume"
  if (type !== "message") return type
  return `${field(message, "message", "data", "type")} ${field(message, "message", "recipient", "sessionid")}`
}

const isMessage = (value: unknown): value is Message => typeof value === "object" && value !== null
