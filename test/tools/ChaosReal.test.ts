/** What the chaos on real sockets rests on: its schedule, its door, and how it judges what was read and what nobody could hear. */
import { connect, createServer, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ToneWords from "../../src/layers/ToneWords.ts"
import type { Happened } from "../../tools/chaos/real/Breaking.ts"
import * as Faults from "../../tools/chaos/real/Faults.ts"
import * as FaultyProxy from "../../tools/chaos/real/FaultyProxy.ts"
import * as Options from "../../tools/chaos/real/Options.ts"
import * as Reading from "../../tools/chaos/real/Reading.ts"
import * as Reckoning from "../../tools/chaos/real/Reckoning.ts"
import * as Record from "../../tools/chaos/real/Record.ts"
import type { Deafness } from "../../tools/chaos/real/Stage.ts"
import type { Still } from "../../tools/chaos/real/Stillness.ts"
import * as Watch from "../../tools/chaos/real/Watch.ts"

const options = { seed: 7, minutes: 10, kinds: Faults.kinds, voices: 2 }

describe("the schedule", () => {
  it("is the same from the same seed, and another from another", () => {
    assert.deepStrictEqual(Faults.schedule(options), Faults.schedule(options))
    assert.notDeepEqual(Faults.schedule(options), Faults.schedule({ ...options, seed: 8 }))
  })

  it("has one fault at a time, within the time, and every kind sooner or later", () => {
    const faults = Faults.schedule({ ...options, minutes: 24 * 60 })
    for (const [i, fault] of faults.entries()) {
      const next = faults[i + 1]
      assert.isTrue(next === undefined || next.atMs >= fault.atMs + fault.forMs)
    }
    assert.isTrue(faults.every(({ atMs, forMs }) => atMs + forMs < 24 * 3_600_000))
    assert.sameMembers(
      [...new Set(faults.map(({ kind }) => kind))],
      Faults.kinds.map(({ name }) => name)
    )
  })

  it("comes from the command line where somebody wants certain faults, and is told by the command that does it again", () => {
    const given = Options.parse(["--script", "engine-kill@8:3,hpb-cut@25,engine-cut@30/cover", "--seed", "5", "--json"])
    assert.deepStrictEqual(
      given?.script?.map(({ atMs, engine, forMs, kind }) => [kind, atMs, forMs, engine]),
      [
        ["engine-kill", 8000, 3000, "primary"],
        ["hpb-cut", 25_000, 0, "primary"],
        ["engine-cut", 30_000, 0, "cover"]
      ]
    )
    assert.strictEqual(
      given === undefined ? "" : Options.again(given),
      "npm run chaos -- --seed 5 --script engine-kill@8:3,hpb-cut@25,engine-cut@30/cover"
    )
    assert.throws(() => Options.parse(["--script", "earthquake@8"]), Options.UsageError)
    assert.throws(() => Options.parse(["--minutes", "0"]), Options.UsageError)
  })
})

/** A voice that says a word every half second from 10,000 ms on. */
const conversation = (count: number) => {
  const record = Record.make(["ann", "bob"])
  const words = record.wordsOf("ann")
  for (let i = 0; i < count; i++) {
    record.note("ann", ToneWords.wordText(words[i % words.length] ?? 0), 10_000 + i * 500)
  }
  return record
}

const pageOf = (texts: ReadonlyArray<string>, voice = "ann"): Reading.Page => ({
  reader: "vera",
  captions: texts.map((text, i) => ({ voice, text, atMs: 10_800 + i * 500 })),
  blocks: texts.map((text) => ({ voice, text })),
  rewritten: 0
})

const textsOf = (record: Record.Record) => record.said("ann").map(({ word }) => word)

describe("what was read", () => {
  it("is nothing but what was said, also when words come again after hundreds of others", () => {
    const record = conversation(2500)
    const reading = Reading.read(record, pageOf(textsOf(record)))
    assert.deepStrictEqual(
      [reading.duplicated, reading.disordered, reading.wrongSpeaker, reading.invented],
      [[], [], [], []]
    )
    assert.isTrue(record.said("ann").every((_, place) => reading.shown("ann", place) === 1))
    assert.strictEqual(reading.seenMs("ann", 2400), 10_800 + 2400 * 500)
  })

  it("shows words that stand twice, late, under another name, or that nobody said", () => {
    const record = conversation(20)
    const texts = textsOf(record)
    const at = (place: number) => texts[place] ?? ""
    const twice = Reading.read(record, pageOf([...texts, at(19)]))
    assert.deepStrictEqual(twice.duplicated, [{ voice: "ann", place: 19 }])
    const late = Reading.read(record, pageOf([...texts.slice(0, 5), at(6), at(5), ...texts.slice(7)]))
    assert.deepStrictEqual(late.disordered, [{ voice: "ann", place: 5 }])
    assert.strictEqual(Reading.read(record, pageOf(texts, "bob")).wrongSpeaker.length, 20)
    assert.deepStrictEqual(Reading.read(record, pageOf([...texts, "Hello"])).invented, ["hello"])
    const unsaid = ToneWords.wordText(record.wordsOf("ann")[30] ?? 0)
    assert.deepStrictEqual(Reading.read(record, pageOf([...texts, unsaid])).invented, [unsaid])
  })
})

const happened = (kind: Faults.KindName, startMs: number, endMs: number): Happened => ({
  fault: { number: 1, kind, atMs: 0, forMs: 0, engine: "primary", voice: 0 },
  startMs,
  endMs,
  figures: {}
})

/** Words 0–19 end at 10,000 … 19,500 ms; `missing` are not read. */
const reckoned = (
  missing: ReadonlyArray<number>,
  one: Happened,
  deaf: Deafness | undefined,
  still: ReadonlyArray<Still> = []
) => {
  const record = conversation(20)
  const all = pageOf(textsOf(record))
  const page = {
    ...all,
    captions: all.captions.filter((_, i) => !missing.includes(i)),
    blocks: all.blocks.filter((_, i) => !missing.includes(i))
  }
  return Reckoning.reckon({
    record,
    firstWord: new Map(),
    readings: [Reading.read(record, page)],
    happened: [one],
    deafness: (voice) => (voice === "ann" ? deaf : undefined),
    joins: [],
    still
  })
}

describe("words that waited for an engine", () => {
  it("are captions again when the first of them is read; those said afterwards have a figure of their own", () => {
    const record = conversation(40)
    const { captions, ...page } = pageOf(textsOf(record))
    // nothing of what is said from 14 s on; 0.6 s after the engines are back a word each 125 ms, until all are read in time again
    const first = record.said("ann").findIndex(({ startMs }) => startMs >= 14_000)
    const late = captions.map((caption, i) => ({
      ...caption,
      atMs: i < first ? caption.atMs : Math.max(caption.atMs, 17_600 + (i - first) * 125)
    }))
    const { faults, sums } = Reckoning.reckon({
      record,
      firstWord: new Map(),
      readings: [Reading.read(record, { ...page, captions: late })],
      happened: [happened("engines-out", 14_000, 17_000)],
      deafness: () => undefined,
      joins: [],
      still: []
    })
    assert.deepStrictEqual([sums.lost, faults[0]?.recoveryMs], [0, 600])
    const live = record.said("ann").findIndex(({ startMs }) => startMs >= 17_000)
    const wordMs = (late[live]?.atMs ?? 0) - (record.said("ann")[live]?.startMs ?? 0)
    assert.deepStrictEqual(faults[0]?.figures, { "new words after": wordMs })
    assert.isAbove(wordMs, 600)
  })
})

describe("what was missing", () => {
  it("is lost where an engine failed, and blamed on the fault", () => {
    const { faults, sums } = reckoned([8, 9], happened("engine-kill", 14_000, 14_500), undefined)
    assert.deepStrictEqual([sums.spoken, sums.delivered, sums.lost, sums.unheard], [20, 18, 2, 0])
    assert.deepStrictEqual(
      faults[0]?.lost.map(({ place }) => place),
      [8, 9]
    )
  })

  it("could not be heard from the break to the new subscription, and no longer", () => {
    const restart = happened("janus-restart", 14_000, 15_000)
    const { sums } = reckoned([8, 9, 10, 11, 14], restart, { fromMs: 14_020, untilMs: 15_600 })
    assert.deepStrictEqual([sums.lost, sums.unheard], [1, 4])
    // heard before, and heard after
    assert.strictEqual(reckoned([7, 13], restart, { fromMs: 14_020, untilMs: 15_600 }).sums.lost, 2)
  })

  it("is lost where the subscription lived on, or broke long after the fault", () => {
    assert.strictEqual(reckoned([9], happened("hpb-restart", 14_000, 14_200), undefined).sums.lost, 1)
    const later = { fromMs: 18_000, untilMs: 19_000 }
    assert.strictEqual(reckoned([16], happened("hpb-restart", 14_000, 14_200), later).sums.lost, 1)
  })

  it("is lost where a process had heard it before it was killed or told to end", () => {
    const deaf = { fromMs: 14_000, untilMs: 16_000 }
    assert.strictEqual(reckoned([6, 7], happened("service-kill", 14_000, 15_500), deaf).sums.lost, 2)
    assert.strictEqual(reckoned([6, 7], happened("service-term", 14_000, 15_500), deaf).sums.lost, 2)
  })

  it("was spoilt where this machine stood still while it was said", () => {
    const still = [{ fromMs: 14_600, untilMs: 14_800 }]
    const { sums } = reckoned([10, 14], happened("engine-kill", 14_000, 14_500), undefined, still)
    assert.deepStrictEqual([sums.lost, sums.spoilt], [1, 1])
  })

  it("shows how long captions were away", () => {
    // the first word that begins after the fault is the one that ends at 14,500; words 9–13 are missing: 14 is read at 17,800
    const { faults, sums } = reckoned([9, 10, 11, 12, 13], happened("engine-kill", 14_000, 14_000), undefined)
    assert.strictEqual(faults[0]?.recoveryMs, 17_800 - 14_180)
    // word 8 is read at 14,800, and the next to be waited for ends at 15,000
    assert.strictEqual(sums.longestGapMs, 17_800 - 15_000)
  })
})

describe("what the service holds", () => {
  it("is told of the process that lived longest, and by how much it grows in an hour", () => {
    const sample = (pid: number, minute: number, rssMb: number) => ({
      pid,
      atMs: minute * 60_000,
      rssMb,
      descriptors: 30,
      sockets: 9
    })
    const grows = Array.from({ length: 30 }, (_, minute) => sample(2, minute, 200 + minute))
    const { all, minutes } = Watch.trends([sample(1, 0, 900), ...grows])
    assert.strictEqual(minutes, 29)
    assert.approximately(all.find(({ what }) => what.startsWith("memory"))?.slope ?? 0, 60, 1e-6)
    assert.strictEqual(all.find(({ what }) => what === "descriptors")?.slope, 0)
  })
})

/** A server that sends back what it gets, and what a client of a door to it has read so far. */
const behind = Effect.gen(function* () {
  const port = yield* Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
      const sockets = new Set<Socket>()
      const server = createServer((socket) => {
        sockets.add(socket)
        socket.on("error", () => undefined)
        socket.pipe(socket)
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const close = () => {
          for (const socket of sockets) socket.destroy()
          server.close()
        }
        resume(Effect.succeed({ port: typeof address === "object" && address !== null ? address.port : 0, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )
  const door = yield* FaultyProxy.make({ target: port.port })
  const client = Effect.acquireRelease(
    Effect.callback<{ readonly socket: Socket; readonly read: () => string; readonly isClosed: () => boolean }>(
      (resume) => {
        let read = ""
        let isClosed = false
        const socket = connect(door.port, "127.0.0.1").setEncoding("latin1")
        const ready = () => resume(Effect.succeed({ socket, read: () => read, isClosed: () => isClosed }))
        socket.on("connect", ready)
        socket.on("data", (text: string) => {
          read += text
        })
        socket.on("error", () => undefined)
        socket.on("close", () => {
          isClosed = true
          ready()
        })
      }
    ),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )
  return { door, client }
})

const until = (condition: () => boolean) =>
  Effect.sync(condition).pipe(Effect.delay("5 millis"), Effect.repeat({ until: (met) => met }))

describe("the faulty door", () => {
  it.live("passes everything, nothing while stalled, and then all of it in order", () =>
    Effect.gen(function* () {
      const { client, door } = yield* behind
      const { read, socket } = yield* client
      socket.write("a")
      yield* until(() => read() === "a")
      door.stall(true)
      socket.write("b")
      yield* Effect.sleep("50 millis")
      socket.write("c")
      yield* Effect.sleep("50 millis")
      assert.strictEqual(read(), "a")
      door.stall(false)
      yield* until(() => read() === "abc")
    })
  )

  it.live("delays, and keeps the order when it no longer does", () =>
    Effect.gen(function* () {
      const { client, door } = yield* behind
      const { read, socket } = yield* client
      door.slow(100)
      socket.write("a")
      yield* Effect.sleep("20 millis")
      door.slow(0)
      socket.write("b")
      yield* until(() => read().length === 2)
      assert.strictEqual(read(), "ab")
    })
  )

  it.live("cuts and refuses", () =>
    Effect.gen(function* () {
      const { client, door } = yield* behind
      const first = yield* client
      first.socket.write("a")
      yield* until(() => first.read() === "a")
      door.refuse(true)
      door.cut()
      yield* until(first.isClosed)
      const second = yield* client
      yield* until(second.isClosed)
      door.refuse(false)
      const third = yield* client
      third.socket.write("c")
      yield* until(() => third.read() === "c")
    })
  )

  it.live("leaves connections half open: both ends stand, nothing comes, and newcomers are served", () =>
    Effect.gen(function* () {
      const { client, door } = yield* behind
      const dead = yield* client
      dead.socket.write("a")
      yield* until(() => dead.read() === "a")
      door.halfOpen()
      dead.socket.write("b")
      const fresh = yield* client
      fresh.socket.write("c")
      yield* until(() => fresh.read() === "c")
      assert.strictEqual(dead.read(), "a")
      assert.isFalse(dead.isClosed())
    })
  )

  it.live("spoils the head of the server's next message, once, and puts frames in", () =>
    Effect.gen(function* () {
      const { client, door } = yield* behind
      const { read, socket } = yield* client
      socket.write("a")
      yield* until(() => read() === "a")
      door.corrupt()
      socket.write("bb")
      yield* until(() => read().length === 3)
      assert.strictEqual(read(), `a${String.fromCharCode(0x62 ^ 0x70)}b`)
      socket.write("c")
      yield* until(() => read().endsWith("c"))
      door.inject("hi")
      door.inject({ close: 1000 })
      yield* until(() => read().endsWith("c\u0081\u0002hi\u0088\u0002\u0003\u00e8"))
    })
  )
})
