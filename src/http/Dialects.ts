/**
 * Every dialect this service speaks, one door each.
 */
import type { Dialect } from "./Dialect.ts"
import { kyutai } from "./KyutaiDialect.ts"
import { moshi } from "./MoshiDialect.ts"
import { nemo } from "./NemoDialect.ts"
import { realtime } from "./RealtimeDialect.ts"
import { tuon } from "./TuonDialect.ts"
import { vosk } from "./VoskDialect.ts"

export const dialects: ReadonlyArray<Dialect> = [tuon, nemo, kyutai, moshi, vosk, realtime]
