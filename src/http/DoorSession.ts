/**
 * The session program behind every streaming socket: who is there, what they want, what they are told, and how it ends. One per connection,
 * whatever its dialect.
 *
 * Its parts, by what they remember: `DoorSocket` (the connection), `DoorAdmission` (who it is), `DoorClock` (what is overdue), `DoorHearing`
 * (voice and transcription) with `DoorTranscript` (what was said), `DoorOutbox` (what the client has not read yet), `DoorRequests` (what has
 * to be done later), `DoorKeeping` (what becomes of the transcript); `DoorFarewell` is how it ends.
 */
import { Cause, Deferred, Effect, FiberSet, Scope } from "effect"
import type { AudioTrouble } from "../domain/AudioTrouble.ts"
import * as EnginePrivacy from "../layers/EnginePrivacy.ts"
import * as Metrics from "../layers/Metrics.ts"
import type { Event, Failure, Message, StartOptions } from "./Dialect.ts"
import * as DoorAdmission from "./DoorAdmission.ts"
import * as DoorChoice from "./DoorChoice.ts"
import type { DoorClient, DoorServices } from "./DoorClient.ts"
import * as DoorClock from "./DoorClock.ts"
import { type Ending, type Farewell, leave } from "./DoorFarewell.ts"
import * as DoorHearing from "./DoorHearing.ts"
import * as DoorKeeping from "./DoorKeeping.ts"
import * as DoorOutbox from "./DoorOutbox.ts"
import * as DoorPrivacy from "./DoorPrivacy.ts"
import type { QuickRequest, SlowRequest } from "./DoorRequests.ts"
import * as DoorRequests from "./DoorRequests.ts"
import * as DoorSocket from "./DoorSocket.ts"

export interface DoorSession {
  /** From the first message to the end of the connection, and of what is still to be kept then. Gives why it ended. */
  readonly run: Effect.Effect<Farewell, never, Scope.Scope>
  /** About every 20 ms. */
  readonly tick: (nowMs: number) => void
  readonly isAdmitted: () => boolean
  /** Seconds of audio since it was asked last. */
  readonly takeHeardSeconds: () => number
  /** Seconds in which somebody spoke, since the session began. */
  readonly spokenSeconds: () => number
  /** The process ends: `ShuttingDown` is told behind the last words. */
  readonly shutDown: () => void
}

/** Between two ticks (20 ms): more at once, and the others get their turn first. */
const MOST_NOW = 8
/** The limits are seconds. */
const LOOK_MS = 250
/** Some clients close when they have everything, others wait for us. */
const PARTING = "5 seconds"

/** Nothing happens before `run`. */
export const make = Effect.fnUntraced(function* (
  client: DoorClient,
  services: DoorServices
): Effect.fn.Return<DoorSession, never, Scope.Scope> {
  const { dialect, opening } = client
  const { now } = services
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const scope = yield* Effect.scope
  const ending = yield* Deferred.make<Ending>()
  const notUnderstood = yield* Metrics.countsOf(Metrics.unknownMessages, { source: dialect.name })
  const conversation = dialect.converse(opening)
  const clock = DoorClock.make(now(), {
    ...services.limits,
    startWithinSeconds: dialect.startWithinSeconds,
    heartbeatSeconds: dialect.heartbeatSeconds
  })
  const admission = DoorAdmission.make(client, services)
  let isEnding = false
  let isTelling = true
  let isFinishing = false
  let waitingSinceMs: number | undefined
  /** Messages taken without waiting since the last tick. */
  let takenNow = 0
  let lookAtMs = 0
  let countedMs = 0

  const end = (how: Ending) => {
    isEnding = true
    Deferred.doneUnsafe(ending, Effect.succeed(how))
  }
  const fail = (failure: Failure, detail: string) => end({ _tag: "Failed", failure, detail })
  const broke = (defect: unknown) => end({ _tag: "Broken", defect })

  const socket = yield* DoorSocket.make(client.socket, { now, admission, onDrain: () => outbox.flush(), takeNow })
  const tell = (event: Event) => {
    if (!isTelling) return
    try {
      requests.act(conversation.tell(event))
    } catch (defect) {
      isTelling = false
      broke(defect)
    }
  }
  const outbox = DoorOutbox.make({ isBehind: socket.isBehind, tell })
  const put = (event: Event) => {
    if (!outbox.put(event)) fail("SlowReader", "too much is waiting to be read")
  }
  const hearing = yield* DoorHearing.make({
    ...services,
    id: opening.sessionId,
    put,
    onUnheard: () => fail("NoEngine", "no speech engine has taken all of the audio"),
    onBroken: (cause) => broke(Cause.squash(cause))
  })
  const keeping = DoorKeeping.make({ ...services, hearing, opening, put, fork })
  const requests = DoorRequests.make({
    doNow: (request) => doNow(request),
    doInTime: (request) => doInTime(request),
    hearNow: (bytes) => isHeardNow(bytes),
    isEnding: () => isEnding,
    onLater: socket.nudge
  })

  /** Most messages need no waiting: they are done where they come, and no fiber wakes up for them. What needs it is done later, in order. */
  function takeNow(message: Message): boolean {
    if (isEnding || socket.isBehind() || hearing.isCrowded() || ++takenNow > MOST_NOW) return false
    try {
      requests.actNow(conversation.receive(message))
    } catch (defect) {
      broke(defect)
    }
    return true
  }

  const doNow = (request: QuickRequest): void => {
    if (!isTelling) return
    switch (request._tag) {
      case "Finish":
        finish()
        break
      case "Save":
        keeping.ask()
        break
      case "Commit":
        if (isReady()) hearing.commit()
        break
      case "Reset":
        if (isReady()) hearing.reset()
        break
      case "NotUnderstood":
        notUnderstood()
        break
      case "Send":
        socket.send(request.message)
        break
      case "Close":
        isTelling = false
        socket.close(request.code, request.reason)
        end({ _tag: "Closed", code: request.code })
    }
  }

  const doInTime = (request: SlowRequest): Effect.Effect<void> => {
    switch (request._tag) {
      case "Authenticate":
        return greet(admission.authenticate(request.token))
      case "Start":
        return isKnown() ? start(request.options) : Effect.void
      case "Audio":
        return isFinishing || !isReady() ? Effect.void : hear(request.bytes)
    }
  }

  const isKnown = () => {
    if (!admission.isAdmitted()) fail("Unauthenticated", "a credential is needed before anything else")
    return admission.isAdmitted()
  }
  const isReady = () => {
    if (!isKnown()) return false
    if (!hearing.isStarted()) fail("NotStarted", "the session has not begun yet")
    return hearing.isStarted()
  }

  const greet = (asked: Effect.Effect<DoorAdmission.Greeting | undefined, never, Scope.Scope>) =>
    Effect.map(Scope.provide(asked, scope), (greeting) => {
      if (greeting?._tag === "Admitted") put(greeting)
      else if (greeting !== undefined) end(greeting)
    })

  const start = Effect.fnUntraced(function* (options: StartOptions) {
    const privacy = DoorPrivacy.make(opening.query, admission.privacy())
    if (privacy === undefined) return fail("BadMessage", "privacy must be any or local-only")
    const engines = EnginePrivacy.allowedBy(privacy, services.engines)
    const choice = DoorChoice.make(engines, services.limits.defaultLanguage, options)
    if (choice === undefined) {
      const none =
        services.engines.length === 0 ? "no speech engine is configured" : "no speech engine is on this machine"
      return fail("NoEngine", none)
    }
    yield* hearing.start({ ...choice, privacy, format: options.format })
    put({ _tag: "Ready", ...choice })
  })

  const badAudio = ({ detail }: AudioTrouble) => fail("BadAudio", detail)
  const hear = (bytes: Uint8Array) =>
    Effect.map(hearing.hear(bytes), (trouble) => {
      if (trouble !== undefined) badAudio(trouble)
    })
  const isHeardNow = (bytes: Uint8Array): boolean => {
    if (isFinishing || !isReady()) return true
    const trouble = hearing.hearNow(bytes)
    if (trouble !== undefined && trouble !== "Later") badAudio(trouble)
    return trouble !== "Later"
  }

  const finish = () => {
    if (isFinishing) return
    isFinishing = true
    hearing.finish()
    fork(
      hearing.over.pipe(
        Effect.andThen(keeping.kept),
        Effect.andThen(Effect.sleep(PARTING)),
        Effect.andThen(Effect.sync(() => doNow({ _tag: "Close", code: 1000 })))
      )
    )
  }

  /** What the client wants, in order, until it is gone. */
  const work = Effect.gen(function* () {
    requests.act(conversation.opened?.() ?? [])
    yield* greet(admission.knock)
    for (;;) {
      yield* requests.catchUp
      waitingSinceMs = undefined
      const message = yield* socket.next
      if (message === undefined) return end({ _tag: "HungUp" })
      waitingSinceMs = now()
      // Answers that are not read, or not given yet, are not asked for.
      while (socket.isBehind() || hearing.isCrowded()) yield* Effect.sleep("40 millis")
      if (typeof message === "string" || message instanceof Uint8Array)
        yield* requests.perform(conversation.receive(message))
    }
  })

  /** Who has nothing to leave behind is forgotten at once, whatever of it was not heard yet. */
  const watch = Effect.map(socket.gone, () => {
    if (conversation.hungUp === undefined && !keeping.isAsked()) end({ _tag: "HungUp" })
  })

  const look = (nowMs: number) => {
    const client = socket.tick(nowMs)
    if (client === "Dead") socket.cut()
    if (client === "Slow") return fail("SlowReader", "what is sent is not read")
    const trouble = hearing.trouble()
    const overdue = clock.overdue(nowMs, {
      isAdmitted: admission.isAdmitted(),
      isStarted: hearing.isStarted(),
      isFinishing,
      heardFromAtMs: socket.heardFromAtMs(),
      waitingSinceMs: waitingSinceMs === undefined ? undefined : Math.max(waitingSinceMs, hearing.movedAtMs()),
      refusedSinceMs: trouble === "Refused" ? hearing.owedSinceMs() : undefined,
      awaySinceMs: trouble === "Away" ? hearing.owedSinceMs() : undefined
    })
    if (overdue !== undefined) return fail(overdue.failure, overdue.detail)
    const heartbeat = hearing.isStarted() ? clock.heartbeat(nowMs, hearing.heardMs()) : undefined
    if (heartbeat !== undefined) put(heartbeat)
  }

  return {
    run: Effect.gen(function* () {
      yield* Effect.forkScoped(watch)
      yield* Effect.raceFirst(work, Deferred.await(ending)).pipe(
        Effect.catchDefect((defect) => Effect.sync(() => broke(defect)))
      )
      const farewell = yield* leave(yield* Deferred.await(ending), {
        dialect: dialect.name,
        hearing,
        keeping,
        outbox,
        socket,
        stopping: services.stopping,
        put,
        tell,
        hangUp: () => requests.act(conversation.hungUp?.() ?? [])
      })
      yield* socket.gone
      return farewell
    }),
    tick: (nowMs) => {
      try {
        hearing.tick(nowMs)
        takenNow = 0
        if (isEnding || nowMs < lookAtMs) return
        lookAtMs = nowMs + LOOK_MS
        look(nowMs)
      } catch (defect) {
        broke(defect)
      }
    },
    isAdmitted: admission.isAdmitted,
    takeHeardSeconds: () => {
      const seconds = (hearing.heardMs() - countedMs) / 1000
      countedMs = hearing.heardMs()
      if (!admission.spend(seconds)) fail("DailyMinutes", "the quota of minutes for this day is used up")
      return seconds
    },
    spokenSeconds: () => hearing.spokenMs() / 1000,
    shutDown: () => fail("ShuttingDown", "the service is stopping")
  }
})
