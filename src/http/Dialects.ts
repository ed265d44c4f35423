/**
 * Every dialect this service speaks, one door each.
 */
import type { Dialect } from "./Dialect.ts"
import * as KyutaiDialect from "./KyutaiDialect.ts"
import * as TuonDialect from "./TuonDialect.ts"
import * as VoskDialect from "./VoskDialect.ts"

export const dialects: ReadonlyArray<Dialect> = [TuonDialect.dialect, KyutaiDialect.dialect, VoskDialect.dialect]
