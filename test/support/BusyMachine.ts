import type { Harness } from "../../src/conformance/index.ts"

/** As it is on a machine that is busy with other tests. */
export const patient = (harness: Harness): Harness => ({ ...harness, patience: 5 })
