/**
 * `npm run bench`: what each stage of the service costs in CPU time, absolute and in relation to decoded speech.
 *
 * `-- --speakers 100`: what so many speakers of calls cost, and how late their speech is at the engine; `-- --table`: of crowds from 50 to 500 on
 * every path; `-- --overload 400`: what more than can be heard do to it. `-- --sockets 200`: what the whole service costs with so many streaming
 * clients at once, and how late their words are. `-- --talk`: speakers on a real HPB. All of these need Linux. bench/README.md says what the numbers
 * mean.
 */
import { appendFileSync, mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Schema, type Scope } from "effect"
import { captioning } from "./captioning.ts"
import { decoding } from "./decoding.ts"
import { gating } from "./gating.ts"
import { type HearingCost, hearing } from "./hearing.ts"
import { intake } from "./intake.ts"
import { opening } from "./opening.ts"
import { protecting } from "./protecting.ts"
import { sending } from "./sending.ts"
import * as Options from "./sockets/Options.ts"
import { sockets } from "./sockets/Sockets.ts"
import { table } from "./sockets/Table.ts"
import { overload } from "./speakers/Overload.ts"
import * as OverloadTable from "./speakers/OverloadTable.ts"
import * as SeriesTable from "./speakers/SeriesTable.ts"
import { type SpeakersCost, speakers } from "./speakers/Speakers.ts"
import * as SpeakersOptions from "./speakers/SpeakersOptions.ts"
import * as SpeakersTable from "./speakers/SpeakersTable.ts"
import * as Storm from "./speakers/Storm.ts"
import * as Talk from "./talk/Talk.ts"
import * as TalkOptions from "./talk/TalkOptions.ts"
import { type TalkCost, talkSpeakers } from "./talk/TalkSpeakers.ts"
import * as TalkTable from "./talk/TalkTable.ts"

/** What is measured each for itself; the first of all is what the others are compared with. */
const stages: ReadonlyArray<{
  readonly title: string
  readonly costs: Effect.Effect<ReadonlyArray<HearingCost>, unknown, Scope.Scope>
}> = [
  { title: "20 ms packet, RTP packet to queued frame, 100 voices in turn", costs: hearing },
  { title: "20 ms message of a streaming socket, bytes to queued frame, 100 voices in turn", costs: intake },
  { title: "20 ms packet, Opus to samples, 100 decoders in turn", costs: decoding },
  { title: "20 ms of samples, 100 voices in turn", costs: gating },
  { title: "packet of SRTP, datagram to payload, 100 voices in turn", costs: opening },
  { title: "packet of SRTP or SRTCP, payload to datagram, 100 voices in turn", costs: protecting },
  { title: "frame of 80 ms, 100 sockets in turn", costs: sending },
  { title: "word, 25 calls of four voices", costs: captioning }
]

const plain = Effect.gen(function* () {
  const all: Array<HearingCost> = []
  for (const { costs, title } of stages) {
    console.log(`${all.length === 0 ? "" : "\n"}µs CPU per ${title}\n`)
    for (const cost of yield* costs) {
      all.push(cost)
      const { microsecondsPerPacket, what } = cost
      const ratio = microsecondsPerPacket / (all[0]?.microsecondsPerPacket ?? microsecondsPerPacket)
      console.log(`${what.padEnd(56)}${microsecondsPerPacket.toFixed(1).padStart(7)}  ×${ratio.toFixed(2)}`)
    }
  }
  console.log(JSON.stringify(all))
})

/** Adds a line to the file that was asked for. */
const save = (options: { readonly save: string | undefined }, cost: object) => {
  if (options.save === undefined) return
  mkdirSync(dirname(options.save), { recursive: true })
  appendFileSync(options.save, `${JSON.stringify(cost)}\n`)
}

const streaming = Effect.fnUntraced(function* (options: Options.SocketsOptions) {
  const cost = yield* sockets(options)
  if (!options.json) console.log(table(cost))
  console.log(JSON.stringify(cost))
})

const calls = Effect.fnUntraced(function* (options: SpeakersOptions.SpeakersOptions) {
  const costs: Array<SpeakersCost> = []
  const print = (text: string) => {
    if (!options.json && options.table) console.log(text)
  }
  for (const crowds of SpeakersOptions.series(options)) {
    const done: Array<SpeakersCost> = []
    for (const [n, crowd] of crowds.entries()) {
      if (n === 0) print(SeriesTable.head(crowd, options.seconds))
      const cost = yield* Effect.scoped(speakers(crowd, options))
      print(SeriesTable.line(cost, done))
      done.push(cost)
      save(options, cost)
      if (!options.table || cost.saturated === undefined) continue
      if (n < crowds.length - 1) print(SeriesTable.skipped(crowds.slice(n + 1), cost.saturated))
      break
    }
    print(SeriesTable.summary(done))
    costs.push(...done)
  }
  if (!options.json && !options.table) console.log(SpeakersTable.table(costs))
  // One line, whatever was asked for: the last run, and all of them where there are several.
  console.log(JSON.stringify({ ...costs.at(-1), ...(costs.length > 1 ? { runs: costs } : {}) }))
})

const overloads = Effect.fnUntraced(function* (options: SpeakersOptions.SpeakersOptions, peak: number) {
  for (const crowd of SpeakersOptions.series(options).flat()) {
    const cost = yield* Effect.scoped(overload(crowd, peak, options))
    save(options, cost)
    if (!options.json) console.log(OverloadTable.table(cost))
    console.log(JSON.stringify(cost))
  }
})

const storms = Effect.fnUntraced(function* (options: SpeakersOptions.SpeakersOptions, joining: number) {
  for (const crowd of SpeakersOptions.series(options).flat()) {
    const cost = yield* Effect.scoped(Storm.storm(crowd, joining, options))
    save(options, cost)
    if (!options.json) console.log(Storm.table(cost))
    console.log(JSON.stringify(cost))
  }
})

const talk = Effect.fnUntraced(function* (args: ReadonlyArray<string>, options: TalkOptions.TalkOptions) {
  if (options.inside === undefined) return yield* Talk.enter(args)
  const ground = yield* Schema.decodeEffect(Schema.fromJsonString(Talk.Ground))(options.inside)
  const costs: Array<TalkCost> = []
  if (!options.json) console.log(TalkTable.head)
  for (const number of options.speakers) {
    const cost = yield* Effect.scoped(talkSpeakers(number, options, ground))
    costs.push(cost)
    save(options, cost)
    if (!options.json) console.log(TalkTable.line(cost))
    // Two cores carry the HPB, Janus, the load and us only so far.
    if (cost.saturated !== undefined) break
  }
  console.log(JSON.stringify({ ...costs.at(-1), ...(costs.length > 1 ? { runs: costs } : {}) }))
})

const asked = () => {
  const args = process.argv.slice(2)
  if (TalkOptions.isAsked(args)) {
    const options = TalkOptions.read(args)
    return typeof options === "string" ? options : talk(args, options)
  }
  if (SpeakersOptions.isAsked(args)) {
    const options = SpeakersOptions.read(args)
    if (typeof options === "string") return options
    if (options.storm !== undefined) return storms(options, options.storm)
    return options.overload === undefined ? calls(options) : overloads(options, options.overload)
  }
  const options = Options.read(args)
  if (typeof options === "string") return options
  return options === undefined ? plain : streaming(options)
}

const wanted = asked()
if (typeof wanted === "string") {
  console.error(wanted)
  process.exitCode = 1
} else {
  // Interrupted, it takes its processes with it.
  NodeRuntime.runMain(Effect.scoped(wanted))
}
