/**
 * Engines: what this deployment can transcribe with, in the order in which it is tried.
 */
import { Context } from "effect"
import type { Languages } from "../domain/Language.ts"
import type { EngineError, SpeechEngine } from "./SpeechEngine.ts"

/**
 * `Closed`: it is asked. `Open`: it has just failed and is left alone for a while. `HalfOpen`: one probe asks whether it is back; everybody else
 * still goes elsewhere or waits.
 */
export type CircuitState = "Closed" | "Open" | "HalfOpen"

/** As far as sessions, and probes of an engine that failed, have shown. */
export interface EngineHealth {
  readonly state: "Untried" | "Healthy" | "Failing"
  /** Whether it is asked for sessions; see `CircuitState`. */
  readonly circuit: CircuitState
  /** Sessions open now. */
  readonly sessions: number
  /** Why the newest attempt failed, while `Failing`. */
  readonly reason?: EngineError["reason"]
  readonly detail?: string
}

/**
 * What an engine is for. `Primary`: it captions whenever it can. `Cover`: it captions while no primary does, also while one starts, until a
 * pause in which one does again. `LastResort`: only when nothing else would caption.
 */
export type EngineRole = "Primary" | "Cover" | "LastResort"

/**
 * Why nobody captions a voice. `NotAllowed`: it may not leave this machine, and no engine is on it (or there is none at all). `Refused`: all
 * who may hear it refuse this service. `Away`: none of them works at the moment.
 */
export type EngineTrouble = "NotAllowed" | "Refused" | "Away"

/** An engine and how it does. */
export interface ConfiguredEngine {
  readonly role: EngineRole
  readonly engine: SpeechEngine["Service"]
  readonly health: () => EngineHealth
  /** The Transcriber's: a session is open, until its scope closes. */
  readonly opened: () => void
  readonly closed: () => void
  readonly failed: (error: EngineError) => void
  readonly turned: (circuit: CircuitState) => void
}

/** What these engines recognise together, the first one's languages first. */
export const languagesKnown = (engines: ReadonlyArray<ConfiguredEngine>): Languages =>
  Object.fromEntries(engines.flatMap(({ engine }) => Object.entries(engine.capabilities.languages)))

/** Best role first. Empty where none is configured, or none that may be used. Names (`engine.capabilities.name`) are unique. */
export class Engines extends Context.Service<Engines, ReadonlyArray<ConfiguredEngine>>()("parlance/services/Engines") {}
