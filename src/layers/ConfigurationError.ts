/**
 * What an admin has to correct before the service can start.
 */
import { Schema } from "effect"

/** A variable that cannot be used; the message names it and says what is expected, in one line. */
export class ConfigurationError extends Schema.TaggedError<ConfigurationError>()("ConfigurationError", {
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}
