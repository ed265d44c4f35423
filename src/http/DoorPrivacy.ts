/**
 * DoorPrivacy: where the audio of a streaming session may go, by what its client asks for.
 */
import { Schema } from "effect"
import { Privacy, strictest } from "../domain/Privacy.ts"

/**
 * `?privacy=local-only` in the address of any dialect makes it stricter than the credential does, nothing makes it less strict. A word that is
 * not known lets nothing pass.
 */
export const make = (query: URLSearchParams, allowed: Privacy): Privacy | undefined => {
  const asked = query.get("privacy") ?? "any"
  return isPrivacy(asked) ? strictest(allowed, asked) : undefined
}

const isPrivacy = Schema.is(Privacy)
