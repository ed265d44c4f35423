/**
 * Every dialect this service speaks, one door each.
 */
import type { Dialect } from "./Dialect.ts"

export const dialects: ReadonlyArray<Dialect> = []
