/**
 * Stage: a call with people who speak and people who read, the service in its own process, two engines in theirs, and everything that can
 * be done to them. The same on the real stack and on simulators.
 */
import type { Effect } from "effect"
import type { ProofError } from "../../../test/talk/ProofError.ts"
import type { Engine } from "./Engine.ts"
import type { FaultyProxy } from "./FaultyProxy.ts"
import type { Page } from "./Reading.ts"
import type { Record } from "./Record.ts"
import type { Subject } from "./Subject.ts"

export interface Mouth {
  readonly voice: string
  /** Says the next words; done when the last sound has left, or waits with them while there is nobody to publish to. */
  readonly say: (count: number) => Effect.Effect<void, ProofError>
  readonly republish: Effect.Effect<void, ProofError>
}

/** How packets of a voice travel to the SFU. */
export type Air = "good" | "late" | "twice"

/** A stretch in which nothing of a voice came to the service, ms since 1970. */
export interface Deafness {
  readonly fromMs: number
  /** When the first packet came over a connection that was made after it; undefined: none did. */
  readonly untilMs: number | undefined
}

export interface Stage {
  readonly isReal: boolean
  /** What ran, for the table. */
  readonly about: string
  readonly folder: string
  readonly record: Record
  readonly mouths: ReadonlyArray<Mouth>
  readonly pages: () => ReadonlyArray<Page>
  /** Captions that came to all readers so far. */
  readonly received: () => number
  readonly engines: { readonly primary: Engine; readonly cover: Engine }
  /** In front of the HPB, for the service alone. */
  readonly hpb: FaultyProxy
  /** When the service entered the room, ms since 1970. */
  readonly joins: () => ReadonlyArray<number>
  /**
   * What is broken at `breakMs` and is not mended without the service subscribing again: since when nothing of the voice came to it, and until
   * when. Undefined: its subscription lived on.
   */
  readonly deafness: (voice: string, breakMs: number) => Deafness | undefined
  /** Down for so long; people come back as soon as it answers. Gives when it did, and when the last microphone was published. */
  readonly restartHpb: (
    downMs: number
  ) => Effect.Effect<{ readonly answersMs: number; readonly publishedMs: number }, ProofError>
  readonly restartJanus: (downMs: number) => Effect.Effect<{ readonly publishedMs: number }, ProofError>
  readonly setAir: (voice: string, air: Air) => void
  readonly service: Subject
  /** Everybody who reads asks for captions, as by the button. */
  readonly press: Effect.Effect<void, ProofError>
}
