/** The Transcriber over one engine that follows a script, on the test clock and with metrics of its own. */
import { it } from "@effect/vitest"
import { Effect, Layer, Metric, type Scope } from "effect"
import * as ConfiguredEngines from "../../src/layers/ConfiguredEngines.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import type { Transcriber } from "../../src/services/Transcriber.ts"

/** Kyutai's flush takes about this long. */
export const slowFlush: ScriptedEngine.Script = { flushing: () => Effect.sleep("700 millis") }

export const told = (
  name: string,
  script: ScriptedEngine.Script,
  body: Effect.Effect<void, unknown, Transcriber | ScriptedEngine.ScriptedEngine | Scope.Scope>
) =>
  it.effect(name, () =>
    body.pipe(
      Effect.provide(
        EngineTranscriber.layer.pipe(
          Layer.provide(ConfiguredEngines.single),
          Layer.provideMerge(ScriptedEngine.layer(script))
        )
      ),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )
  )
