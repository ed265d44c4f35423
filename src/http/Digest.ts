/**
 * Comparing secrets: takes the same time for every wrong answer, whatever its length.
 */
import { createHash, timingSafeEqual } from "node:crypto"

/** SHA-256: 32 bytes, whatever was given. */
export const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

/** Whether the text is the one with this digest. */
export const hasDigest = (given: string, expected: Uint8Array): boolean => timingSafeEqual(digest(given), expected)

/** The one with this text's digest; looks at all of them, found or not. */
export const findByDigest = <A extends { readonly digest: Uint8Array }>(
  given: string,
  all: ReadonlyArray<A>
): A | undefined => {
  const asked = digest(given)
  let found: A | undefined
  for (const one of all) {
    if (timingSafeEqual(asked, one.digest)) found = one
  }
  return found
}
