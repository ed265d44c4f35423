import { assert, describe, it } from "@effect/vitest"
import * as SupervisorMessages from "../../src/layers/SupervisorMessages.ts"
import * as FromRunners from "../../src/supervisor/FromRunners.ts"
import type { FromRunner, ToRunner } from "../../src/supervisor/Messages.ts"

const spent = { day: 20_000, seconds: [["alice", 1.5]] } as const

const fromRunner: ReadonlyArray<FromRunner> = [
  { _tag: "Question", id: 1, name: "Listen", of: { name: "service", address: { host: "127.0.0.1", port: 0 } } },
  { _tag: "Question", id: 2, name: "Listen", of: { name: "service", address: { path: "/tmp/exapp.sock" } } },
  { _tag: "Question", id: 3, name: "Reserve", of: { subject: "alice", limits: { ofSubject: 1, ofAll: 2 } } },
  { _tag: "Question", id: 4, name: "OpenStreams", of: { subject: "alice" } },
  { _tag: "Question", id: 5, name: "Spent", of: spent },
  { _tag: "Question", id: 6, name: "Metrics", of: {} },
  { _tag: "Ready", shutdownSeconds: 8, logLevel: "Info" },
  { _tag: "Load", cpu: 0.6, received: 3, open: 1 },
  { _tag: "Taken", id: 7 },
  { _tag: "Closing", name: "service" },
  { _tag: "Released", subject: "alice" },
  { _tag: "Spending", spent },
  { _tag: "Scraped", id: 8, text: "" },
  { _tag: "Enabled", isEnabled: false },
  { _tag: "KeyMade", digest: "00ff" }
]

const toRunner: ReadonlyArray<ToRunner> = [
  { _tag: "Welcome", slot: 0, incarnation: "a-1", isFirst: true, secret: "c2VjcmV0" },
  { _tag: "Welcome", slot: 1, incarnation: "a-2", isFirst: false, secret: "", generatedKey: "00ff", isEnabled: true },
  { _tag: "Answer", id: 1, is: "Reserved" },
  { _tag: "Connection", name: "service", id: 2 },
  { _tag: "Spending", spent },
  { _tag: "Scrape", id: 3 },
  { _tag: "Enabled", isEnabled: true },
  { _tag: "Gone", incarnation: "a-1" },
  { _tag: "Stop" }
]

/** As it arrives, without each of its fields in turn. */
const damaged = (message: object): ReadonlyArray<object> =>
  Object.keys(message)
    .filter((field) => !["generatedKey", "isEnabled", "is"].includes(field) || !("slot" in message || "is" in message))
    .map((left) => Object.fromEntries(Object.entries(message).filter(([field]) => field !== left)))

describe("messages of runners", () => {
  it("are all of their kinds, and nothing that lacks a field", () => {
    for (const message of fromRunner) {
      const sent: object = JSON.parse(JSON.stringify(message))
      assert.isTrue(FromRunners.is(sent), JSON.stringify(message))
      for (const one of damaged(sent)) assert.isFalse(FromRunners.is(one), JSON.stringify(one))
    }
    for (const other of [
      undefined,
      null,
      1,
      "Stop",
      [],
      {},
      { _tag: "toString" },
      { _tag: "Question", id: 1, name: "of" }
    ])
      assert.isFalse(FromRunners.is(other))
  })
})

describe("messages of a supervisor", () => {
  it("are read as they were sent, and nothing that lacks a field is", () => {
    for (const message of toRunner) {
      const sent: object = JSON.parse(JSON.stringify(message))
      assert.deepStrictEqual<unknown>(SupervisorMessages.read(sent), sent)
      for (const one of damaged(sent)) assert.isUndefined(SupervisorMessages.read(one), JSON.stringify(one))
    }
    assert.isUndefined(SupervisorMessages.read("Stop"))
  })

  it("answer what was asked", () => {
    assert.deepStrictEqual(SupervisorMessages.answerTo("Spent", spent), spent)
    assert.deepStrictEqual(SupervisorMessages.answerTo("Listen", { _tag: "Listening", at: "/tmp/s", isFirst: true }), {
      ...{ _tag: "Listening", at: "/tmp/s", isFirst: true }
    })
    assert.strictEqual(SupervisorMessages.answerTo("Reserve", "TooManyStreams"), "TooManyStreams")
    assert.isUndefined(SupervisorMessages.answerTo("Reserve", "Perhaps"))
    assert.isUndefined(SupervisorMessages.answerTo("Metrics", { text: "" }))
  })
})
