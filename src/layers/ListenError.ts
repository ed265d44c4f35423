/**
 * An address that cannot be listened on.
 */
import { Schema } from "effect"

/** `code`: of the system's error, or `unknown reason`. The message is a line for an admin. */
export class ListenError extends Schema.TaggedError<ListenError>()("ListenError", {
  address: Schema.String,
  code: Schema.String
}) {
  override get message() {
    const why = reasons[this.code]
    return `cannot listen on ${this.address}: ${this.code}${why === undefined ? "" : ` (${why})`}`
  }
}

/** errno(3) in words. */
const reasons: Readonly<Record<string, string>> = {
  EACCES: "this process may not",
  EADDRINUSE: "another program listens there",
  EADDRNOTAVAIL: "no network of this machine has that address",
  ENOTFOUND: "there is no such host"
}
