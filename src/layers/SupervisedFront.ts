/**
 * SupervisedFront: the front of a process that a supervisor has started, over IPC.
 */
import { Socket } from "node:net"
import { Effect, PubSub, Stream } from "effect"
import { PrometheusMetrics } from "effect/observability"
import type { Incarnation } from "../domain/Seat.ts"
import type { RunnerProcess } from "../services/Fleet.ts"
import type { Front } from "../services/Front.ts"
import type {
  Answers,
  FromRunner,
  Question,
  QuestionName,
  Questions,
  Spent,
  SupervisorSettings
} from "../supervisor/Messages.ts"
import * as Orphan from "./Orphan.ts"
import * as SupervisorMessages from "./SupervisorMessages.ts"

/** A process that has a supervisor. */
export interface Supervised {
  readonly front: Front
  readonly runner: RunnerProcess
  /** It does what it is for, and is looked after from now on. */
  readonly ready: (settings: SupervisorSettings) => void
}

const REPORT_MS = 1000
/** Of a runner that was not configured yet. */
const USUAL_SECONDS = 8
/** A runner ends by force itself when its time is up; this is for one that cannot. */
const BEYOND_MS = 500

/**
 * Waits for the first message. Where the supervisor asks for it, or is gone, this process ends as after SIGTERM, and at once while it waits;
 * without a supervisor also where it stands still.
 */
export const connect = async (): Promise<Supervised> => {
  const answers = new Map<number, (is: unknown) => void>()
  const listeners = new Map<string, (socket: Socket) => void>()
  const open = new Set<Socket>()
  const onEnabled = new Set<(isEnabled: boolean) => void>()
  const gone = Effect.runSync(PubSub.unbounded<Incarnation>({ replay: 64 }))
  let onSpending: (spent: Spent) => void = () => {}
  let received = 0
  let questions = 0
  let isEnabled: boolean | undefined
  let isEnding = false

  const tell = (message: FromRunner) => {
    // Without a supervisor this process is ending already.
    if (process.connected) process.send?.(message, undefined, {}, () => {})
  }
  const ask = <N extends QuestionName>(name: N, of: Questions[N]): Effect.Effect<Answers[N]> =>
    Effect.callback((resume) => {
      const id = ++questions
      answers.set(id, (is) => {
        const answer = SupervisorMessages.answerTo(name, is)
        resume(
          answer === undefined
            ? Effect.die(new Error(`the supervisor gave no answer to ${name}`))
            : Effect.succeed(answer)
        )
      })
      tell({ _tag: "Question", id, name, of } as Question)
      return Effect.sync(() => answers.delete(id))
    })
  const end = () => {
    if (isEnding) return
    isEnding = true
    process.kill(process.pid, "SIGTERM")
  }
  const take = (name: string, socket: Socket) => {
    received++
    const taker = listeners.get(name)
    if (taker === undefined) {
      socket.destroy()
      return
    }
    open.add(socket)
    socket.once("close", () => open.delete(socket))
    taker(socket)
  }

  const receive = (
    message: Exclude<SupervisorMessages.Told, SupervisorMessages.Welcomed>,
    socket: Socket | undefined
  ): void => {
    switch (message._tag) {
      case "Answer":
        answers.get(message.id)?.(message.is)
        answers.delete(message.id)
        return
      case "Connection":
        tell({ _tag: "Taken", id: message.id })
        // It may have gone on its way.
        if (socket === undefined) received++
        else take(message.name, socket)
        return
      case "Spending":
        onSpending(message.spent)
        return
      case "Scrape":
        tell({ _tag: "Scraped", id: message.id, text: Effect.runSync(PrometheusMetrics.format()) })
        return
      case "Enabled":
        isEnabled = message.isEnabled
        for (const listener of onEnabled) listener(message.isEnabled)
        return
      case "Gone":
        PubSub.publishUnsafe(gone, message.incarnation)
        return
      case "Stop":
        end()
        return
    }
  }

  // Nothing has begun, and nobody else listens to signals.
  const quit = () => process.exit(0)
  if (!process.connected) quit()
  process.once("SIGTERM", quit).once("disconnect", quit)
  const welcome = await new Promise<SupervisorMessages.Welcomed>((resolve) => {
    process.on("message", (message, handle) => {
      const told = SupervisorMessages.read(message)
      const socket = handle instanceof Socket ? handle : undefined
      // Our own supervisor is of our own version: what else comes is for nobody.
      if (told === undefined) socket?.destroy()
      else if (told._tag === "Welcome") resolve(told)
      else receive(told, socket)
    })
  })
  // In this order: a signal that came with the first message is lost if nobody listens in between.
  process.once("SIGTERM", () => {
    isEnding = true
  })
  process.once("disconnect", end)
  process.off("SIGTERM", quit).off("disconnect", quit)
  const orphan = Orphan.watch()
  const endsWithin = (seconds: number) => orphan.endsWithin(seconds * 1000 + BEYOND_MS)
  endsWithin(USUAL_SECONDS)
  isEnabled = welcome.isEnabled

  const front: Front = {
    slot: welcome.slot,
    isFirst: welcome.isFirst,
    secret: Buffer.from(welcome.secret, "base64"),
    generatedKey: welcome.generatedKey === undefined ? undefined : Buffer.from(welcome.generatedKey, "hex"),
    keyMade: (digest) => tell({ _tag: "KeyMade", digest: Buffer.from(digest).toString("hex") }),
    listen: (name, address, taker) =>
      Effect.suspend(() => {
        listeners.set(name, taker)
        return ask("Listen", { name, address })
      }),
    closing: (name) => tell({ _tag: "Closing", name }),
    reserve: (subject, limits) => ask("Reserve", { subject, limits }),
    release: (subject) => tell({ _tag: "Released", subject }),
    openStreams: (subject) => ask("OpenStreams", { subject }),
    spent: (found, onMore) =>
      Effect.suspend(() => {
        onSpending = onMore
        return ask("Spent", found)
      }),
    spending: (spent) => tell({ _tag: "Spending", spent }),
    metrics: ask("Metrics", {}),
    isEnabled: () => isEnabled,
    setEnabled: (enabled) => {
      isEnabled = enabled
      tell({ _tag: "Enabled", isEnabled: enabled })
    },
    onEnabled: (listener) =>
      Effect.asVoid(
        Effect.acquireRelease(
          Effect.sync(() => onEnabled.add(listener)),
          () => Effect.sync(() => onEnabled.delete(listener))
        )
      )
  }
  return {
    front,
    runner: {
      slot: welcome.slot,
      incarnation: welcome.incarnation,
      gone: Stream.fromPubSub(gone)
    },
    ready: ({ logLevel, shutdownSeconds }) => {
      tell({ _tag: "Ready", logLevel, shutdownSeconds })
      endsWithin(shutdownSeconds)
      let used = process.cpuUsage()
      let atMs = performance.now()
      setInterval(() => {
        const elapsedMs = performance.now() - atMs
        const { system, user } = process.cpuUsage(used)
        used = process.cpuUsage()
        atMs += elapsedMs
        tell({ _tag: "Load", cpu: (user + system) / 1000 / elapsedMs, received, open: open.size })
      }, REPORT_MS).unref()
    }
  }
}
