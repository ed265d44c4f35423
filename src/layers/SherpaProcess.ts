/**
 * The child process in which sherpa-onnx runs: a model or an argument it does not like ends a process, and while it computes nothing else does.
 * Started by `SherpaHost`, with the model as its argument; ends when the channel to its parent does.
 */
import { Option } from "effect"
import * as SherpaLibrary from "./SherpaLibrary.ts"
import { fromText } from "./SherpaModel.ts"
import { type Report, readCommand } from "./SherpaProtocol.ts"
import * as SherpaRecogniser from "./SherpaRecogniser.ts"

const report = (message: Report) => {
  if (process.connected) process.send?.(message)
}

const run = (text: string): void => {
  const model = fromText(text)
  const recogniser = SherpaRecogniser.make(SherpaLibrary.load(model), model, report)
  let isComputing = false
  /** One step at a time, so that what arrives meanwhile can take part in the next. */
  const step = () => {
    isComputing = recogniser.compute()
    if (isComputing) setImmediate(step)
  }
  process.on("message", (message) => {
    const command = Option.getOrUndefined(readCommand(message))
    if (command === undefined) return
    recogniser.take(command)
    if (isComputing) return
    isComputing = true
    setImmediate(step)
  })
  report({ _tag: "Loaded" })
}

process.on("disconnect", () => process.exit(0))
// Ctrl-C reaches all processes of a terminal: the parent still has last words to collect.
process.on("SIGINT", () => {}).on("SIGTERM", () => {})
try {
  run(process.argv[2] ?? "")
} catch (error) {
  report({ _tag: "Unusable", detail: error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error) })
  setTimeout(() => process.exit(1), 100)
}
