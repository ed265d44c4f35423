/**
 * What can happen to an engine, in one vocabulary for scenarios on the test clock and on real sockets.
 */

/** What sessions of the engine do from a moment on, or what becomes of those who ask for one, for a while. */
export const engineFaults = {
  /** Who asks is turned away for a reason that only an admin can change (401, 402, 403). */
  refuse: "for a while",
  /** Who asks is told to come later (429, 503). */
  busy: "for a while",
  /** Nobody answers. */
  unreachable: "for a while",
  /** Who asks is answered when it is over: a container that starts. */
  hang: "for a while",
  /** Sessions open, and are closed within half a second. */
  acceptThenClose: "for a while",
  /** Open sessions are cut. */
  cut: "at once",
  /** Open sessions are closed with 1000, as if all had been said. */
  closeEarly: "at once",
  /** Open sessions are closed by the engine's own limit. */
  limit: "at once",
  /** Open sessions say what is no message. */
  garbage: "at once",
  /** Open sessions are taken over by nobody: what is sent goes nowhere, nothing comes, nothing closes. New ones are well. */
  halfOpen: "at once",
  /** Sending to an open session throws: an adapter with a bug. */
  throws: "at once",
  /** Everything stands still, then goes on as if nothing had been. */
  stall: "for a while",
  /** Audio takes longer to be heard than it took to be said. */
  slow: "for a while",
  /** Flushes never complete; what was said is told all the same. */
  flushHangs: "for a while",
  /** News of utterances that are long complete, and completions that come twice. */
  repeats: "for a while"
} as const satisfies Readonly<Record<string, "at once" | "for a while">>

export type EngineFault = keyof typeof engineFaults

const isEngineFault = (name: string): name is EngineFault => Object.hasOwn(engineFaults, name)

export const engineFaultNames: ReadonlyArray<EngineFault> = Object.keys(engineFaults).filter(isEngineFault)
