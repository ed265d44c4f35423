/**
 * The service in this process: configuration from the environment, JSON logs, an end in time.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import * as App from "./App.ts"
import * as AppConfig from "./layers/AppConfig.ts"
import * as NativeAddon from "./layers/NativeAddon.ts"
import type { Supervised } from "./layers/SupervisedFront.ts"
import type { TalkCallOptions } from "./layers/TalkCall.ts"
import * as Shutdown from "./Shutdown.ts"
import { Front } from "./services/Front.ts"

/** Runs it until a signal, or until it breaks; with a supervisor as one of several. `calls`: what no environment variable says. */
export const run = (supervised?: Supervised, calls: Partial<TalkCallOptions> = {}): void => {
  const service = AppConfig.load.pipe(
    Effect.flatMap((config) =>
      Layer.launch(
        Layer.effectDiscard(
          Effect.sync(() => {
            giveBack()
            supervised?.ready(config)
          })
        ).pipe(
          Layer.provide(App.layer(config, supervised?.runner, calls)),
          Layer.provide(Layer.succeed(Front, supervised?.front)),
          Layer.provide(App.logs(config.logLevel)),
          Layer.provide(Shutdown.deadline(config.shutdownSeconds, supervised === undefined ? "SecondSignal" : "Time"))
        )
      )
    ),
    // What an admin has to read is one line; only what nobody foresaw brings its trace.
    Effect.tapError((error) => Effect.logFatal(error.message)),
    Effect.tapDefect((defect) => Effect.logFatal("the service broke", defect)),
    Effect.provide(App.logs("Info"))
  )
  NodeRuntime.runMain(service, { disableErrorReporting: true, teardown: Shutdown.teardown })
}

/** What only the start needed: some MB of the C library's, which it would keep for whoever asks next. */
const giveBack = () => {
  const addon = NativeAddon.load()
  if (typeof addon !== "string") addon.trimMemory()
}
