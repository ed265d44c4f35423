/**
 * VoskLockstep: what waits to be sent to a Vosk server, which answers one message after the other. Plain: whoever owns it sends and reads.
 */

/** What one message does; `through` is where the stream is when it was answered, in samples. */
export type Step =
  | { readonly _tag: "Audio"; readonly pcm: Float32Array; readonly through: number }
  /** Asks for the end of the utterance. */
  | { readonly _tag: "Reset"; readonly through: number; readonly done: () => void }
  /** Asks for the last words; the server hangs up behind them. */
  | { readonly _tag: "Eof"; readonly through: number; readonly done: () => void }
  /** Is not sent: everything before it was answered. */
  | { readonly _tag: "Reached"; readonly through: number; readonly done: () => void }

export interface VoskLockstep {
  readonly audio: (pcm: Float32Array) => void
  readonly ask: (what: "Reset" | "Eof" | "Reached", done: () => void) => void
  /** What to send now: nothing while an answer is due. Audio that has waited is put together. */
  readonly next: () => Exclude<Step, { readonly _tag: "Reached" }> | undefined
  /** An answer came; gives what it answers. */
  readonly answered: () => Step | undefined
  /** Samples that were not sent yet. */
  readonly waiting: () => number
  /** An answer is due. */
  readonly isDue: () => boolean
}

/** Nothing waits, nothing is due. A message holds `most` samples: a server computes while it is not sent more. */
export const make = (most: number): VoskLockstep => {
  let steps: Array<Step> = []
  let due: Step | undefined
  let sent = 0
  let waiting = 0

  const audioAtHead = (): Step | undefined => {
    const parts: Array<Float32Array> = []
    let length = 0
    for (const step of steps) {
      if (step._tag !== "Audio" || (length > 0 && length + step.pcm.length > most)) break
      parts.push(step.pcm)
      length += step.pcm.length
    }
    if (length === 0) return undefined
    steps = steps.slice(parts.length)
    waiting -= length
    sent += length
    const [first = new Float32Array(0)] = parts
    if (parts.length === 1) return { _tag: "Audio", pcm: first, through: sent }
    const pcm = new Float32Array(length)
    let at = 0
    for (const part of parts) {
      pcm.set(part, at)
      at += part.length
    }
    return { _tag: "Audio", pcm, through: sent }
  }

  const next: VoskLockstep["next"] = () => {
    if (due !== undefined) return undefined
    const audio = audioAtHead()
    if (audio?._tag === "Audio") {
      due = audio
      return audio
    }
    const [step, ...others] = steps
    if (step === undefined || step._tag === "Audio") return undefined
    steps = others
    if (step._tag === "Reached") {
      step.done()
      return next()
    }
    due = { ...step, through: sent }
    return due
  }

  return {
    audio: (pcm) => {
      if (pcm.length === 0) return
      steps.push({ _tag: "Audio", pcm, through: 0 })
      waiting += pcm.length
    },
    ask: (what, done) => {
      steps.push({ _tag: what, through: 0, done })
    },
    next,
    answered: () => {
      const step = due
      due = undefined
      return step
    },
    waiting: () => waiting,
    isDue: () => due !== undefined
  }
}
