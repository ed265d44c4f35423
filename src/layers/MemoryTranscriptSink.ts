/**
 * TranscriptSink in memory, for tests, demos and embedders: keeps what was said and shows it live.
 */
import { Context, Effect, Layer, type Scope, type Stream } from "effect"
import type { RoomToken, SessionId } from "../domain/Call.ts"
import type { Caption } from "../domain/Caption.ts"
import { isFinal, textOf } from "../domain/Segment.ts"
import type { ReaderBehind } from "../services/CaptionFeed.ts"
import { type CallSink, TranscriptSink } from "../services/TranscriptSink.ts"
import * as CaptionHub from "./CaptionHub.ts"

/** Captions kept; the oldest are forgotten. */
const maxKept = 10_000

/** What came, in order, over all calls. */
export class MemoryTranscriptSink extends Context.Service<
  MemoryTranscriptSink,
  {
    /** Every state of every segment, the newest 10,000. */
    readonly captions: (room?: RoomToken) => ReadonlyArray<Caption>
    /** Final text of each speaker, segments separated by a space. */
    readonly texts: (room?: RoomToken) => ReadonlyMap<SessionId, string>
    /** Captions from now on. A reader that falls 1,000 finals behind is disconnected. */
    readonly live: Effect.Effect<Stream.Stream<Caption, ReaderBehind>, never, Scope.Scope>
    /** What else the sinks were told. */
    readonly notices: () => ReadonlyArray<Notice>
  }
>()("parlance/layers/MemoryTranscriptSink") {}

export type Notice =
  | { readonly _tag: "Opened" | "Resumed" | "Rejoined" | "Drained" | "Closed"; readonly room: RoomToken }
  | { readonly _tag: "SpeakerLeft"; readonly room: RoomToken; readonly speaker: SessionId }

/** Provides both the sink and the view on what it took. */
export const layer: Layer.Layer<TranscriptSink | MemoryTranscriptSink> = Layer.effectContext(
  Effect.gen(function* () {
    const hub = yield* CaptionHub.make
    const kept: Array<Caption> = []
    const notices: Array<Notice> = []
    const notice = (one: Notice) => {
      notices.push(one)
      if (notices.length > maxKept) notices.shift()
    }
    const captions = (room?: RoomToken) => kept.filter((caption) => room === undefined || caption.room === room)
    const texts = (room?: RoomToken) => {
      const all = new Map<SessionId, string>()
      for (const { segment, speaker } of captions(room)) {
        if (isFinal(segment)) all.set(speaker, [all.get(speaker) ?? "", textOf(segment)].join(" ").trim())
      }
      return all
    }
    const callSink = (room: RoomToken): CallSink => ({
      publish: (caption) => {
        kept.push(caption)
        if (kept.length > maxKept) kept.shift()
        hub.publish(caption)
      },
      speakerLeft: (speaker) => notice({ _tag: "SpeakerLeft", room, speaker }),
      resumed: () => notice({ _tag: "Resumed", room }),
      rejoined: () => notice({ _tag: "Rejoined", room }),
      drain: Effect.sync(() => notice({ _tag: "Drained", room }))
    })
    const open: TranscriptSink["Service"]["open"] = ({ session: { room } }) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          notice({ _tag: "Opened", room })
          return callSink(room)
        }),
        () => Effect.sync(() => notice({ _tag: "Closed", room }))
      )
    return Context.make(TranscriptSink, { open }).pipe(
      Context.add(MemoryTranscriptSink, { captions, texts, live: hub.subscribe, notices: () => notices })
    )
  })
)
