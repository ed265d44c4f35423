/**
 * `npm run bench`: what hearing costs in CPU time, absolute and in relation to decoded speech. What the whole service costs and how fast it
 * is on a real HPB, `npm run test:talk -- --measure` tells.
 */
import { Effect } from "effect"
import { type HearingCost, hearing } from "./hearing.ts"
import { intake } from "./intake.ts"

const costs = await Effect.runPromise(Effect.scoped(hearing))
const [reference] = costs
const print = ({ microsecondsPerPacket, what }: HearingCost) => {
  const ratio = microsecondsPerPacket / (reference?.microsecondsPerPacket ?? microsecondsPerPacket)
  console.log(`${what.padEnd(48)}${microsecondsPerPacket.toFixed(1).padStart(7)}  ×${ratio.toFixed(2)}`)
}
console.log("µs CPU per 20 ms packet, RTP packet to queued frame, 100 voices in turn\n")
costs.forEach(print)
const doors = await Effect.runPromise(Effect.scoped(intake))
console.log("\nµs CPU per 20 ms message of a streaming socket, bytes to queued frame, 100 voices in turn\n")
doors.forEach(print)
console.log(JSON.stringify([...costs, ...doors]))
