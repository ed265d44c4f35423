/**
 * Messages by which an internal client has the HPB keep something: the status of a phone call, transient data of a room of any id. They
 * are meant for SIP bridges.
 *
 * Paragraphs are those of https://nextcloud-spreed-signaling.readthedocs.io/en/latest/standalone-signaling-api-v1/
 */
import { Schema } from "effect"

/** #transient-data: told to the sessions of the room when it changes, and only then. */
export const TransientMessage = Schema.Struct({
  type: Schema.tag("transient"),
  transient: Schema.Struct({
    type: Schema.tag("set"),
    value: Schema.Unknown,
    oldvalue: Schema.optionalKey(Schema.Unknown)
  })
})
export type TransientChange = (typeof TransientMessage.Type)["transient"]

/** Such a value, if it is the status of a phone call. */
const PhoneStatus = Schema.Struct({ callid: Schema.String, message: Schema.optionalKey(Schema.String) })
export const decodePhoneStatus = Schema.decodeUnknownOption(PhoneStatus)

/** #start-dialout-from-a-room: HPB 1.2 and later. What is `cleared` is kept for five seconds more. */
export const StatusMessage = Schema.Struct({
  id: Schema.String,
  type: Schema.tag("internal"),
  internal: Schema.Struct({
    type: Schema.tag("dialout"),
    dialout: Schema.Struct({
      type: Schema.tag("status"),
      roomid: Schema.String,
      status: Schema.Struct({
        callid: Schema.String,
        status: Schema.Literals(["connected", "cleared"]),
        message: Schema.optionalKey(Schema.String)
      })
    })
  })
})
