/**
 * OracleEngine: an engine on the test clock that understands exactly the words it was sent whole, says them in the manner of a family, and
 * fails as it is told.
 */
import { Cause, Deferred, Effect, Latch, Queue, Stream } from "effect"
import { type AudioFrame, msOfSamples, SAMPLE_RATE, samplesOfMs } from "../../../src/domain/Audio.ts"
import type { LanguageId, Languages } from "../../../src/domain/Language.ts"
import type { SpeechEvent } from "../../../src/domain/Speech.ts"
import type { EngineRole } from "../../../src/services/Engines.ts"
import { EngineError, type EngineSession, type SpeechEngine } from "../../../src/services/SpeechEngine.ts"
import type { Dice } from "../Dice.ts"
import type { EngineFault } from "./EngineFaults.ts"
import * as Mouths from "./Mouths.ts"
import * as Sound from "./Sound.ts"
import type { SpokenWord } from "./Utterances.ts"

export interface PlannedFault {
  readonly kind: EngineFault
  readonly atMs: number
  /** 0 for what happens at once. */
  readonly forMs: number
}

export interface EnginePlan {
  readonly name: string
  readonly role: EngineRole
  readonly family: Mouths.Family
  readonly local: boolean
  readonly languages: Languages
  /** How long the first session takes to open; absent for an engine that is warm. */
  readonly coldMs?: number
  readonly openMs: number
  /** From the end of a word to when it is told: of the engine's own clock, and of audio that must come behind it. */
  readonly latencyMs: number
  readonly delayMs: number
  /** Times real time. */
  readonly speed: number
  readonly fasterThanRealtime: boolean
  readonly pieces: boolean
  /** What it shows before it is certain is right; absent: it guesses. */
  readonly steady?: boolean
  readonly hasProgress: boolean
  readonly hasProbe: boolean
  /** Hangs up behind the last words when it was told that no more comes. */
  readonly finishes: boolean
  readonly maxSessionMs?: number
  readonly maxSessions?: number
  readonly faults: ReadonlyArray<PlannedFault>
}

/** What a session has to know of a voice. */
export interface Speaker {
  readonly id: string
  readonly words: ReadonlyArray<SpokenWord>
  readonly unspaced: boolean
}

export interface World {
  readonly speakers: ReadonlyArray<Speaker>
  /** ms since the scenario began. */
  readonly now: () => number
  readonly dice: Dice
  /** Something happened, for the story. */
  readonly note: (what: string) => void
  /** A promise was broken. */
  readonly complain: (what: string) => void
}

/** One session, as seen from behind. */
export interface SessionRecord {
  readonly engine: string
  readonly local: boolean
  readonly language: LanguageId
  readonly index: number
  /** Up to here (samples) it claimed to have told everything and had not: an adapter that cannot tell silence from death. */
  claimedTo: number
  readonly openedMs: number
  closedMs: number | undefined
  /** Index of the speaker, once it was heard. */
  speaker: number | undefined
  /** When it was last sent something. */
  sentMs: number
  samples: number
}

export interface OracleEngine {
  readonly engine: SpeechEngine["Service"]
  readonly sessions: ReadonlyArray<SessionRecord>
  /** Does what happens at once. */
  readonly strike: (kind: EngineFault) => void
}

/** No engine is sent further ahead: 1 s of live audio after a hitch, a slice of a backlog, and what comes with the wait between them. */
const AHEAD_MS = 2_000
/** A client catches up at most at this pace. */
const FASTEST = 4
const EVENT_CAPACITY = 10_000
/** So long behind the last word it could have said a flushed engine without signs of life is waited for; then it is taken for silent (as on Modal). */
const QUIET_MS = 1_200
/** Of what a slow engine takes for each second of sound. */
const SLOWNESS = 1.6

interface OpenSession {
  readonly fail: (reason: EngineError["reason"], detail: string) => void
  readonly deafen: () => void
  readonly breakDown: () => void
}

export const make = (plan: EnginePlan, world: World): OracleEngine => {
  const { dice, now } = world
  const records: Array<SessionRecord> = []
  const open = new Map<SessionRecord, OpenSession>()
  let warmAtMs: number | undefined
  const during = (kind: EngineFault): PlannedFault | undefined =>
    plan.faults.find((fault) => fault.kind === kind && now() >= fault.atMs && now() < fault.atMs + fault.forMs)
  const endOf = ({ atMs, forMs }: PlannedFault) => atMs + forMs

  const admission: Effect.Effect<void, EngineError> = Effect.gen(function* () {
    const refuse = (reason: EngineError["reason"], detail: string) =>
      Effect.andThen(Effect.sleep(dice.between(1, 80)), Effect.fail(new EngineError({ reason, detail })))
    yield* Effect.sleep(plan.openMs)
    if (during("refuse") !== undefined) return yield* refuse("Refused", "401")
    if (during("busy") !== undefined) return yield* refuse("Busy", "503")
    if (during("unreachable") !== undefined) return yield* refuse("Unreachable", "nobody listens")
    if (plan.coldMs !== undefined) {
      warmAtMs ??= now() + plan.coldMs
      if (now() < warmAtMs) yield* Effect.sleep(warmAtMs - now())
    }
    const hanging = during("hang") ?? during("stall")
    if (hanging !== undefined) yield* Effect.sleep(endOf(hanging) - now())
    if (open.size >= (plan.maxSessions ?? Number.POSITIVE_INFINITY))
      return yield* refuse("Busy", "as many as there may be")
  })

  const openSession = Effect.fnUntraced(function* ({ language }: { readonly language: LanguageId }) {
    yield* admission
    const record: SessionRecord = {
      engine: plan.name,
      local: plan.local,
      language,
      index: records.length,
      claimedTo: 0,
      openedMs: now(),
      closedMs: undefined,
      speaker: undefined,
      sentMs: now(),
      samples: 0
    }
    records.push(record)
    const { inside, session, work } = yield* makeSession(plan, world, record, during)
    open.set(record, inside)
    world.note(`${plan.name}#${record.index} opens`)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        open.delete(record)
        record.closedMs = now()
        world.note(`${plan.name}#${record.index} is closed`)
      })
    )
    yield* Effect.forkScoped(work)
    const limits = [
      during("acceptThenClose") === undefined ? [] : [{ afterMs: dice.between(0, 500), reason: "Closed" as const }],
      plan.maxSessionMs === undefined ? [] : [{ afterMs: plan.maxSessionMs, reason: "LimitReached" as const }]
    ].flat()
    for (const { afterMs, reason } of limits)
      yield* Effect.forkScoped(
        Effect.andThen(
          Effect.sleep(afterMs),
          Effect.sync(() => inside.fail(reason, "as planned"))
        )
      )
    return session
  })

  return {
    engine: {
      capabilities: {
        name: plan.name,
        sampleRate: SAMPLE_RATE,
        partials: plan.family === "revising" ? "replace" : "append",
        endOfTurn: plan.family === "keyed" ? "commit" : plan.family === "revising" ? "vad" : "none",
        mark: plan.family === "plain" ? "KnownDelay" : plan.family === "timed" ? "WordTimes" : "Commits",
        wordTimes: plan.family === "timed" || plan.family === "revising",
        confidence: false,
        punctuation: true,
        languages: plan.languages,
        keepAlive: "None",
        ...(plan.maxSessionMs === undefined ? {} : { maxSessionMs: plan.maxSessionMs }),
        ...(plan.maxSessions === undefined ? {} : { maxSessions: plan.maxSessions }),
        fasterThanRealtime: plan.fasterThanRealtime,
        billed: "Audio",
        local: plan.local
      },
      ...(plan.hasProbe ? { probe: admission } : {}),
      open: openSession
    },
    sessions: records,
    strike: (kind) => {
      world.note(`${plan.name}: ${kind}`)
      for (const session of [...open.values()]) strikes[kind]?.(session)
    }
  }
}

const strikes: Readonly<Partial<Record<EngineFault, (session: OpenSession) => void>>> = {
  cut: ({ fail }) => fail("Closed", "1006"),
  closeEarly: ({ fail }) => fail("Closed", "1000"),
  limit: ({ fail }) => fail("LimitReached", "the engine's limit"),
  garbage: ({ fail }) => fail("Protocol", "no message"),
  halfOpen: ({ deafen }) => deafen(),
  throws: ({ breakDown }) => breakDown()
}

const makeSession = Effect.fnUntraced(function* (
  plan: EnginePlan,
  world: World,
  record: SessionRecord,
  during: (kind: EngineFault) => PlannedFault | undefined
) {
  const { dice, now } = world
  const name = `${plan.name}#${record.index}`
  // bounded: 10,000, the newest goes
  const events = yield* Queue.dropping<SpeechEvent, EngineError>(EVENT_CAPACITY)
  const ended = yield* Deferred.make<never, EngineError>()
  const bell = Latch.makeUnsafe(false)
  /** In the order in which they are due. */
  const tasks: Array<{ readonly dueMs: number; readonly run: () => void }> = []
  let isDead = false
  /** Nothing is heard any more; so long until the adapter says so, ms. */
  let noticedMs: number | undefined
  let isBroken = false
  let ear: Sound.Ear | undefined
  let mouth: Mouths.Mouth | undefined
  let words: ReadonlyArray<SpokenWord> = []
  /** End of the last word that was told. */
  let told = 0
  let computed = 0
  let computedSamples = 0
  let busyUntilMs = now()
  let mark = 0
  let aheadMs = 0
  let aheadAtMs = now()
  /** Words that were heard and wait for the audio behind them. */
  let understood: Array<{ readonly word: SpokenWord; readonly atSamples: number }> = []

  const at = (atMs: number, run: () => void) => {
    // as the clock is read: who waits for less than it tells waits for ever
    const dueMs = Math.ceil(atMs * 1000) / 1000
    let place = tasks.length
    while (place > 0 && (tasks[place - 1]?.dueMs ?? 0) > dueMs) place--
    tasks.splice(place, 0, { dueMs, run })
    bell.openUnsafe()
  }
  const emit = (event: SpeechEvent) => {
    if (event._tag === "Marked") {
      if (event.position <= mark) return
      mark = event.position
    }
    Queue.offerUnsafe(events, event)
  }
  const fail = (reason: EngineError["reason"], detail: string) => {
    const error = new EngineError({ reason, detail })
    Queue.failCauseUnsafe(events, Cause.fail(error))
    Deferred.doneUnsafe(ended, Effect.fail(error))
    isDead = true
  }
  const recognise = (frame: AudioFrame) => {
    const voice = Sound.voiceIn(frame)
    if (voice === undefined) return world.complain(`${name} was sent sound that does not belong at ${frame.position}`)
    if (voice < 0) return
    if (record.speaker !== undefined && record.speaker !== voice) return world.complain(`${name} hears two voices`)
    const speaker = world.speakers[voice]
    if (record.speaker !== undefined || speaker === undefined) return
    record.speaker = voice
    words = speaker.words
    world.note(`${name} hears ${speaker.id} from ${seconds(frame.position)}`)
    ear = Sound.makeEar(speaker.words, (what) => world.complain(`${name} ${what}`))
    mouth = Mouths.make(plan.family, {
      emit,
      dice: dice.fork(`${name} speaks`),
      words: speaker.words,
      unspaced: speaker.unspaced,
      pieces: plan.pieces,
      steady: plan.steady === true,
      position: () => computed,
      now,
      later: (ms, run) => at(now() + ms, run),
      repeats: () => during("repeats") !== undefined
    })
  }
  /** Tells words whose time has come; in a flush, all. */
  const speak = (isFlush: boolean) => {
    while (
      understood[0] !== undefined &&
      (isFlush || understood[0].atSamples + samplesOfMs(plan.delayMs) <= computedSamples)
    ) {
      const { word } = understood[0]
      understood = understood.slice(1)
      told = word.to
      mouth?.say(word)
    }
  }
  const keepPace = (frame: AudioFrame) => {
    aheadMs = Math.max(0, aheadMs - (now() - aheadAtMs) * (plan.fasterThanRealtime ? FASTEST : 1))
    aheadAtMs = now()
    aheadMs += msOfSamples(frame.pcm.length)
    if (aheadMs > AHEAD_MS) {
      world.complain(`${name} is sent ${Math.round(aheadMs)} ms more than it can take`)
      aheadMs = 0
    }
  }
  const send = (frame: AudioFrame) => {
    if (isBroken) throw new Error("as planned")
    if (record.closedMs !== undefined) world.complain(`${name} is sent audio behind its end`)
    record.sentMs = now()
    record.samples += frame.pcm.length
    keepPace(frame)
    recognise(frame)
    if (ear === undefined || mouth === undefined) return
    const gap = frame.position - ear.position()
    const heard = ear.hear(frame)
    const end = ear.position()
    const costMs = msOfSamples(frame.pcm.length) * (during("slow") === undefined ? 1 / plan.speed : SLOWNESS)
    busyUntilMs = Math.max(now(), busyUntilMs) + costMs
    at(busyUntilMs + plan.latencyMs, () => {
      if (gap > samplesOfMs(300)) {
        speak(true)
        mouth?.pause()
      }
      computed = end
      computedSamples += frame.pcm.length
      understood.push(...heard.map((word) => ({ word, atSamples: computedSamples })))
      speak(false)
    })
  }
  const flush = Effect.suspend(() => {
    const done = Deferred.makeUnsafe<void>()
    const position = ear?.position() ?? 0
    busyUntilMs = Math.max(now(), busyUntilMs)
    at(busyUntilMs + plan.latencyMs, () => {
      speak(true)
      const hangs = during("flushHangs") !== undefined
      const complete = () => {
        if (!hangs) Deferred.doneUnsafe(done, Effect.void)
      }
      if (mouth === undefined) complete()
      else mouth.flush(position, complete)
    })
    const claimed = Effect.sync(() => {
      if (words.some(({ to }) => to > told && to <= position)) record.claimedTo = Math.max(record.claimedTo, position)
    })
    const completed =
      plan.family === "plain"
        ? Effect.timeoutOrElse(Deferred.await(done), {
            duration: busyUntilMs - now() + plan.latencyMs + plan.delayMs + QUIET_MS,
            orElse: () => claimed
          })
        : Deferred.await(done)
    return Effect.raceFirst(completed, Deferred.await(ended))
  })
  const work = Effect.gen(function* () {
    for (;;) {
      const [task] = tasks
      const stalled = during("stall")
      if (isDead) return
      if (noticedMs !== undefined) {
        yield* Effect.sleep(noticedMs)
        return fail("Silent", "no pong")
      }
      if (task === undefined) {
        yield* bell.close
        yield* bell.await
      } else if (stalled !== undefined) yield* Effect.sleep(stalled.atMs + stalled.forMs - now())
      else if (task.dueMs > now()) {
        yield* bell.close
        yield* Effect.timeoutOption(bell.await, task.dueMs - now())
      } else {
        tasks.shift()
        task.run()
      }
    }
  })
  const finish = flush.pipe(Effect.andThen(Effect.sync(() => fail("Closed", "goodbye"))))
  const session: EngineSession = {
    send,
    commit: Effect.void,
    flush,
    ...(plan.finishes ? { finish } : {}),
    events: Stream.fromQueue(events),
    mark: () => mark,
    ...(plan.hasProgress ? { progress: () => computed } : {})
  }
  const inside: OpenSession = {
    fail,
    deafen: () => {
      // some adapters notice, long after the Transcriber should have
      noticedMs = dice.chance(0.5) ? dice.between(8_000, 20_000) : Number.POSITIVE_INFINITY
      bell.openUnsafe()
    },
    breakDown: () => {
      isBroken = true
    }
  }
  return { session, work, inside }
})

const seconds = (samples: number): string => `${(msOfSamples(samples) / 1000).toFixed(2)} s`
