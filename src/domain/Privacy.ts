/**
 * Privacy: where the audio of a voice may go.
 */
import { Schema } from "effect"

/** `local-only`: to engines on this machine and to no other. */
export const Privacy = Schema.Literals(["any", "local-only"])
export type Privacy = typeof Privacy.Type

/** The stricter of two. */
export const strictest = (one: Privacy, other: Privacy = "any"): Privacy => (one === "local-only" ? one : other)
