import { assert, describe, it } from "@effect/vitest"
import * as SubscriptionWatchdog from "../../src/layers/SubscriptionWatchdog.ts"

const fine = { health: "connected", isMuted: false, isWorn: false } as const

/** Asked, offered and connected at 0. */
const connected = () => {
  const watchdog = SubscriptionWatchdog.make(SubscriptionWatchdog.microphone)
  watchdog.asked(0)
  watchdog.offered(0)
  watchdog.connected(0)
  return watchdog
}

describe("SubscriptionWatchdog", () => {
  it("does not take it for a dead microphone that this process stood still", () => {
    const watchdog = connected()
    watchdog.heard(1_000)
    watchdog.stoodStill(20_000)
    assert.isFalse(watchdog.isDue(21_000, fine))
    assert.isFalse(watchdog.isDue(23_499, fine))
    assert.isTrue(watchdog.isDue(23_500, fine))
  })

  it("asks for a way to us that is worn out although there is sound, but not twice at a time", () => {
    const watchdog = connected()
    watchdog.heard(60_000)
    assert.isFalse(watchdog.isDue(60_001, fine))
    assert.isTrue(watchdog.isDue(60_001, { ...fine, isWorn: true }))
    watchdog.asked(60_001)
    assert.isFalse(watchdog.isDue(60_002, { ...fine, isWorn: true }))
    watchdog.offered(60_005)
    assert.isFalse(watchdog.isDue(60_006, { ...fine, isWorn: true }))
  })

  it("asks every second while Janus starts, ever more rarely when that takes minutes, at once when others are offered", () => {
    const watchdog = SubscriptionWatchdog.make(SubscriptionWatchdog.microphone)
    const askedMs: Array<number> = []
    for (let nowMs = 0; nowMs < 600_000; nowMs += 250) {
      if (!watchdog.isDue(nowMs, { ...fine, health: "broken" })) continue
      askedMs.push(nowMs)
      watchdog.asked(nowMs)
      watchdog.failed(nowMs + 5)
    }
    const longestMs = (from: number, to: number) =>
      Math.max(...askedMs.map((ms, i) => (ms >= from && ms < to ? (askedMs[i + 1] ?? to) - ms : 0)))
    assert.isAtMost(longestMs(0, 13_000), 1_250)
    assert.isAtMost(longestMs(13_000, 35_000), 2_250)
    assert.isAtMost(longestMs(60_000, 600_000), 10_250)
    assert.isAtLeast(longestMs(60_000, 600_000), 10_000)
    assert.isFalse(watchdog.isDue(600_000, { ...fine, health: "broken" }))
    watchdog.hopes(600_000)
    assert.isTrue(watchdog.isDue(600_000, { ...fine, health: "broken" }))
  })

  it("a muted publisher who sends nothing is never asked for, whose peer is broken always", () => {
    const watchdog = connected()
    const muted = { ...fine, isMuted: true }
    for (let minute = 1; minute <= 24 * 60; minute++) assert.isFalse(watchdog.isDue(minute * 60_000, muted))
    assert.isTrue(watchdog.isDue(24 * 3_600_000, { ...muted, health: "broken" }))
  })

  it("a publisher who is not known to be muted and sends nothing costs at most a request a minute", () => {
    const watchdog = connected()
    let asked = 0
    for (let nowMs = 0; nowMs < 3_600_000; nowMs += 250) {
      if (!watchdog.isDue(nowMs, fine)) continue
      asked++
      watchdog.asked(nowMs)
      watchdog.offered(nowMs + 5)
      watchdog.connected(nowMs + 200)
    }
    assert.isAtMost(asked, 62)
  })

  it("who was away for up to a minute and comes back with a new stream is asked within as long again", () => {
    const watchdog = connected()
    let askedMs = 0
    for (let nowMs = 0; nowMs < 120_000; nowMs += 250) {
      if (!watchdog.isDue(nowMs, fine)) continue
      assert.isAtMost(nowMs - askedMs, Math.max(3_000, askedMs + 1_500))
      askedMs = nowMs
      watchdog.asked(nowMs)
      watchdog.offered(nowMs + 5)
      watchdog.connected(nowMs + 200)
    }
  })
})
