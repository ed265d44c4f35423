import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/talk/**"],
    testTimeout: 20_000,
    // Most of the time a test waits for a real socket: four at a time take a third of the time of one, on two cores.
    maxWorkers: 4
  }
})
