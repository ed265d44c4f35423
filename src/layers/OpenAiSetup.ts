/**
 * OpenAiSetup: where a transcription session is opened, and what it is asked for until the server agrees.
 */
import { Effect, Option, Redacted } from "effect"
import { EngineError } from "../services/SpeechEngine.ts"
import type { EngineSocket } from "./EngineSocket.ts"
import * as OpenAiFaults from "./OpenAiFaults.ts"
import * as OpenAiProtocol from "./OpenAiProtocol.ts"

export interface Target {
  readonly url: string
  readonly headers: Record<string, string>
}

/** From the open socket until the settings are confirmed: one or two questions and answers. */
const AGREE_TIMEOUT = "5 seconds"
/** Messages that may come before the answer. */
const MAX_MESSAGES = 32

/** The whole URL, without a model (that would make it a conversation), and the header with the key: Azure has its own. */
export const targetOf = (options: {
  readonly url: string
  readonly apiKey?: Redacted.Redacted | undefined
}): Effect.Effect<Target, EngineError> => {
  const url = URL.parse(options.url.replace(/^http(s?):/i, "ws$1:"))
  if (url === null || !/^wss?:$/.test(url.protocol))
    return Effect.fail(new EngineError({ reason: "Refused", detail: "LT_OPENAI_URL is not a websocket URL" }))
  url.searchParams.delete("model")
  url.searchParams.set("intent", "transcription")
  url.hash = ""
  const key = options.apiKey === undefined ? undefined : Redacted.value(options.apiKey)
  if (key === undefined || key === "") return Effect.succeed({ url: url.href, headers: {} })
  const isAzure = /\.azure\.com$/i.test(url.hostname)
  return Effect.succeed({ url: url.href, headers: isAzure ? { "api-key": key } : { Authorization: `Bearer ${key}` } })
}

export interface OpenAiSetup {
  /** Waits for the server's greeting and sets the session up; fails when the server does not agree. */
  readonly agree: (socket: EngineSocket, language: string | undefined) => Effect.Effect<void, EngineError>
}

/** What can be left out where a server refuses it; remembered from session to session. */
type Setting = "ownTurns" | "logprobs" | `language:${string}`

export const make = (model: string): OpenAiSetup => {
  const refused = new Set<Setting>()

  const wishes = (language: string | undefined): OpenAiProtocol.Wishes => ({
    model,
    language: refused.has(`language:${language}`) ? undefined : language,
    ownTurns: !refused.has("ownTurns"),
    logprobs: !refused.has("logprobs")
  })

  const agree = Effect.fnUntraced(function* (socket: EngineSocket, language: string | undefined) {
    yield* next(socket, (message) => message.type === "session.created")
    for (let attempt = 1; ; attempt++) {
      const asked = wishes(language)
      socket.send(JSON.stringify(OpenAiProtocol.sessionUpdate(`setup_${attempt}`, asked)))
      const answer = yield* next(socket, (message) => message.type === "session.updated")
      if (answer.type !== "error") return
      const setting = settingOf(answer.error, asked)
      if (setting === undefined) return yield* OpenAiFaults.ofRefusal(answer.error)
      refused.add(setting)
      yield* Effect.logDebug("openai refuses a setting; it is left out", { setting })
    }
  })

  return {
    agree: (socket, language) =>
      Effect.timeoutOrElse(agree(socket, language), {
        duration: AGREE_TIMEOUT,
        orElse: () => Effect.fail(new EngineError({ reason: "Silent", detail: "the server does not begin a session" }))
      })
  }
}

/** The first message that is wanted, or an error. */
const next = Effect.fnUntraced(function* (
  socket: EngineSocket,
  isWanted: (message: OpenAiProtocol.ServerMessage) => boolean
) {
  for (let count = 0; count < MAX_MESSAGES; count++) {
    const { data } = yield* Effect.mapError(socket.take, OpenAiFaults.ofSocket)
    const message = typeof data === "string" ? Option.getOrUndefined(OpenAiProtocol.parse(data)) : undefined
    if (message !== undefined && (isWanted(message) || message.type === "error")) return message
  }
  return yield* new EngineError({ reason: "Protocol", detail: "the server does not speak this protocol" })
})

/** Which of the settings that were asked for, and can be left out, an error is about. */
const settingOf = (fault: OpenAiProtocol.Fault, asked: OpenAiProtocol.Wishes): Setting | undefined => {
  const said = `${fault.param ?? ""} ${fault.message ?? ""}`.toLowerCase()
  if (asked.logprobs && /logprobs|include/.test(said)) return "logprobs"
  if (asked.ownTurns && /turn[_ ]detection|\bvad\b/.test(said)) return "ownTurns"
  if (asked.language !== undefined && /language/.test(said)) return `language:${asked.language}`
  return undefined
}
