/** A process whose decoding thread is at work when it ends: by `exit`, by itself (`return`), or with a thread of JavaScript (`worker`). */
import { isMainThread, Worker, workerData } from "node:worker_threads"
import * as DecodingThread from "../../src/layers/DecodingThread.ts"
import * as NativeAddon from "../../src/layers/NativeAddon.ts"
import { payloads } from "./OpusRecordings.ts"

const decodeMuch = () => {
  const addon = NativeAddon.load()
  if (typeof addon === "string") throw new Error(addon)
  const thread = DecodingThread.make({ addon, isNeeded: () => true })
  thread.isWanted(0)
  const decoder = addon.makeDecoder()
  if (decoder === undefined) throw new Error("there is no decoder")
  for (let n = 0; n < 900; n++) {
    for (const packet of payloads("mono20").slice(0, 1))
      thread.decode(decoder, packet, 480, { decoded: () => undefined })
  }
}

const how: unknown = isMainThread ? process.argv[2] : workerData
decodeMuch()
// the batch is away now
queueMicrotask(() => {
  if (how === "worker") {
    new Worker(new URL(import.meta.url), { workerData: "exit" }).once("exit", () => process.stdout.write("ended\n"))
  } else if (isMainThread) process.stdout.write("ended\n")
  if (how === "exit") process.exit(0)
})
