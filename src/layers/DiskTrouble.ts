/**
 * What is wrong with a file or a folder, in words for an admin.
 */
import type { PlatformError } from "effect"

/** By the system's own code, see errno(3). */
const words: Readonly<Record<string, string>> = {
  EACCES: "this process may not do that",
  EDQUOT: "its share of the disk is used up",
  EEXIST: "a file is where a folder should be",
  EIO: "the disk is broken",
  EISDIR: "it is a folder",
  ENOENT: "it is not there",
  ENOSPC: "the disk is full",
  ENOTDIR: "a file is where a folder should be",
  EPERM: "this process may not do that",
  EROFS: "it can only be read"
}

/** In lower case, without a full stop; never the content of a file. */
export const wordsOf = ({ reason }: PlatformError.PlatformError): string => {
  const { cause } = reason
  const code = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : reason._tag
  return wordsOfCode(code)
}

/** The same for the system's code alone. */
export const wordsOfCode = (code: string): string => words[code] ?? code
