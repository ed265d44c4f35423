/**
 * `npm run model -- <url> [--sha256 <hex>] [--name <name>] [--languages en,fr]`: fetches a model for the engine in this machine.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
import * as App from "./App.ts"
import * as AppConfig from "./layers/AppConfig.ts"
import * as ModelFetch from "./layers/ModelFetch.ts"

const fetched = Effect.gen(function* () {
  const storage = AppConfig.storageOf(yield* AppConfig.load)
  const request = yield* ModelFetch.parse(process.argv.slice(2))
  const { folder, sha256 } = yield* ModelFetch.fetch(request, storage, (text) => process.stderr.write(text))
  process.stdout.write(`${folder}\nsha256 ${sha256}\nSet LT_SHERPA_MODEL=${request.name} to use it.\n`)
}).pipe(
  Effect.tapError((error) => Effect.sync(() => process.stderr.write(`${error.message}\n`))),
  Effect.provide(App.logs("Error"))
)

NodeRuntime.runMain(fetched, { disableErrorReporting: true })
