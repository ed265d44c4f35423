/**
 * `npm run bench`: what hearing costs in CPU time, absolute and in relation to decoded speech. What the whole service costs and how fast it
 * is on a real HPB, `npm run test:talk -- --measure` tells.
 */
import { Effect } from "effect"
import { hearing } from "./hearing.ts"

const costs = await Effect.runPromise(Effect.scoped(hearing))
const [reference] = costs
console.log("µs CPU per 20 ms packet, RTP packet to queued frame, 100 voices in turn\n")
for (const { microsecondsPerPacket, what } of costs) {
  const ratio = microsecondsPerPacket / (reference?.microsecondsPerPacket ?? microsecondsPerPacket)
  console.log(`${what.padEnd(48)}${microsecondsPerPacket.toFixed(1).padStart(7)}  ×${ratio.toFixed(2)}`)
}
console.log(JSON.stringify(costs))
