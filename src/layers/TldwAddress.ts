/**
 * TldwAddress: where a tldw server is, how it is dialled, and how it is asked whether it can transcribe.
 */
import { Effect, Redacted, type Scope } from "effect"
import { EngineError } from "../services/SpeechEngine.ts"
import * as EngineProbe from "./EngineProbe.ts"
import * as EngineSocket from "./EngineSocket.ts"
import * as TldwProtocol from "./TldwProtocol.ts"

export interface Options {
  /** `ws://host:8000/api/v1/audio/stream/transcribe`; without a path, that one. */
  readonly url: string
  readonly key?: Redacted.Redacted | undefined
  /** `float32`: a server of 2024, which also wants the key in the address. */
  readonly audio: "pcm16" | "float32"
  readonly skipCertVerify?: boolean
}

const PATH = "/api/v1/audio/stream/transcribe"
const OPEN_TIMEOUT = "5 seconds"
/** 25 s of PCM16 in base64. */
const MAX_WAITING_BYTES = 1024 * 1024
/** Proxies on the way close what is silent for a minute. */
const PING_EVERY = "20 seconds"
/** While it transcribes on a processor a server answers nothing else, pings neither. */
const PONG_WITHIN = "4 seconds"

const addressOf = (url: string): URL | null => {
  const address = URL.parse(url)
  if (address?.pathname === "/") address.pathname = PATH
  return address
}

export const dial = ({
  url,
  key,
  audio,
  skipCertVerify
}: Options): Effect.Effect<EngineSocket.EngineSocket, EngineError, Scope.Scope> => {
  const address = addressOf(url)
  const secret = key === undefined ? undefined : Redacted.value(key)
  if (audio === "float32" && secret !== undefined) address?.searchParams.set("token", secret)
  return EngineSocket.open({
    url: address?.href ?? url,
    headers: secret === undefined ? {} : { "X-API-KEY": secret },
    openTimeout: OPEN_TIMEOUT,
    maxPayload: TldwProtocol.MAX_MESSAGE_BYTES,
    maxWaitingBytes: MAX_WAITING_BYTES,
    pingEvery: PING_EVERY,
    pongWithin: PONG_WITHIN,
    skipCertVerify: skipCertVerify === true
  }).pipe(Effect.mapError(EngineSocket.toEngineError))
}

/** The server's own word that it can transcribe; older ones have no such page. */
export const probe = ({ url, key, skipCertVerify }: Options): Effect.Effect<void, EngineError> =>
  EngineProbe.ask({
    url: URL.parse("status", addressOf(url) ?? "")?.href ?? url,
    headers: key === undefined ? {} : { "X-API-KEY": Redacted.value(key) },
    skipCertVerify: skipCertVerify === true
  }).pipe(
    Effect.flatMap((said) =>
      TldwProtocol.isUnavailable(said)
        ? Effect.fail(new EngineError({ reason: "Unreachable", detail: "it says that it cannot transcribe now" }))
        : Effect.void
    )
  )
