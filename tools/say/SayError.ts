/**
 * Why `say` could not do what it was asked for; `code` is what it exits with.
 */
import { Schema } from "effect"

export class SayError extends Schema.TaggedError<SayError>()("SayError", {
  reason: Schema.Literals(["Usage", "Sound", "Service"]),
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
  /** 2: the command line; 1: everything else. */
  get code() {
    return this.reason === "Usage" ? 2 : 1
  }
}
