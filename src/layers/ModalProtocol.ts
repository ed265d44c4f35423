/**
 * The messages of Kyutai on Modal (`/v1/stream`), as its server sends them. We only send audio: binary float32, little endian, 24 kHz mono.
 *
 * Today's deployment sends nothing but `token`, one per word; the one before it also sent `vad_end`, `ping` and `error`.
 */
import { Schema } from "effect"

export const Token = Schema.Struct({ type: Schema.tag("token"), text: Schema.String })
export const VadEnd = Schema.Struct({ type: Schema.tag("vad_end") })
export const Ping = Schema.Struct({ type: Schema.tag("ping") })
export const ServerFault = Schema.Struct({ type: Schema.tag("error"), message: Schema.String })

export const ServerMessage = Schema.Union([Token, VadEnd, Ping, ServerFault])
export type ServerMessage = typeof ServerMessage.Type

/** Characters of a message. A word is tens of characters; whatever is longer than this is not one. */
export const MAX_MESSAGE_CHARS = 8192
/** Characters of a token's text. */
export const MAX_TOKEN_CHARS = 512

const isMessage = Schema.is(ServerMessage)

/** The message in a text frame; nothing when it is not one. */
export const parse = (frame: string): ServerMessage | undefined => {
  // `fromJsonString` decodes in a fiber of its own: 3 KB for every word
  try {
    const message: unknown = JSON.parse(frame)
    return isMessage(message) ? message : undefined
  } catch {
    return undefined
  }
}
