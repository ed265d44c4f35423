/**
 * A whole call on the test clock under random faults: the real call with its voices, transcriber and sink, between a scripted HPB with the
 * pages of its readers, publishers whose packets are counted, and an engine that understands the words that come to it whole.
 */
import { Context, Effect, Layer, Metric, Queue, Random, References, type Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { participant } from "../../src/domain/Call.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import { emptyRoster } from "../../src/domain/Roster.ts"
import * as ConfiguredEngines from "../../src/layers/ConfiguredEngines.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as InProcessCalls from "../../src/layers/InProcessCalls.ts"
import { monotonicMs } from "../../src/layers/Monotonic.ts"
import * as NoNextcloud from "../../src/layers/NoNextcloud.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import * as TalkTranscriptSink from "../../src/layers/TalkTranscriptSink.ts"
import { Calls } from "../../src/services/Calls.ts"
import { Signaling, type SignalingEvent, type SignalingSession } from "../../src/services/Signaling.ts"
import * as Dice from "../../tools/chaos/Dice.ts"
import * as Utterances from "../../tools/chaos/deterministic/Utterances.ts"
import * as Judge from "../../tools/chaos/Judge.ts"
import * as CountedSound from "./CountedSound.ts"
import * as ScriptedSession from "./ScriptedSession.ts"

/** What happens to the call, with what it is called in the story. */
export const callFaults = [
  "socket dropped and resumed",
  "HPB restarted",
  "Janus restarted",
  "published anew, announced",
  "published anew, unannounced",
  "left and joined again",
  "viewer reloads",
  "engine session cut",
  "nothing"
] as const
export type CallFault = (typeof callFaults)[number]

export interface CallOutcome {
  readonly seed: number
  readonly faults: ReadonlyArray<CallFault>
  readonly words: number
  /** Words that nobody could hear. */
  readonly unheard: number
  readonly complaints: ReadonlyArray<string>
  readonly story: ReadonlyArray<string>
}

const STEP_MS = 40
const SPEECH_MS = 12_000
/** After the last word: what has broken is mended, what was said is read. */
const AFTERWARDS_MS = 12_000

/** Plays the call of a seed; nothing of it outlives it. */
export const play = (seed: number): Effect.Effect<CallOutcome> =>
  Effect.scoped(scene(seed)).pipe(
    Random.withSeed(`call ${seed}`),
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.provide(TestClock.layer())
  )

const scene = Effect.fnUntraced(function* (seed: number): Effect.fn.Return<CallOutcome, never, Scope.Scope> {
  const now = yield* monotonicMs
  const dice = Dice.make(seed)
  const story: Array<string> = []
  const note = (what: string) => story.push(`${(now() / 1000).toFixed(2).padStart(7)} ${what}`)
  const canReachCall = dice.chance(0.5)
  const confirmMs = dice.between(1, 40)
  const scripted = ScriptedSession.make({ now, canReachCall, confirmMs })
  // a test's own queue: as many as there are
  const events = yield* Queue.unbounded<SignalingEvent>()
  const tell = (event: SignalingEvent) => Queue.offerUnsafe(events, event)
  const tellJoined = (again: boolean) => tell({ _tag: "Joined", roster: emptyRoster, again })
  const tellRoster = () => tell({ _tag: "RosterChanged", roster: scripted.session.roster() })
  const names = ["ada", "bob", "cyd"].slice(0, dice.between(1, 3))
  const sounds = CountedSound.make(
    names.map((name) => ({
      name,
      stretches: Utterances.make(
        dice.fork(name),
        { soundMs: SPEECH_MS, unspaced: false, noise: 0, pauses: [300, 2_500] },
        dice.between(2_000, 4_000)
      )
    }))
  )
  let generation = 0
  const sessionOf = (name: string) => ScriptedSession.id(generation === 0 ? name : `${name}#${generation}`)
  const later = (ms: number, run: () => void) => timers.push({ atMs: now() + ms, run })
  let timers: Array<{ readonly atMs: number; readonly run: () => void }> = []
  let isMediaUp = true

  const session: SignalingSession = {
    ...scripted.session,
    events: Stream.fromQueue(events),
    requestOffer: (voice) => {
      const name = names.find((one) => sessionOf(one) === voice.publisher)
      later(60, () => {
        const publisher = name === undefined ? undefined : sounds.publisher(name)
        if (publisher === undefined || !isMediaUp)
          return tell({ _tag: "RequestFailed", voice, code: "client_not_found" })
        tell({ _tag: "Offered", voice, sid: `${now()}`, sdp: publisher.sdp() })
      })
    }
  }
  const engine = ScriptedEngine.layer({ onFrame: sounds.hear })
  const layer = InProcessCalls.layer().pipe(
    Layer.provide([
      Layer.succeed(Signaling, { join: () => Effect.succeed(session), refusal: () => undefined }),
      EngineTranscriber.layer.pipe(Layer.provide(ConfiguredEngines.single), Layer.provide(engine)),
      TalkTranscriptSink.layer(),
      sounds.peers,
      sounds.decoder,
      NoNextcloud.layer
    ])
  )
  const built = yield* Layer.build(Layer.mergeAll(layer, engine))
  const calls = Context.get(built, Calls)
  const scriptedEngine = Context.get(built, ScriptedEngine.ScriptedEngine)
  const { room } = session
  const readers = ["vera", "wim"].slice(0, dice.between(1, 2))
  const ask = (name: string) =>
    calls.start({ room, viewer: participant(ScriptedSession.nextcloudId(name)), language: defaultLanguage })

  scripted.join(...readers.map((name) => ScriptedSession.person(name, { inCall: 1 })))
  scripted.join(...names.map((name) => ScriptedSession.person(name)))
  for (const name of readers) yield* ask(name)
  tellJoined(false)
  tellRoster()

  /** From when on each reader's page is judged. */
  const readsFromMs = new Map(readers.map((name) => [name, 0]))
  const strikes: Readonly<Record<CallFault, (name: string) => Effect.Effect<void, never, Scope.Scope>>> = {
    nothing: () => Effect.void,
    "socket dropped and resumed": () =>
      Effect.sync(() => {
        scripted.drop()
        tell({ _tag: "Dropped" })
        later(dice.between(200, 6_000), () => {
          scripted.comeBack()
          tell({ _tag: "Resumed" })
        })
      }),
    "HPB restarted": () =>
      Effect.sync(() => {
        scripted.drop()
        tell({ _tag: "Dropped" })
        isMediaUp = false
        sounds.publishAnew(...names)
        later(dice.between(500, 6_000), () => {
          generation += 1
          isMediaUp = true
          scripted.renew(generation)
          scripted.comeBack()
          tellJoined(true)
          tellRoster()
        })
      }),
    "Janus restarted": () =>
      Effect.sync(() => {
        isMediaUp = false
        sounds.publishAnew(...names)
        later(dice.between(300, 3_000), () => {
          isMediaUp = true
        })
      }),
    "published anew, announced": (name) =>
      Effect.sync(() => {
        sounds.publishAnew(name)
        const publisher = sounds.publisher(name)
        if (publisher !== undefined && scripted.session.state()._tag === "Joined")
          tell({
            _tag: "Offered",
            voice: { publisher: sessionOf(name), roomType: "video" },
            sid: `${now()}`,
            sdp: publisher.sdp()
          })
      }),
    "published anew, unannounced": (name) => Effect.sync(() => sounds.publishAnew(name)),
    "left and joined again": (name) =>
      Effect.gen(function* () {
        const session = sessionOf(name)
        const before = scripted.session.roster().participants.get(session)
        if (before === undefined || scripted.session.state()._tag !== "Joined") return
        scripted.disappear(session)
        sounds.publishAnew(name)
        // we are told behind the answers to what the HPB read before
        yield* Effect.sleep(confirmMs + 0.5).pipe(
          Effect.andThen(
            Effect.sync(() => {
              scripted.leave(session)
              tellRoster()
            })
          ),
          Effect.forkScoped
        )
        later(dice.between(50, 1_500), () => {
          if (sessionOf(name) !== session) return
          scripted.join(before)
          tellRoster()
        })
      }),
    "viewer reloads": () =>
      Effect.gen(function* () {
        const name = readers[0] ?? ""
        // the page that comes has another session of Nextcloud, and asks when it is there
        const next = `${name}${now()}`
        readers[0] = next
        readsFromMs.delete(name)
        readsFromMs.set(next, now() + 300)
        yield* calls.stop(room, participant(ScriptedSession.nextcloudId(name)))
        scripted.leave(generation === 0 ? name : `${name}#${generation}`)
        scripted.join(ScriptedSession.person(next, { session: sessionOf(next), inCall: 1 }))
        tellRoster()
        yield* ask(next)
      }),
    "engine session cut": () =>
      Effect.sync(() => {
        for (const one of scriptedEngine.sessions()) if (!one.closed()) one.fail("Closed")
      })
  }
  const endMs = sounds.endMs()
  const planned = Array.from({ length: dice.between(1, 3) }, () => ({
    kind: dice.pick(callFaults),
    atMs: dice.between(3_000, Math.round(endMs)),
    name: dice.pick(names)
  })).toSorted((one, other) => one.atMs - other.atMs)
  let struck = 0
  for (let atMs = 0; atMs < endMs + AFTERWARDS_MS; atMs += STEP_MS) {
    yield* TestClock.adjust(STEP_MS)
    const due = timers.filter((one) => one.atMs <= now())
    timers = timers.filter((one) => one.atMs > now())
    for (const { run } of due) run()
    for (let fault = planned[struck]; fault !== undefined && fault.atMs <= atMs; fault = planned[++struck]) {
      note(`${fault.kind} (${fault.name})`)
      yield* strikes[fault.kind](fault.name)
    }
    if (isMediaUp) sounds.send(STEP_MS)
    else sounds.skip(STEP_MS)
  }
  yield* calls.endAll
  yield* TestClock.adjust(15_000)

  const complaints = readers.flatMap((reader) =>
    names.flatMap((name) => {
      const page = scripted.page(reader)
      const text = page
        .blocks()
        .flatMap((block) => (block.speaker.replace(/#.*/, "") === name ? [block.text] : []))
        .join(" ")
      const from = readsFromMs.get(reader) ?? 0
      const said = sounds
        .said(name)
        .map(
          (word): Judge.Said =>
            word.isHeard && word.fromMs >= from ? { word: word.word } : { word: word.word, optional: true }
        )
      const verdict = Judge.judge(said, Judge.wordsOf(text))
      return Judge.isClean(verdict) ? [] : [`${name} read by ${reader}: ${Judge.complaint(verdict)}`]
    })
  )
  const left = scriptedEngine.sessions().filter((one) => !one.closed()).length
  const all = names.flatMap((name) => sounds.said(name))
  return {
    seed,
    faults: planned.map(({ kind }) => kind),
    words: all.length,
    unheard: all.filter(({ isHeard }) => !isHeard).length,
    complaints: left === 0 ? complaints : [...complaints, `${left} engine sessions are left`],
    story: [
      ...story,
      ...names.map(
        (name) =>
          `${name} said ${sounds
            .said(name)
            .map((word) => `${word.word}${word.isHeard ? "" : "?"}@${(word.fromMs / 1000).toFixed(1)}`)
            .join(" ")}`
      ),
      ...readers.map((reader) => `${reader} reads ${scripted.page(reader).text()}`)
    ]
  }
})
