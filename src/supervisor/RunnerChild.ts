/**
 * One runner process, from its start to its end.
 */
import { type ChildProcess, fork } from "node:child_process"
import { randomUUID } from "node:crypto"
import type { Socket } from "node:net"
import * as FromRunners from "./FromRunners.ts"
import * as LoadShare from "./LoadShare.ts"
import type { Answers, FromRunner, Question, QuestionName, ToRunner, Welcome } from "./Messages.ts"

export interface RunnerChild {
  readonly slot: number
  readonly incarnation: string
  readonly pid: number | undefined
  readonly load: LoadShare.LoadShare
  /** Listeners whose connections it takes. */
  readonly takes: Set<string>
  /** Subjects of the streams it has, one entry for each stream. */
  readonly streams: Array<string>
  readonly bornAtMs: number
  isReady: boolean
  /** Its metrics when it was last asked. */
  metrics: string
  readonly give: (name: string, socket: Socket) => void
  /** What was given has arrived there. */
  readonly taken: (id: number) => void
  /** Those that have not, each with its listener: they are nobody's now. */
  readonly untaken: () => ReadonlyArray<readonly [name: string, socket: Socket]>
  readonly send: (message: ToRunner) => void
  readonly answer: <N extends QuestionName>(question: Question & { readonly name: N }, is: Answers[N]) => void
  readonly kill: () => void
}

export interface RunnerChildOptions {
  /** The program it runs. */
  readonly program: URL
  readonly slot: number
  readonly welcome: Omit<Welcome, "_tag" | "incarnation" | "slot">
  readonly onMessage: (child: RunnerChild, message: FromRunner) => void
  /** Once, when the process has ended for certain; nothing of it comes after. */
  readonly onEnd: (child: RunnerChild, code: number | null, signal: NodeJS.Signals | null) => void
  readonly now: () => number
}

/** In a process group of its own: what a terminal or an init system signals to a whole group ends the supervisor, and that ends its runners. */
export const start = ({ now, onEnd, onMessage, program, slot, welcome }: RunnerChildOptions): RunnerChild => {
  const incarnation = randomUUID()
  const child: ChildProcess = fork(program, [String(slot)], { detached: true, stdio: "inherit" })
  let hasEnded = false
  let ids = 0
  const underway = new Map<number, readonly [name: string, socket: Socket]>()

  const send = (message: ToRunner, socket?: Socket) => {
    // Who is gone needs to be told nothing; its end is seen for itself. A connection stays open here until it has arrived there: Node
    // would leave those that were under way to a process that died open for ever, and nobody could have them.
    if (child.connected) child.send(message, socket, { keepOpen: true }, () => {})
  }
  const runner: RunnerChild = {
    slot,
    incarnation,
    pid: child.pid,
    load: LoadShare.make(),
    takes: new Set(),
    streams: [],
    bornAtMs: now(),
    isReady: false,
    metrics: "",
    send,
    answer: ({ id }, is) => send({ _tag: "Answer", id, is }),
    give: (name, socket) => {
      runner.load.given(now())
      const id = ++ids
      underway.set(id, [name, socket])
      send({ _tag: "Connection", name, id }, socket)
    },
    taken: (id) => {
      underway.get(id)?.[1].destroy()
      underway.delete(id)
    },
    untaken: () => {
      const left = [...underway.values()]
      underway.clear()
      return left
    },
    kill: () => child.kill("SIGKILL")
  }
  const end = (code: number | null, signal: NodeJS.Signals | null) => {
    if (hasEnded) return
    hasEnded = true
    onEnd(runner, code, signal)
  }
  // Our own program is of our own version: what else comes is for nobody.
  child.on("message", (message) => {
    if (FromRunners.is(message)) onMessage(runner, message)
  })
  child.on("exit", end)
  // It could not be started, or not be reached; where there is a process its end follows.
  child.on("error", () => {
    if (child.pid === undefined) end(1, null)
  })
  runner.send({ _tag: "Welcome", slot, incarnation, ...welcome })
  return runner
}
