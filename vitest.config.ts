import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/talk/**"],
    // Only what never ends is to fail by these: a busy machine takes ten times as long as a calm one, and stands still for seconds.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Most of the time a test waits for a real socket: four at a time take a third of the time of one, on two cores.
    maxWorkers: 4
  }
})
