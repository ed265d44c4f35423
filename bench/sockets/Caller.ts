/**
 * One client: connects, says its tape in real time, listens, and writes down what it said and what it was told, and when.
 */
import { WebSocket } from "ws"
import type { Client, Fields, Speech, Told } from "../../tools/say/Clients.ts"
import type { Tape, TapeMessage } from "./Tape.ts"
import type { Heard } from "./Wire.ts"

export interface Caller {
  /** Resolves when sound may be sent. */
  readonly ready: Promise<void>
  /** From now on, sound goes out as fast as it is made. */
  readonly start: (nowMs: number) => void
  /** Sends what is due; gives how late the latest of it was, ms. */
  readonly tick: (nowMs: number) => number
  /** Stops at the end of an utterance. Resolves behind the last words. */
  readonly finish: () => Promise<Heard>
}

/** Silence behind the last utterance, where the dialect has no end of its own and where it has one. */
const TRAIL_MS = 600
const END_WITHIN_MS = 30_000
const LOOK_MS = 100

export interface CallerOptions {
  readonly number: number
  readonly address: URL
  readonly headers: Record<string, string>
  readonly client: Client
  readonly speech: Speech
  readonly tape: Tape
}

export const make = ({ address, client, headers, number, speech, tape }: CallerOptions): Caller => {
  const socket = new WebSocket(address, { headers, perMessageDeflate: false })
  const spoken: Array<string> = []
  const sentAtMs: Array<number> = []
  const seenAtMs: Array<number> = []
  const words: Array<string> = []
  let open = ""
  let trouble: string | undefined
  let heardAtMs = 0
  let isOver = false
  /** Where the tape is; `undefined` before and after it. */
  let next: number | undefined
  let startedAtMs = 0
  let position = 0
  let isFinishing = false
  let trail = 0

  const { promise: ready, reject: failed, resolve: isReady } = Promise.withResolvers<void>()
  // Whoever waits is told; whoever does not sees it in `Heard`.
  ready.catch(() => {})
  const failedWith = (why: string) => {
    trouble ??= why
    failed(new Error(`client ${number}: ${why}`))
  }

  const take = (told: Told) => {
    switch (told._tag) {
      case "Ready":
        return isReady()
      case "Failed":
        return failedWith(told.detail)
      case "Done":
        isOver = true
        return
      case "Note":
        return
      case "Appended":
        open += told.text
        break
      case "Partial":
        open = told.text
        break
      case "Final":
        words.push(...wordsOf(told.text))
        open = ""
    }
    heardAtMs = epochMs()
    const seen = words.length + wordsOf(open).length
    while (seenAtMs.length < seen) seenAtMs.push(heardAtMs)
  }

  socket.on("open", () => {
    for (const message of speech.begin) socket.send(message)
    if (!client.waitsForReady) isReady()
  })
  socket.on("message", (data) => {
    for (const told of speech.read(fieldsOf(String(data)))) take(told)
  })
  socket.on("error", ({ message }) => failedWith(message))
  socket.on("close", (code) => {
    if (!isFinishing || (code !== 1000 && client.settlesMs === undefined)) failedWith(`closed with ${code}`)
    isOver = true
  })

  const send = (message: TapeMessage) => {
    if (socket.readyState !== socket.OPEN) return
    socket.send(message.encoded(position), { binary: !tape.isText })
    position += tape.messageMs
    for (const word of message.words) {
      spoken.push(word)
      sentAtMs.push(epochMs())
    }
  }
  const advance = (at: number): number | undefined => {
    const message = tape.messages[at]
    if (message === undefined) return undefined
    send(message)
    return isFinishing && (message.endsUtterance || isPause(at)) ? undefined : (at + 1) % tape.messages.length
  }
  const isPause = (at: number) => tape.messages[at]?.encoded === tape.silence.encoded

  return {
    ready,
    start: (nowMs) => {
      startedAtMs = nowMs
      next = 0
    },
    tick: (nowMs) => {
      let late = 0
      // A microphone gives what it has recorded: each message is due when its last sample is.
      for (let due = dueAt(); nowMs >= due && (next !== undefined || trail > 0); due = dueAt()) {
        late = Math.max(late, nowMs - due)
        if (next !== undefined) {
          next = advance(next)
          if (next === undefined) trail = Math.ceil(TRAIL_MS / tape.messageMs)
        } else {
          trail--
          send(tape.silence)
        }
      }
      return late
    },
    finish: async () => {
      isFinishing = true
      const untilMs = epochMs() + END_WITHIN_MS
      const isAwaited = () => epochMs() < untilMs && !isOver
      while ((next !== undefined || trail > 0) && isAwaited()) await looked()
      if (socket.readyState === socket.OPEN) for (const message of speech.finish) socket.send(message)
      heardAtMs = epochMs()
      const isQuiet = () => client.settlesMs !== undefined && epochMs() - heardAtMs > client.settlesMs
      while (!isQuiet() && isAwaited()) await looked()
      if (!isOver && !isQuiet()) trouble ??= "the last words did not come in time"
      socket.close(1000)
      // Words that no final came for are words all the same.
      words.push(...wordsOf(open))
      return { number, spoken, sentAtMs, seenAtMs, words, trouble }
    }
  }

  function dueAt(): number {
    return startedAtMs + position + tape.messageMs
  }
}

export const epochMs = (): number => performance.timeOrigin + performance.now()

const looked = () => new Promise<void>((resolve) => setTimeout(resolve, LOOK_MS))

const wordsOf = (text: string): ReadonlyArray<string> => text.split(/\s+/).filter((word) => word !== "")

const fieldsOf = (text: string): Fields => {
  const value: unknown = JSON.parse(text)
  return typeof value === "object" && value !== null ? Object.fromEntries(Object.entries(value)) : {}
}
