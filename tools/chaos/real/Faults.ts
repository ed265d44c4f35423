/**
 * Faults: what can be done to a call, and a schedule of it that comes from a seed alone.
 */
import * as Dice from "../Dice.ts"

export interface Kind {
  readonly name: string
  readonly about: string
  /** How often, compared with the others. */
  readonly weight: number
  /** How long it lasts, ms; both ends are possible. */
  readonly lastsMs: readonly [number, number]
  /** Captions are awaited from here on: where something else can take over from its start, otherwise from its end. */
  readonly from: "start" | "end"
  /** What was said meanwhile is read first: captions are there again with the first word of it. */
  readonly delays?: true
  /** Captions should come again within this, ms; absent: nothing is promised. */
  readonly targetMs?: number
  /** Nobody can hear what is said until the service has subscribed again: it may be lost. */
  readonly deaf?: true
  /** Only on the real stack. */
  readonly rig?: true
  /** Only where the service is several processes. */
  readonly shared?: true
}

/** An engine that is dead or refuses. */
const DEAD_MS = 2000
/** The same where evidence must be waited for: 2 s of it. */
const SILENT_MS = 4000

const table = [
  {
    name: "engine-cut",
    about: "its connections are reset",
    weight: 4,
    lastsMs: [0, 0],
    from: "start",
    targetMs: DEAD_MS
  },
  { name: "engine-close", about: "it closes with 1000", weight: 3, lastsMs: [0, 0], from: "start", targetMs: DEAD_MS },
  {
    name: "engine-kill",
    about: "its process is killed, and started again",
    weight: 3,
    lastsMs: [500, 8000],
    from: "start",
    targetMs: DEAD_MS
  },
  {
    name: "engine-refuse",
    about: "it is cut off and refuses",
    weight: 3,
    lastsMs: [3000, 20_000],
    from: "start",
    targetMs: DEAD_MS
  },
  {
    name: "engine-stop",
    about: "its process stands still",
    weight: 3,
    lastsMs: [3000, 15_000],
    from: "start",
    targetMs: SILENT_MS
  },
  {
    name: "session-stall",
    about: "its open sessions say nothing any more",
    weight: 3,
    lastsMs: [0, 0],
    from: "start",
    targetMs: SILENT_MS
  },
  {
    name: "engine-half-open",
    about: "its connections are dead and nobody is told",
    weight: 3,
    lastsMs: [0, 0],
    from: "start",
    targetMs: SILENT_MS
  },
  {
    name: "engine-slow",
    about: "what goes to it and comes from it is late by 1.2 s",
    weight: 2,
    lastsMs: [5000, 15_000],
    from: "end"
  },
  {
    name: "engine-corrupt",
    about: "its next message is broken",
    weight: 2,
    lastsMs: [0, 0],
    from: "start",
    targetMs: DEAD_MS
  },
  { name: "engine-garbage", about: "it sends messages that make no sense", weight: 2, lastsMs: [0, 0], from: "start" },
  {
    name: "engines-out",
    about: "both refuse",
    weight: 2,
    lastsMs: [2000, 12_000],
    from: "end",
    delays: true,
    targetMs: DEAD_MS
  },
  { name: "hpb-cut", about: "the connection to the HPB is reset", weight: 3, lastsMs: [0, 0], from: "start" },
  { name: "hpb-refuse", about: "the HPB is out of reach", weight: 2, lastsMs: [2000, 15_000], from: "end" },
  {
    name: "hpb-stall",
    about: "nothing passes between the HPB and us",
    weight: 2,
    lastsMs: [2000, 12_000],
    from: "end"
  },
  {
    name: "hpb-half-open",
    about: "the connection to the HPB is dead and nobody is told",
    weight: 1,
    lastsMs: [0, 0],
    from: "start"
  },
  {
    name: "hpb-slow",
    about: "what goes to the HPB and comes from it is late by 0.7 s",
    weight: 1,
    lastsMs: [5000, 12_000],
    from: "end"
  },
  { name: "hpb-restart", about: "the HPB is restarted", weight: 1, lastsMs: [500, 4000], from: "end", deaf: true },
  {
    name: "hpb-gone",
    about: "the HPB is out of reach until it has forgotten us",
    weight: 0.5,
    lastsMs: [36_000, 45_000],
    from: "end",
    deaf: true,
    rig: true
  },
  {
    name: "janus-restart",
    about: "Janus is killed and started again",
    weight: 1,
    lastsMs: [500, 3000],
    from: "end",
    deaf: true
  },
  {
    name: "republish",
    about: "a microphone is published anew and nobody is told",
    weight: 1,
    lastsMs: [0, 0],
    from: "end",
    targetMs: 4000,
    deaf: true
  },
  {
    name: "audio-late",
    about: "packets of one voice are late by up to 70 ms, some out of order",
    weight: 2,
    lastsMs: [5000, 15_000],
    from: "end",
    rig: true
  },
  {
    name: "audio-twice",
    about: "packets of one voice come twice",
    weight: 1,
    lastsMs: [5000, 15_000],
    from: "end",
    rig: true
  },
  {
    name: "service-term",
    about: "the service is told to end, and started again",
    weight: 1,
    lastsMs: [500, 2000],
    from: "end",
    targetMs: 5000,
    deaf: true
  },
  {
    name: "service-kill",
    about: "the service is killed (-9), and started again",
    weight: 1,
    lastsMs: [500, 2000],
    from: "end",
    targetMs: 5000,
    deaf: true
  },
  {
    name: "runner-term",
    about: "the process that runs the call is told to end",
    weight: 2,
    lastsMs: [0, 0],
    from: "start",
    shared: true
  },
  {
    name: "runner-kill",
    about: "the process that runs the call is killed (-9)",
    weight: 2,
    lastsMs: [0, 0],
    from: "start",
    targetMs: 3000,
    deaf: true,
    shared: true
  }
] as const satisfies ReadonlyArray<Kind>

export type KindName = (typeof table)[number]["name"]
export type KnownKind = Kind & { readonly name: KindName }

export const kinds: ReadonlyArray<KnownKind> = table

export const kindOf = (name: KindName): KnownKind => {
  const found = kinds.find((kind) => kind.name === name)
  if (found === undefined) throw new Error(`there is no fault ${name}`)
  return found
}

export interface Fault {
  /** From 1 on. */
  readonly number: number
  readonly kind: KindName
  /** When it begins, ms from the first word on. */
  readonly atMs: number
  readonly forMs: number
  /** Which engine, where there is a choice; `all` sessions of it. Which voice, by its place, where one is meant. */
  readonly engine: "primary" | "cover"
  readonly voice: number
}

/** Words that are read before the first fault, and quiet after the last, ms. */
const LEAD_MS = 8000
const TRAIL_MS = 12_000
/** Between the end of one fault and the next, ms: long enough for what it broke to show. */
const GAP_MS = [9000, 20_000] as const

export interface ScheduleOptions {
  readonly seed: number
  readonly minutes: number
  readonly kinds: ReadonlyArray<KnownKind>
  readonly voices: number
}

/** As many faults as fit. The same options give the same schedule. */
export const schedule = (options: ScheduleOptions): ReadonlyArray<Fault> => {
  const dice = Dice.make(options.seed).fork("faults")
  const endMs = options.minutes * 60_000 - TRAIL_MS
  const faults: Array<Fault> = []
  let atMs = LEAD_MS
  for (;;) {
    const kind = weighted(options.kinds, dice)
    const [least, most] = kind.lastsMs
    const fault = {
      number: faults.length + 1,
      kind: kind.name,
      atMs,
      forMs: dice.between(least, most),
      engine: dice.chance(0.8) ? "primary" : "cover",
      voice: dice.between(0, options.voices - 1)
    } as const
    if (fault.atMs + fault.forMs > endMs) return faults
    faults.push(fault)
    atMs += fault.forMs + dice.between(...GAP_MS)
  }
}

const weighted = (from: ReadonlyArray<KnownKind>, dice: Dice.Dice): KnownKind => {
  let left = dice.next() * from.reduce((sum, { weight }) => sum + weight, 0)
  for (const kind of from) {
    left -= kind.weight
    if (left < 0) return kind
  }
  return dice.pick(from)
}

/** `#3 at 42.0 s: engine-stop for 6.2 s (primary)`. */
export const describe = ({ atMs, engine, forMs, kind, number, voice }: Fault): string => {
  const lasts = forMs === 0 ? "" : ` for ${(forMs / 1000).toFixed(1)} s`
  const whom = kind.startsWith("engine-") ? ` (${engine})` : /^(audio-|republish)/.test(kind) ? ` (voice ${voice})` : ""
  return `#${number} at ${(atMs / 1000).toFixed(1)} s: ${kind}${lasts}${whom}`
}
