import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Conformance from "../../src/conformance/index.ts"
import * as AwsEngine from "../../src/layers/AwsEngine.ts"
import * as AwsSimulator from "../../src/layers/AwsSimulator.ts"
import * as BusyMachine from "../support/BusyMachine.ts"

const harness: Conformance.Harness = {
  // the service takes no audio faster than it is spoken: the engine holds the rest back
  speed: 1.15,
  secrets: [AwsSimulator.ACCOUNT.accessKeyId, AwsSimulator.ACCOUNT.secretAccessKey],
  start: Effect.gen(function* () {
    const server = yield* AwsSimulator.make()
    const engine = yield* AwsEngine.make({
      region: "us-east-1",
      endpoint: server.url,
      credentials: AwsSimulator.ACCOUNT
    })
    return {
      engine,
      connections: () => server.counters().connections,
      crash: server.kill,
      hangUp: server.hangUp,
      babble: server.babble,
      refuse: () => server.behave({ status: 403, exception: "UnrecognizedClientException" })
    }
  })
}

describe.concurrent("Amazon Transcribe", () => {
  for (const check of Conformance.checks) it.live(check.name, () => check.run(BusyMachine.patient(harness)))
})
