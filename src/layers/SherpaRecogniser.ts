/**
 * SherpaRecogniser: computes what many sessions hear, several at a time. Plain and synchronous; it lives in the child process.
 */
import { Option, Schema } from "effect"
import { Heard, type OnlineRecognizer, type OnlineStream } from "./SherpaLibrary.ts"
import type { SherpaModel } from "./SherpaModel.ts"
import type { Command, Report } from "./SherpaProtocol.ts"

export interface SherpaRecogniser {
  readonly take: (command: Command) => void
  /** Computes one step of at most `BATCH` sessions; `false` when there was nothing to compute. */
  readonly compute: () => boolean
}

/** Eight at once cost a fifth to a tenth each; more only make everybody wait longer for the step. */
const BATCH = 8
/** Streams are freed by the collector alone: closed ones are kept for the next sessions. */
const MAX_IDLE = 64

interface Session {
  readonly id: number
  readonly stream: OnlineStream
  /** Samples the stream had taken before this session. */
  readonly base: number
  /** What is not in the stream yet: nothing is added behind a flush before it is over. */
  readonly waiting: Array<Extract<Command, { readonly _tag: "Audio" | "Flush" }>>
  taken: number
  flushing: number | undefined
  text: string
}

const decodeHeard = Schema.decodeUnknownOption(Heard)

/** Computes with this recogniser and tells by `report`. */
export const make = (
  recognizer: OnlineRecognizer,
  model: SherpaModel,
  report: (report: Report) => void
): SherpaRecogniser => {
  const sessions = new Map<number, Session>()
  const idle: Array<{ readonly stream: OnlineStream; readonly taken: number }> = []

  const accept = (session: Session, samples: Float32Array): void => {
    session.stream.acceptWaveform({ samples, sampleRate: model.sampleRate })
    session.taken += samples.length
  }

  /** Hands on what waits, up to a flush, and no more than makes a step: whoever is behind is told of every step. */
  const advance = (session: Session): void => {
    while (session.flushing === undefined && !recognizer.isReady(session.stream)) {
      const next = session.waiting.shift()
      if (next === undefined) return
      accept(session, next._tag === "Audio" ? next.pcm : new Float32Array(next.silence))
      if (next._tag === "Flush") session.flushing = next.token
    }
  }

  const tell = (session: Session, isFinal: boolean): void => {
    const heard = Option.getOrUndefined(decodeHeard(recognizer.getResult(session.stream)))
    const text = heard?.text.trim() ?? ""
    if (heard !== undefined && text !== "" && (isFinal || text !== session.text)) {
      const offset = heard.start_time - session.base / model.sampleRate
      report({
        _tag: "Text",
        session: session.id,
        text,
        tokens: heard.tokens,
        times: heard.timestamps.map((time) => offset + time * model.timeScale),
        logProbabilities: heard.ys_probs,
        isFinal
      })
    } else if (isFinal && session.text !== "") {
      report({ _tag: "Text", session: session.id, text: "", tokens: [], times: [], logProbabilities: [], isFinal })
    }
    session.text = isFinal ? "" : text
    if (isFinal) recognizer.reset(session.stream)
  }

  /** After a step: what changed, and what has come to an end. */
  const look = (session: Session): void => {
    const isComputed = !recognizer.isReady(session.stream)
    if (isComputed && session.flushing !== undefined) {
      tell(session, true)
      report({ _tag: "Computed", session: session.id, samples: session.taken })
      report({ _tag: "Flushed", session: session.id, token: session.flushing })
      session.flushing = undefined
      goOn(session)
      return
    }
    tell(session, recognizer.isEndpoint(session.stream))
    if (!isComputed) return
    report({ _tag: "Computed", session: session.id, samples: session.taken })
    goOn(session)
  }

  const goOn = (session: Session): void => {
    advance(session)
    // less than a step was left: nothing will be computed that could answer
    if (session.flushing !== undefined && !recognizer.isReady(session.stream)) look(session)
  }

  const open = (id: number, language: string): void => {
    const kept = idle.pop()
    const stream = kept?.stream ?? recognizer.createStream()
    if (model.languages.length > 1) stream.setOption("language", language)
    sessions.set(id, { id, stream, base: kept?.taken ?? 0, waiting: [], taken: 0, flushing: undefined, text: "" })
  }

  /** What was said must not be heard by whoever gets the stream next. */
  const close = (session: Session): void => {
    sessions.delete(session.id)
    // what it has not computed yet nobody needs; others would have to wait for it
    if (idle.length >= MAX_IDLE || recognizer.isReady(session.stream)) return
    accept(session, new Float32Array(Math.ceil((model.flushMs * model.sampleRate) / 1000)))
    while (recognizer.isReady(session.stream)) recognizer.decodeStreams([session.stream])
    recognizer.reset(session.stream)
    idle.push({ stream: session.stream, taken: session.base + session.taken })
  }

  return {
    take: (command) => {
      if (command._tag === "Open") return open(command.session, command.language)
      const session = sessions.get(command.session)
      if (session === undefined) return
      if (command._tag === "Close") return close(session)
      session.waiting.push(command)
      goOn(session)
    },
    compute: () => {
      const ready: Array<Session> = []
      for (const session of sessions.values()) {
        if (ready.length < BATCH && recognizer.isReady(session.stream)) ready.push(session)
      }
      if (ready.length === 0) return false
      recognizer.decodeStreams(ready.map(({ stream }) => stream))
      for (const session of ready) {
        // whoever was first is last now
        sessions.delete(session.id)
        sessions.set(session.id, session)
        look(session)
      }
      return true
    }
  }
}
