/**
 * One connection to the simulated OpenAI: its settings, its audio buffer, its items. Real is the order of events and what is refused; not
 * real are the ears (`ToneModem`).
 */
import { Result } from "effect"
import * as OpenAiRequests from "./OpenAiRequests.ts"
import * as Pcm16 from "./Pcm16.ts"
import * as SimulatedRecogniser from "./SimulatedRecogniser.ts"
import type * as ToneModem from "./ToneModem.ts"

/** What the fake knows of models, as documented: whether words come before the commit, and whether the server may cut. */
export const models: Readonly<Record<string, { readonly isLive: boolean; readonly logprobs: boolean }>> = {
  "gpt-live-transcribe": { isLive: true, logprobs: false },
  "gpt-realtime-whisper": { isLive: true, logprobs: false },
  "gpt-transcribe": { isLive: false, logprobs: false },
  "gpt-4o-transcribe": { isLive: false, logprobs: true },
  "gpt-4o-mini-transcribe": { isLive: false, logprobs: true },
  "whisper-1": { isLive: false, logprobs: false }
}

/** Settings that a test has the server refuse. */
export type Refusable = "turn_detection" | "logprobs" | "language"

export interface TranscriptionOptions {
  readonly format: ToneModem.ToneFormat
  /** The transcript begins with a capital and ends with a full stop, which the deltas do not. */
  readonly punctuation: boolean
  readonly refuses: ReadonlyArray<Refusable>
  readonly send: (event: Record<string, unknown>) => void
  readonly onWord: (word: SimulatedRecogniser.RecognisedWord) => void
  readonly onFault: (fault: "corrupt" | "gap") => void
  /** An item was committed and its text is known: tells what ends it. */
  readonly onItem: (complete: (how: "completed" | "failed") => void) => void
}

export interface SimulatedTranscription {
  readonly receive: (message: string, atMs: number) => void
  /** Seconds of audio appended. */
  readonly seconds: () => number
  /** Codes of the errors that were sent. */
  readonly errors: ReadonlyArray<string>
}

/** Hz. */
const RATE = 24_000
const MIN_COMMIT_SAMPLES = RATE / 10
const MAX_APPEND_CHARS = 15 * 1024 * 1024
/** Completes the last word of an item: a step of the recogniser, what it looks ahead, and what is missing of a step. */
const PADDING = new Float32Array((RATE * 240) / 1000)
/** Below this the end of an item is silence: nobody was cut off in a word. */
const QUIET = 0.02

interface Item {
  readonly id: string
  words: number
  text: string
  tokens: Array<{ token: string; logprob: number; bytes: Array<number> }>
}

export const make = (options: TranscriptionOptions): SimulatedTranscription => {
  const { send } = options
  const errors: Array<string> = []
  const eventIds = new Set<string>()
  let items = 0
  let previous: string | null = null
  let settings: OpenAiRequests.Session | undefined
  let buffered = 0
  let appended = 0
  let tail = 0

  const nextItem = (): Item => ({ id: `item_${++items}`, words: 0, text: "", tokens: [] })
  let item = nextItem()

  const input = () => settings?.audio?.input
  const model = () => models[input()?.transcription?.model ?? ""]
  const hasLogprobs = () => model()?.logprobs === true && (settings?.include ?? []).length > 0

  const complain = (complaint: OpenAiRequests.Complaint): void => {
    errors.push(complaint.code)
    const { code, eventId, message, param } = complaint
    send({ type: "error", error: { type: "invalid_request_error", code, message, param, event_id: eventId } })
  }

  const delta = (of: Item, text: string): void => {
    const token = { token: text, logprob: -0.1, bytes: [...Buffer.from(text)] }
    of.tokens.push(token)
    send({
      type: "conversation.item.input_audio_transcription.delta",
      item_id: of.id,
      content_index: 0,
      delta: text,
      ...(hasLogprobs() ? { logprobs: [token] } : {})
    })
  }

  /** In pieces, as tokens are: the first of a word brings its space. */
  const say = (of: Item, text: string): void => {
    const spaced = of.text === "" ? text : ` ${text}`
    of.text += spaced
    if (model()?.isLive !== true) return
    delta(of, spaced.slice(0, 3))
    delta(of, spaced.slice(3))
  }

  const recogniser = SimulatedRecogniser.make({
    delayMs: 0,
    format: options.format,
    punctuation: false,
    onFault: options.onFault,
    onWord: (word) => {
      options.onWord(word)
      item.words++
      say(item, word.text)
    }
  })

  /** What of the settings is refused, and why. */
  const refusalOf = ({
    audio,
    include
  }: OpenAiRequests.Session): Pick<OpenAiRequests.Complaint, "message" | "param"> | undefined => {
    const asked = audio?.input
    const language = asked?.transcription?.language
    if (models[asked?.transcription?.model ?? ""] === undefined)
      return { param: "audio.input.transcription.model", message: "The model does not exist." }
    if (asked?.format?.type !== "audio/pcm" || asked.format.rate !== RATE)
      return { param: "audio.input.format", message: "Only audio/pcm at 24000 Hz is simulated." }
    if (options.refuses.includes("turn_detection") && asked.turn_detection !== undefined)
      return { param: "audio.input.turn_detection", message: "It cannot be changed here." }
    if (asked.turn_detection !== undefined && asked.turn_detection !== null)
      return { param: null, message: "Turn detection is not supported for this transcription model." }
    if (options.refuses.includes("logprobs") && include !== undefined)
      return { param: "include", message: "Not supported for this transcription model." }
    if (language !== undefined && (options.refuses.includes("language") || !/^[a-z]{2}$/.test(language)))
      return { param: "audio.input.transcription.language", message: "It is not supported." }
    return undefined
  }

  const update = (session: OpenAiRequests.Session, eventId: string | null): void => {
    const refusal = refusalOf(session)
    if (refusal === undefined) {
      settings = session
      send({ type: "session.updated", session: { ...session, object: "realtime.transcription_session" } })
      return
    }
    const { message, param } = refusal
    complain({ code: "invalid_value", message, param: param === null ? null : `session.${param}`, eventId })
  }

  const append = (audio: string, atMs: number): string | undefined => {
    if (settings === undefined) return "The session has to be set up first."
    if (audio.length > MAX_APPEND_CHARS) return "The audio is too long."
    const bytes = Buffer.from(audio, "base64")
    if (audio === "" || bytes.length % 2 !== 0 || bytes.toString("base64") !== audio) return "The audio is invalid."
    const pcm = Pcm16.decode(bytes)
    recogniser.push(pcm, atMs)
    buffered += pcm.length
    appended += pcm.length
    tail = pcm.subarray(-120).reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0)
    return undefined
  }

  const commit = (atMs: number): void => {
    // in the middle of a word nothing is put in between: the word belongs to the next item
    if (tail < QUIET) recogniser.push(PADDING, atMs)
    buffered = 0
    const done = item
    item = nextItem()
    send({ type: "input_audio_buffer.committed", item_id: done.id, previous_item_id: previous })
    const added = {
      id: done.id,
      object: "realtime.item",
      type: "message",
      status: "completed",
      role: "user",
      content: [{ type: "input_audio", transcript: null }]
    }
    send({ type: "conversation.item.added", previous_item_id: previous, item: added })
    send({ type: "conversation.item.done", previous_item_id: previous, item: added })
    previous = done.id
    options.onItem((how) => finish(done, how))
  }

  const finish = (done: Item, how: "completed" | "failed"): void => {
    const common = { item_id: done.id, content_index: 0 }
    if (how === "failed") {
      const error = { type: "server_error", code: "transcription_failed", message: "It could not be transcribed." }
      send({ type: "conversation.item.input_audio_transcription.failed", ...common, error })
      return
    }
    if (model()?.isLive !== true) for (const piece of done.text.match(/\s*\S+/g) ?? []) delta(done, piece)
    const { text } = done
    const isShown = options.punctuation && text !== ""
    send({
      type: "conversation.item.input_audio_transcription.completed",
      ...common,
      transcript: isShown ? `${text.charAt(0).toUpperCase()}${text.slice(1)}.` : text,
      usage: { type: "duration", seconds: 1 },
      ...(hasLogprobs() ? { logprobs: done.tokens } : {})
    })
  }

  /** Does what an event asks for; gives what is wrong with it. */
  const handle = (
    event: OpenAiRequests.ClientEvent,
    atMs: number
  ): readonly [code: string, message: string] | undefined => {
    const eventId = event.event_id ?? null
    if (eventId !== null && eventIds.has(eventId)) return ["duplicate_event_id", "The event id was used before."]
    if (eventId !== null) eventIds.add(eventId)
    switch (event.type) {
      case "session.update":
        update(event.session, eventId)
        return undefined
      case "transcription_session.update":
        return ["invalid_value", "Invalid value: 'transcription_session.update'."]
      case "input_audio_buffer.append": {
        const wrong = append(event.audio, atMs)
        return wrong === undefined ? undefined : ["invalid_audio", wrong]
      }
      case "input_audio_buffer.commit":
        if (buffered < MIN_COMMIT_SAMPLES) return ["input_audio_buffer_commit_empty", "The buffer is too small."]
        commit(atMs)
        return undefined
      case "input_audio_buffer.clear":
        buffered = 0
        send({ type: "input_audio_buffer.cleared" })
        return undefined
    }
  }

  return {
    receive: (message, atMs) => {
      const event = OpenAiRequests.read(message)
      if (Result.isFailure(event)) {
        complain(event.failure)
        return
      }
      const wrong = handle(event.success, atMs)
      if (wrong !== undefined)
        complain({ code: wrong[0], message: wrong[1], param: null, eventId: event.success.event_id ?? null })
    },
    seconds: () => appended / RATE,
    errors
  }
}
