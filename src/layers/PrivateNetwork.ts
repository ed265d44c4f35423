/**
 * Addresses that only a network of one's own can reach.
 */
import { BlockList, isIP } from "node:net"
import { isLoopback } from "./Loopback.ts"

/** Whether an address is one that anybody may reach; of a name nobody knows that. */
export const isPublic = (host: string): boolean =>
  isIP(host) !== 0 && !isLoopback(host) && !privateAddresses.check(host, isIP(host) === 6 ? "ipv6" : "ipv4")

/** RFC 1918, RFC 6598, RFC 3927; RFC 4193, RFC 4291. */
const privateAddresses = new BlockList()
for (const [net, prefix] of [
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["100.64.0.0", 10],
  ["169.254.0.0", 16]
] as const) {
  privateAddresses.addSubnet(net, prefix, "ipv4")
}
for (const [net, prefix] of [
  ["fc00::", 7],
  ["fe80::", 10]
] as const) {
  privateAddresses.addSubnet(net, prefix, "ipv6")
}
