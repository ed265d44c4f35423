/**
 * The service as a process: configuration from the environment, JSON logs, an end in time.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import * as App from "./App.ts"
import * as AppConfig from "./layers/AppConfig.ts"
import * as Shutdown from "./Shutdown.ts"

const service = AppConfig.load.pipe(
  Effect.flatMap((config) =>
    Layer.launch(
      App.layer(config).pipe(
        Layer.provide(App.logs(config.logLevel)),
        Layer.provide(Shutdown.deadline(config.shutdownSeconds))
      )
    )
  ),
  // What an admin has to read is one line; only what nobody foresaw brings its trace.
  Effect.tapError((error) => Effect.logFatal(error.message)),
  Effect.tapDefect((defect) => Effect.logFatal("the service broke", defect)),
  Effect.provide(App.logs("Info"))
)

NodeRuntime.runMain(service, { disableErrorReporting: true, teardown: Shutdown.teardown })
