/**
 * Every dialect this service speaks, one door each.
 */
import type { Dialect } from "./Dialect.ts"
import { kyutai } from "./KyutaiDialect.ts"
import { moshi } from "./MoshiDialect.ts"
import { nemo } from "./NemoDialect.ts"
import { realtime } from "./RealtimeDialect.ts"
import { recorder } from "./RecorderDialect.ts"
import { tuon } from "./TuonDialect.ts"
import { tuonV2 } from "./TuonV2Dialect.ts"
import { vosk } from "./VoskDialect.ts"

export const dialects: ReadonlyArray<Dialect> = [tuon, tuonV2, nemo, kyutai, moshi, vosk, realtime, recorder]
