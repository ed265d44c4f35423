/**
 * What passes on the wire, seen from outside the service: messages it sends to the HPB, and media that Janus sends to it.
 */
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import * as Processes from "./Processes.ts"
import { type ProofError, until } from "./ProofError.ts"

/** Texts of the whole, uncompressed client frames in one chunk (RFC 6455 §5.2); frames cut by a chunk's end are skipped. */
export const textsOf = (chunk: Buffer): ReadonlyArray<string> => {
  const texts: Array<string> = []
  for (let at = 0; at + 6 <= chunk.length; ) {
    const [first = 0, second = 0] = chunk.subarray(at, at + 2)
    const short = second & 0x7f
    const head = short === 126 ? 4 : short === 127 ? 10 : 2
    if ((second & 0x80) === 0 || at + head + 4 > chunk.length) return texts
    const length = short === 126 ? chunk.readUInt16BE(at + 2) : short === 127 ? chunk.readUInt32BE(at + 6) : short
    const mask = chunk.subarray(at + head, at + head + 4)
    const masked = chunk.subarray(at + head + 4, at + head + 4 + length)
    if (masked.length < length) return texts
    if (first === 0x81) texts.push(Buffer.from(masked.map((byte, i) => byte ^ (mask[i % 4] ?? 0))).toString())
    at += head + 4 + length
  }
  return texts
}

export interface MediaTap {
  /** When Janus sent the first Opus packet after this time; undefined while there is none. */
  readonly firstAfter: (ms: number) => number | undefined
}

/** Janus to subscribers: its ports, and RTP version 2 with payload type 111. */
const FILTER = "udp and src portrange 20000-24999 and udp[8] & 0xc0 = 0x80 and udp[9] & 0x7f = 111"

/** Watches for as long as the scope. */
export const media = (folder: string): Effect.Effect<MediaTap, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const tcpdump = yield* Processes.daemon({
      name: "tcpdump",
      command: "/usr/bin/tcpdump",
      args: ["-i", "lo", "-n", "-q", "-tt", "--immediate-mode", "-l", FILTER],
      logFile: join(folder, "media.log")
    })
    yield* until("tcpdump to listen", () => tcpdump.log().includes("listening on"))
    return {
      firstAfter: (ms) => {
        const times = [...tcpdump.log().matchAll(/^(\d+\.\d+) IP/gm)].map(([, seconds]) => Number(seconds) * 1000)
        return times.find((time) => time > ms)
      }
    }
  })
