/**
 * Captions of running calls as server-sent events, for pages and programs that read along.
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { Effect, Stream } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { RoomToken } from "../domain/Call.ts"
import type { Caption, Gap } from "../domain/Caption.ts"
import { isFinal, textOf } from "../domain/Segment.ts"
import { CaptionFeed } from "../services/CaptionFeed.ts"
import { NotFound, ServiceApi } from "./Api.ts"
import type { FeedEvent } from "./FeedEvents.ts"

/** Proxies give up on connections on which nothing moves for a minute or half of it. */
const keepAliveEvery = "15 seconds"
const keepAlive = ": still here\n\n"
/** A reader that takes nothing while comments wait for it is gone, or as good as gone. */
const stuckAfterMs = 60_000

/** Handlers of the captions group. */
export const layer = HttpApiBuilder.group(
  ServiceApi,
  "captions",
  Effect.fnUntraced(function* (handlers) {
    const feed = yield* CaptionFeed
    return handlers.handleRaw(
      "captions",
      Effect.fnUntraced(function* ({ params: { roomToken } }) {
        // Whether there is a call has to be known before the answer begins.
        yield* Effect.scoped(Effect.asVoid(feed.subscribe(roomToken))).pipe(
          Effect.mapError(({ message }) => new NotFound({ error: message }))
        )
        yield* giveUpWhenStuck
        const body = Stream.merge(eventsOf(feed, roomToken), comments, { haltStrategy: "left" })
        return HttpServerResponse.stream(Stream.encodeText(body), {
          contentType: "text/event-stream",
          // Proxies that collect answers would deliver captions in blocks.
          headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
        })
      })
    )
  })
)

const eventsOf = (feed: CaptionFeed["Service"], room: RoomToken): Stream.Stream<string> =>
  Stream.unwrap(feed.subscribe(room)).pipe(
    Stream.map((caption) =>
      write(
        caption.interrupted === undefined
          ? { event: "caption", data: liveCaption(caption) }
          : { event: "interrupted", data: liveGap(caption, caption.interrupted) }
      )
    ),
    Stream.concat(Stream.succeed(ended("CallEnded", "the call has ended, or is captioned no more"))),
    Stream.catchTags({
      NoSuchCall: ({ message }) => Stream.succeed(ended("CallEnded", message)),
      ReaderBehind: ({ message }) => Stream.succeed(ended("ReaderBehind", message))
    })
  )

const comments = Stream.map(Stream.tick(keepAliveEvery), () => keepAlive)

const giveUpWhenStuck = Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
  NodeHttpServerRequest.toIncomingMessage(request).socket.setTimeout(stuckAfterMs)
})

const liveCaption = ({ language, segment, speaker, speakerName }: Caption) => ({
  speaker,
  ...(speakerName === undefined ? {} : { speakerName }),
  language,
  segment: segment.id,
  revision: segment.revision,
  text: textOf(segment),
  final: isFinal(segment),
  ...(segment.startMs === undefined ? {} : { startMs: segment.startMs })
})

const liveGap = ({ segment, speaker, speakerName }: Caption, { atMs, lengthMs }: Gap) => ({
  speaker,
  ...(speakerName === undefined ? {} : { speakerName }),
  segment: segment.id,
  atMs,
  lengthMs
})

const ended = (reason: "CallEnded" | "ReaderBehind", detail: string) =>
  write({ event: "end", data: { reason, detail } })

/** JSON has no line breaks. */
const write = ({ data, event }: typeof FeedEvent.Type): string => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
