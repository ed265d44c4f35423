/**
 * Hearing: when packets of each voice reached the service, seen from outside: the service's own answers on the wire to the HPB say on which
 * ports it hears whom, and tcpdump says when Janus sent to them.
 */
import { spawn } from "node:child_process"
import { Effect, Option, Schema, type Scope } from "effect"
import { machineMs } from "../../../test/talk/HpbClient.ts"
import { textsOf } from "../../../test/talk/WireTap.ts"
import type { Deafness } from "./Stage.ts"

/** A connection by which the service hears a voice. */
interface Flow {
  readonly voice: string
  readonly announcedMs: number
  firstMs?: number
  lastMs?: number
}

export interface Hearing {
  /** Sees everything that the service sends to the HPB. */
  readonly tap: (sent: Buffer) => void
  readonly deafness: (voice: string, breakMs: number) => Deafness | undefined
  readonly joins: () => ReadonlyArray<number>
}

const Sent = Schema.fromJsonString(
  Schema.Struct({
    type: Schema.String,
    message: Schema.optionalKey(
      Schema.Struct({
        recipient: Schema.Struct({ sessionid: Schema.optionalKey(Schema.String) }),
        data: Schema.Struct({
          type: Schema.optionalKey(Schema.String),
          payload: Schema.optionalKey(
            Schema.Struct({
              sdp: Schema.optionalKey(Schema.String),
              candidate: Schema.optionalKey(Schema.Struct({ candidate: Schema.optionalKey(Schema.String) }))
            })
          )
        })
      })
    )
  })
)
const decode = Schema.decodeUnknownOption(Sent)
/** RFC 8839 §5.1: foundation, component, transport, priority, address, port. */
const CANDIDATE = /candidate:\S+ \d+ \S+ \d+ \S+ (\d+) typ/g

/** Janus to subscribers: its ports, and RTP version 2 with payload type 111. */
const FILTER = "udp and src portrange 20000-24999 and udp[8] & 0xc0 = 0x80 and udp[9] & 0x7f = 111"
/** A voice that publishes sends every 20 ms, silence too. */
const PACKET_MS = 20

/** Watches for as long as the scope. `voiceOf` names the voice that has a session. */
export const make = (voiceOf: (session: string) => string | undefined): Effect.Effect<Hearing, never, Scope.Scope> =>
  Effect.gen(function* () {
    const flows: Array<Flow> = []
    const byPort = new Map<string, Flow>()
    const joins: Array<number> = []
    const heard = (line: string) => {
      const [, seconds, port] = /^(\d+\.\d+) IP \S+ > \d+\.\d+\.\d+\.\d+\.(\d+):/.exec(line) ?? []
      const flow = port === undefined ? undefined : byPort.get(port)
      if (flow === undefined || seconds === undefined) return
      flow.firstMs ??= Number(seconds) * 1000
      flow.lastMs = Number(seconds) * 1000
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const args = ["/usr/bin/tcpdump", "-i", "lo", "-n", "-q", "-tt", "--immediate-mode", "-l", FILTER]
        const child = spawn("setpriv", ["--pdeathsig", "KILL", ...args], { stdio: ["ignore", "pipe", "ignore"] })
        let rest = ""
        child.stdout.on("data", (chunk) => {
          const lines = `${rest}${String(chunk)}`.split("\n")
          rest = lines.pop() ?? ""
          lines.forEach(heard)
        })
        return child
      }),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const announce = (session: string, description: string) => {
      const voice = voiceOf(session)
      if (voice === undefined) return
      const ports = [...description.matchAll(CANDIDATE)].map(([, port]) => port ?? "")
      const fresh = ports.filter((port) => byPort.get(port)?.voice !== voice)
      if (fresh.length === 0) return
      // A candidate that comes alone belongs to the answer before it.
      const newest = flows.findLast((flow) => flow.voice === voice)
      const isAnswer = description.startsWith("v=")
      const flow = isAnswer || newest === undefined ? { voice, announcedMs: machineMs() } : newest
      if (flow !== newest) flows.push(flow)
      for (const port of fresh) byPort.set(port, flow)
    }
    return {
      tap: (sent) => {
        for (const text of textsOf(sent)) {
          const message = Option.getOrUndefined(decode(text))
          if (message?.type === "room") joins.push(machineMs())
          const { data, recipient } = message?.message ?? {}
          const description = data?.payload?.sdp ?? data?.payload?.candidate?.candidate
          if (recipient?.sessionid !== undefined && description !== undefined)
            announce(recipient.sessionid, description)
        }
      },
      deafness: (voice, breakMs) => {
        const own = flows.filter((flow) => flow.voice === voice)
        const before = own.findLast((flow) => flow.firstMs !== undefined && flow.firstMs <= breakMs)
        const after = own.find((flow) => flow.announcedMs > breakMs && flow.firstMs !== undefined)
        if (after === undefined && before?.lastMs !== undefined && machineMs() - before.lastMs < 1000) return undefined
        const fromMs = before?.lastMs === undefined ? breakMs : before.lastMs + PACKET_MS
        return { fromMs, untilMs: after?.firstMs }
      },
      joins: () => joins
    }
  })
