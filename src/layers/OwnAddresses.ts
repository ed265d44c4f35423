/**
 * Own addresses that werift must be told of: it never offers the loopback by itself, which is all there is on a machine without a network.
 */
import { networkInterfaces } from "node:os"

/** `127.0.0.1` where there is no other IPv4 address, else nothing. */
export const unlisted = (): ReadonlyArray<string> => {
  const hasNetwork = Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ family, internal }) => family === "IPv4" && !internal)
  )
  return hasNetwork ? [] : ["127.0.0.1"]
}
