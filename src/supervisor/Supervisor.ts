/**
 * The first process of several (`LT_RUNNERS`): starts runners, gives them the connections of its listeners, keeps what must be the same in all
 * of them, starts one again that has ended, and ends with them. It reads no configuration and nothing that is said, and it is small: what
 * it needs to know its runners tell it.
 */
import { randomBytes } from "node:crypto"
import * as Exposition from "./Exposition.ts"
import * as FrontDoor from "./FrontDoor.ts"
import * as Growth from "./Growth.ts"
import * as LogLine from "./LogLine.ts"
import type { FromRunner, Question, SupervisorSettings } from "./Messages.ts"
import * as RunnerChild from "./RunnerChild.ts"
import * as SpentTotals from "./SpentTotals.ts"
import * as StreamCounts from "./StreamCounts.ts"

export interface SupervisorOptions {
  /** What a runner runs. */
  readonly program: URL
  /** Runners at the start. */
  readonly atFirst: number
  /** And at most, where they are needed. */
  readonly most: number
  readonly growth?: Omit<Growth.GrowthOptions, "most"> | undefined
  /** Everything has ended. */
  readonly onEnd: (code: number) => void
}

export interface Supervisor {
  /** Ends in order; the second time by force. */
  readonly stop: () => void
}

type Child = RunnerChild.RunnerChild

/** Of a process that had to be ended by force (EX_SOFTWARE of sysexits.h). */
const FORCED = 70
const TICK_MS = 1000
/** A runner reports once a second. One that is late gets nothing new; */
const LATE_MS = 2500
/** and one that is so late is stuck, holds locks and speaks to nobody: it is ended by force and started again. */
const STUCK_MS = 6000
/** Runners end by force themselves when their time is up; this is for one that cannot. */
const BEYOND_MS = 500
/** Until one was ready, and has said what is configured. */
const usual: SupervisorSettings = { shutdownSeconds: 8, logLevel: "Info" }
/** Who scrapes waits ten seconds; who does not answer in this time counts as when it last did. */
const SCRAPE_MS = 1000
const HEARD_MS = 50
/** One that lived for so long was not broken by how it was started. */
const SOUND_MS = 10_000
const LONGEST_PAUSE_MS = 30_000

export const start = (options: SupervisorOptions): Supervisor => {
  const now = () => performance.now()
  const children = new Set<Child>()
  const streams = StreamCounts.make()
  const spent = SpentTotals.make()
  const grow = Growth.make({ ...options.growth, most: options.most })
  const secret = randomBytes(32).toString("base64")
  let generatedKey: string | undefined
  let isEnabled: boolean | undefined
  let settings = usual
  /** A runner has been ready: the configuration is good. */
  let wasReady = false
  let isStopping = false
  let exitCode = 0
  let tickedAtMs = now()
  /** Of slots: how often in a row they were started in vain. */
  const failures = new Map<number, number>()
  const pauses = new Set<NodeJS.Timeout>()
  const scrapes = new Map<number, (child: Child, text: string) => void>()
  let scrapeId = 0
  /** What runners counted that are gone. */
  let legacy = ""

  const takers = (name: string): ReadonlyArray<Child> => {
    const nowMs = now()
    const all = [...children].filter((child) => child.takes.has(name))
    const ready = all.filter((child) => child.isReady)
    const awake = ready.filter((child) => child.load.silentMs(nowMs) < LATE_MS)
    const candidates = awake.length > 0 ? awake : ready.length > 0 ? ready : all
    return candidates.toSorted((one, other) => one.load.of(nowMs) - other.load.of(nowMs))
  }
  const door = FrontDoor.make({ takers })

  const begin = (slot: number) => {
    const isFirst = children.size === 0 && !wasReady
    children.add(
      RunnerChild.start({
        program: options.program,
        slot,
        welcome: { isFirst, secret, generatedKey, isEnabled },
        onMessage: (child, message) => receive(child, message),
        onEnd: (child, code, signal) => ended(child, code, signal),
        now
      })
    )
  }
  const others = (child: Child) => [...children].filter((other) => other !== child)

  const ready = (child: Child, said: SupervisorSettings) => {
    child.isReady = true
    child.load.isThere(now())
    settings = said
    if (!wasReady) {
      wasReady = true
      for (let slot = 1; slot < options.atFirst; slot++) begin(slot)
    } else LogLine.write(settings.logLevel, "Info", "a runner takes its share", { runner: child.slot, pid: child.pid })
    door.retry()
  }

  const receive = (child: Child, message: FromRunner): void => {
    switch (message._tag) {
      case "Question":
        ask(child, message)
        return
      case "Ready":
        ready(child, message)
        return
      case "Load":
        child.load.reported(now(), message)
        return
      case "Taken":
        child.taken(message.id)
        return
      case "Closing":
        child.takes.delete(message.name)
        // The last one: nobody will take what still comes.
        if (isStopping && takers(message.name).length === 0) door.close(message.name)
        return
      case "Released":
        release(child, message.subject)
        return
      case "Spending":
        spent.add(message.spent)
        for (const other of others(child)) other.send({ _tag: "Spending", spent: message.spent })
        return
      case "Scraped":
        scrapes.get(message.id)?.(child, message.text)
        return
      case "Enabled":
        isEnabled = message.isEnabled
        for (const other of others(child)) other.send(message)
        return
      case "KeyMade":
        generatedKey = message.digest
        return
    }
  }

  const ask = (child: Child, question: Question): void => {
    switch (question.name) {
      case "Listen":
        void door.open(question.of.name, question.of.address).then((is) => {
          if (is._tag === "Listening") child.takes.add(question.of.name)
          child.answer(question, is)
          door.retry()
        })
        return
      case "Reserve": {
        const { limits, subject } = question.of
        const is = streams.reserve(subject, limits)
        if (is === "Reserved") child.streams.push(subject)
        child.answer(question, is)
        return
      }
      case "OpenStreams":
        child.answer(question, streams.of(question.of.subject))
        return
      case "Spent":
        child.answer(question, spent.begin(question.of))
        return
      case "Metrics":
        scrape((text) => child.answer(question, text))
        return
    }
  }

  const release = (child: Child, subject: string) => {
    const index = child.streams.indexOf(subject)
    if (index < 0) return
    child.streams.splice(index, 1)
    streams.release(subject)
  }

  const scrape = (done: (text: string) => void) => {
    const id = ++scrapeId
    const asked = new Set(children)
    const finish = () => {
      clearTimeout(late)
      if (scrapes.delete(id)) done(Exposition.merge([legacy, ...[...children].map(({ metrics }) => metrics)]))
    }
    const late = setTimeout(finish, SCRAPE_MS)
    scrapes.set(id, (child, text) => {
      child.metrics = text
      asked.delete(child)
      if (asked.size === 0) finish()
    })
    for (const child of asked) child.send({ _tag: "Scrape", id })
  }

  const ended = (child: Child, code: number | null, signal: NodeJS.Signals | null) => {
    children.delete(child)
    for (const subject of child.streams.splice(0)) streams.release(subject)
    legacy = Exposition.merge([legacy, Exposition.counted(child.metrics)])
    for (const other of children) other.send({ _tag: "Gone", incarnation: child.incarnation })
    // What it had said last may be read after its end.
    setTimeout(() => {
      for (const [name, socket] of child.untaken()) door.give(name, socket)
    }, HEARD_MS)
    const its = code ?? FORCED
    if (isStopping || (!wasReady && child.slot === 0)) {
      exitCode ||= its
      if (children.size === 0) end()
      return
    }
    again(child, code, signal)
  }

  const again = (child: Child, code: number | null, signal: NodeJS.Signals | null) => {
    const { bornAtMs, pid, slot } = child
    const isSound = child.isReady && now() - bornAtMs > SOUND_MS
    const failed = isSound ? 0 : (failures.get(slot) ?? 0) + 1
    failures.set(slot, failed)
    // At once the first time: whoever was connected to it is already coming back.
    const inMs = failed < 2 ? 0 : Math.min(LONGEST_PAUSE_MS, 500 * 2 ** failed)
    LogLine.write(settings.logLevel, code === 0 ? "Info" : "Warn", "a runner has ended and is started again", {
      runner: slot,
      pid,
      ...(code === null ? { signal } : { code }),
      inMs
    })
    const pause = setTimeout(() => {
      pauses.delete(pause)
      begin(slot)
    }, inMs)
    pauses.add(pause)
  }

  const tick = () => {
    const nowMs = now()
    // Who was not running itself has heard of nobody.
    if (nowMs - tickedAtMs > 2 * TICK_MS) for (const child of children) child.load.isThere(nowMs)
    tickedAtMs = nowMs
    for (const child of children) {
      if (!child.isReady || child.load.silentMs(nowMs) < STUCK_MS) continue
      LogLine.write(settings.logLevel, "Error", "a runner does nothing any more and is ended by force", {
        runner: child.slot,
        pid: child.pid
      })
      child.load.isThere(nowMs)
      child.kill()
    }
    const isWhole = pauses.size === 0 && [...children].every((child) => child.isReady)
    if (
      !isStopping &&
      isWhole &&
      grow(
        nowMs,
        [...children].map(({ load }) => load.cpu())
      )
    )
      begin(children.size)
  }
  const ticking = setInterval(tick, TICK_MS)

  const end = () => {
    clearInterval(ticking)
    options.onEnd(exitCode)
  }
  const force = () => {
    for (const child of children) child.kill()
    exitCode = FORCED
    if (children.size === 0) end()
  }
  begin(0)

  return {
    stop: () => {
      if (isStopping) {
        force()
        return
      }
      isStopping = true
      for (const pause of pauses) clearTimeout(pause)
      for (const child of children) child.send({ _tag: "Stop" })
      if (children.size === 0) end()
      setTimeout(force, settings.shutdownSeconds * 1000 + BEYOND_MS).unref()
    }
  }
}
