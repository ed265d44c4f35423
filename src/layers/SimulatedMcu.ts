/**
 * The media side of the simulated HPB: offers on request, answers, candidates. What the HPB and Janus do together for subscribers.
 */
import { Effect, Option } from "effect"
import { decodeMedia, failure, type MediaData, relayed } from "./SimulatedProtocol.ts"
import type { SimulatedPublisher } from "./SimulatedPublisher.ts"

/** Who asks: a session and a way to answer it. */
export interface Subscriber {
  readonly id: string
  readonly send: (message: object) => void
}

export interface MediaRequest {
  readonly requestId: string | undefined
  /** Session of the publisher. */
  readonly target: string
  readonly data: Readonly<Record<string, unknown>>
}

export interface SimulatedMcu {
  readonly handle: (subscriber: Subscriber, request: MediaRequest) => Effect.Effect<void>
  readonly addPublisher: (sessionId: string, publisher: SimulatedPublisher) => void
  readonly removePublisher: (sessionId: string) => void
  /** The subscriber left its room or is gone: its peers close. */
  readonly release: (subscriber: string) => Effect.Effect<void>
  /** Janus is gone: nothing is sent any more and requests fail at once. Publishers must publish again when it is back. */
  readonly setDown: (isDown: boolean) => void
}

export interface SimulatedMcuOptions {
  /** Whether this session is known at all: requests to others are never answered. */
  readonly isKnown: (sessionId: string) => boolean
  /** How long a request waits for its publisher, ms. */
  readonly timeoutMs: number
  /** HPB 0.4.1 does not name subscriptions. */
  readonly namesSubscriptions: boolean
}

export const make = (options: SimulatedMcuOptions): SimulatedMcu => {
  const publishers = new Map<string, SimulatedPublisher>()
  let isDown = false

  const offer = Effect.fnUntraced(function* (subscriber: Subscriber, { requestId, target }: MediaRequest) {
    if (isDown) return subscriber.send(failure(requestId, "processing_failed"))
    const found = yield* Effect.suspend(() => publishers.get(target)?.published ?? Effect.never).pipe(
      Effect.timeoutOption(options.timeoutMs)
    )
    const publisher = publishers.get(target)
    if (Option.isNone(found) || publisher === undefined) {
      return subscriber.send(failure(requestId, "client_not_found"))
    }
    const { publication, sid } = yield* publisher.subscribe(subscriber.id)
    const common = {
      from: target,
      to: subscriber.id,
      roomType: "video",
      ...(options.namesSubscriptions ? { sid } : {})
    }
    const candidates = publication.candidates.map((candidate) =>
      relayed(target, { ...common, type: "candidate", payload: { candidate } })
    )
    const sdp = { type: "offer", sdp: publication.offer }
    // With trickle a candidate overtakes its offer now and then (seen with Janus 1.1.2): here always.
    for (const message of candidates.slice(0, 1)) subscriber.send(message)
    subscriber.send(relayed(target, { ...common, type: "offer", payload: sdp }))
    for (const message of candidates.slice(1)) subscriber.send(message)
  })

  const toPublication = (
    subscriber: Subscriber,
    { requestId, target }: MediaRequest,
    data: Exclude<MediaData, { readonly type: "requestoffer" }>
  ): Effect.Effect<void> => {
    const subscription = publishers.get(target)?.subscription(subscriber.id)
    const fail = (code: string) => Effect.sync(() => subscriber.send(failure(requestId, code)))
    if (subscription === undefined) return fail("client_not_found")
    if (data.sid !== undefined && data.sid !== subscription.sid) return fail("processing_failed")
    const { publication } = subscription
    return (
      data.type === "answer" ? publication.answer(data.payload.sdp) : publication.addCandidate(data.payload.candidate)
    ).pipe(Effect.catch(() => fail(data.type === "answer" ? "invalid_sdp" : "processing_failed")))
  }

  return {
    handle: (subscriber, request) => {
      const data = decodeMedia(request.data)
      if (Option.isNone(data) || !options.isKnown(request.target)) return Effect.void
      return data.value.type === "requestoffer"
        ? offer(subscriber, request)
        : toPublication(subscriber, request, data.value)
    },
    addPublisher: (sessionId, publisher) => publishers.set(sessionId, publisher),
    removePublisher: (sessionId) => {
      publishers.get(sessionId)?.withdraw()
      publishers.delete(sessionId)
    },
    release: (subscriber) =>
      Effect.forEach(publishers.values(), (publisher) => publisher.unsubscribe(subscriber), { discard: true }),
    setDown: (down) => {
      isDown = down
      if (down) for (const publisher of publishers.values()) publisher.withdraw()
    }
  }
}
