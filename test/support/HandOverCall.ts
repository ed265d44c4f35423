/**
 * A call on the test clock that goes from runner to runner: the real calls with their fences, between one scripted HPB with the pages of its
 * readers, publishers whose packets all runners get, and engines that understand the words that come to them whole.
 */
import {
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  FiberSet,
  Latch,
  Layer,
  Metric,
  Queue,
  Random,
  Redacted,
  References,
  Schema,
  Scope,
  Stream
} from "effect"
import { TestClock } from "effect/testing"
import { participant, type SessionId } from "../../src/domain/Call.ts"
import * as HandOver from "../../src/domain/HandOver.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import { Incarnation, type Rank } from "../../src/domain/Seat.ts"
import * as CallIntents from "../../src/layers/CallIntents.ts"
import { type Answer, HandOverRefused, type RunningCall } from "../../src/layers/CallSeat.ts"
import * as ConfiguredEngines from "../../src/layers/ConfiguredEngines.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as JournalBook from "../../src/layers/JournalBook.ts"
import * as JournalEntries from "../../src/layers/JournalEntries.ts"
import * as LeftSpeech from "../../src/layers/LeftSpeech.ts"
import { monotonicMs } from "../../src/layers/Monotonic.ts"
import * as NoNextcloud from "../../src/layers/NoNextcloud.ts"
import * as RoomFence from "../../src/layers/RoomFence.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import * as TalkCall from "../../src/layers/TalkCall.ts"
import * as TalkTranscriptSink from "../../src/layers/TalkTranscriptSink.ts"
import { PeerConnection, type RtpPacket } from "../../src/services/PeerConnection.ts"
import { Signaling, type SignalingEvent, type SignalingSession } from "../../src/services/Signaling.ts"
import { SpeechJournal } from "../../src/services/SpeechJournal.ts"
import * as Dice from "../../tools/chaos/Dice.ts"
import * as Utterances from "../../tools/chaos/deterministic/Utterances.ts"
import * as Judge from "../../tools/chaos/Judge.ts"
import * as CountedSound from "./CountedSound.ts"
import * as ScriptedSession from "./ScriptedSession.ts"

/** What happens while the call is handed over. */
export const handOverFaults = [
  "nothing",
  "the engine's sessions are cut",
  "the HPB is cut from who gives",
  "who takes dies before it asks",
  "who takes dies with what it was given",
  "the answer is lost",
  "who gives dies when it has given",
  "who gives dies before it is asked"
] as const
export type HandOverFault = (typeof handOverFaults)[number]

export interface HandOverOutcome {
  readonly seed: number
  readonly faults: ReadonlyArray<HandOverFault>
  /** Hand-overs that came to something. */
  readonly moved: number
  readonly words: number
  /** Words that nobody had to say. */
  readonly excused: number
  readonly complaints: ReadonlyArray<string>
  readonly story: ReadonlyArray<string>
}

interface Runner {
  readonly name: string
  readonly rank: Rank
  readonly engine: ScriptedEngine.ScriptedEngine["Service"]
  readonly tell: (event: SignalingEvent) => void
  readonly cut: () => void
  readonly comeBack: () => void
  /** The process is gone: what it does reaches nobody. */
  readonly kill: () => void
  running: RunningCall | undefined
  isDead: boolean
  isOver: boolean
}

interface Place {
  readonly runner: Runner
  readonly fence: RoomFence.RoomFence
  readonly receive: (run: () => void) => void
}

const STEP_MS = 20
const SPEECH_MS = 14_000
const AFTERWARDS_MS = 16_000
const secret = Redacted.make("the secret of services")
const wire = Schema.fromJsonString(HandOver.Left)

/** Plays the call of a seed; nothing of it outlives it. */
export const play = (
  seed: number,
  faults: ReadonlyArray<HandOverFault> = handOverFaults
): Effect.Effect<HandOverOutcome> =>
  Effect.scoped(scene(seed, faults)).pipe(
    Random.withSeed(`hand-over ${seed}`),
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.provide(TestClock.layer())
  )

const scene = Effect.fnUntraced(function* (
  seed: number,
  possible: ReadonlyArray<HandOverFault>
): Effect.fn.Return<HandOverOutcome, never, Scope.Scope> {
  const now = yield* monotonicMs
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const dice = Dice.make(seed)
  const story: Array<string> = []
  const note = (what: string) => story.push(`${(now() / 1000).toFixed(3).padStart(8)} ${what}`)
  const complaints = new Set<string>()
  const confirmMs = dice.between(1, 30)
  const scripted = ScriptedSession.make({ now, canReachCall: dice.chance(0.5), confirmMs })
  const { room } = scripted.session
  const names = ["ada", "bob", "cyd"].slice(0, dice.between(1, 3))
  const readers = ["vera", "wim"].slice(0, dice.between(1, 2))
  const sounds = CountedSound.make(
    names.map((name) => ({
      name,
      stretches: Utterances.make(
        dice.fork(name),
        { soundMs: SPEECH_MS, unspaced: false, noise: 0, pauses: [100, 1_500] },
        dice.between(1_500, 2_500)
      )
    }))
  )
  const peers = Context.get(yield* Layer.build(sounds.peers), PeerConnection)
  scripted.join(...readers.map((name) => ScriptedSession.person(name, { inCall: 1 })))
  scripted.join(...names.map((name) => ScriptedSession.person(name)))
  const later = (ms: number, run: () => void) => fork(Effect.delay(Effect.sync(run), ms))

  /** By publisher: packets that came to somebody who was alive. */
  const came = new Map(names.map((name) => [name, new Set<number>()]))
  /** What each runner's journal has, as if on a disk. */
  const disk = new Map<string, Array<Uint8Array>>()
  /** Sessions of ours in the room; of one that died its session stays. */
  const places = new Map<SessionId, Place>()
  const rosterOf = (self: SessionId) => {
    const participants = new Map(scripted.session.roster().participants)
    for (const session of places.keys()) {
      participants.set(session, { session, inCall: 0, internal: true, virtual: false })
    }
    return { self, participants }
  }
  const tellRoster = () => {
    for (const [self, { fence, runner }] of places) {
      fence.follow()
      runner.tell({ _tag: "RosterChanged", roster: rosterOf(self) })
    }
  }
  /** Captions of one runner while another may send some too. */
  const judgeRivals = (speaking: Runner) => {
    for (const { fence, runner } of places.values()) {
      if (runner === speaking || runner.isDead || fence.isMuted()) continue
      complaints.add(`${speaking.name} captions while ${runner.name} may`)
    }
  }

  const intents = CallIntents.make(room, defaultLanguage)
  for (const name of readers) {
    const viewer = participant(ScriptedSession.nextcloudId(name))
    intents.add({ room, viewer, language: defaultLanguage }, undefined)
  }

  const runners: Array<Runner> = []
  const journalOf = (incarnation: string): SpeechJournal => {
    const filled = Latch.makeUnsafe(false)
    const urgent = Latch.makeUnsafe(false)
    const book = JournalBook.make((isUrgent) => {
      filled.openUnsafe()
      if (isUrgent) urgent.openUnsafe()
    })
    const batches: Array<Uint8Array> = []
    disk.set(incarnation, batches)
    const isDead = () => runners.find(({ rank }) => rank.incarnation === incarnation)?.isDead === true
    const write = Effect.gen(function* () {
      yield* filled.await
      yield* Effect.timeoutOption(urgent.await, "40 millis")
      yield* Effect.yieldNow
      filled.closeUnsafe()
      urgent.closeUnsafe()
      if (!isDead()) batches.push(Uint8Array.from(book.take()))
    })
    return {
      open: (of) => Effect.as(Effect.forkScoped(Effect.forever(write)), book.call(of)),
      find: (_, before) =>
        Effect.sync(() => {
          const left = LeftSpeech.make()
          for (const batch of disk.get(before ?? "") ?? [])
            for (const entry of JournalEntries.read(batch)) left.take(entry)
          if (runners.some(({ isDead, rank }) => isDead && rank.incarnation === before)) book.restore(left.rooms())
        })
    }
  }
  const launch = Effect.fnUntraced(function* (giver?: Runner, asks?: (taker: Runner) => Effect.Effect<Answer>) {
    const index = runners.length
    const self = ScriptedSession.id(`runner-${index}`)
    // a test's own queue: as many as there are
    const events = yield* Queue.unbounded<SignalingEvent>()
    const missed: Array<() => void> = []
    const delayMs = dice.pick([0, 0, 20, 50])
    const shift = {
      number: dice.between(0, 60_000),
      ticks: 2 * dice.between(0, 1_000_000_000),
      ssrc: dice.between(0, 99)
    }
    let cut: Deferred.Deferred<void> | undefined
    let back = Deferred.makeUnsafe<void>()
    let marked: number | undefined
    const engines = ScriptedEngine.layer({ onFrame: sounds.hear })
    const confirm = Effect.suspend(() => {
      if (cut !== undefined) return Effect.succeed(false)
      const lost = Effect.as(Deferred.await(back), false)
      return Effect.timeoutOrElse(lost, { duration: confirmMs, orElse: () => Effect.succeed(true) })
    })
    /** The HPB keeps what comes for a session without a socket. */
    const receive = (run: () => void) => {
      if (cut === undefined) run()
      else missed.push(run)
    }

    const join = Effect.fnUntraced(function* (rank: () => Rank | undefined) {
      const fence = yield* RoomFence.make(
        { rank, secret },
        {
          room,
          roster: () => rosterOf(self),
          sender: {
            rank: (to, message) => {
              if (cut !== undefined || runner.isDead) return false
              // one in ten is lost on its way
              const isLost = dice.chance(0.1)
              later(dice.between(1, 8), () => {
                const place = places.get(to)
                if (isLost || place === undefined || place.runner.isDead) return
                place.receive(() => place.fence.take(self, message))
              })
              return true
            },
            roundTrip: confirm
          },
          onOutranked: (by) => {
            note(`${runner.name} is outranked`)
            runner.tell({ _tag: "Outranked", by })
          }
        }
      )
      if (fence === undefined) return yield* Effect.die("a fence was asked for")
      const session: SignalingSession = {
        ...scripted.session,
        fence,
        events: Stream.fromQueue(events),
        roster: () => rosterOf(self),
        state: () => ({ _tag: cut === undefined ? "Joined" : "Dropped" }),
        confirm,
        mark: (number) => {
          if (cut === undefined) marked = number
        },
        recall: Effect.delay(
          Effect.sync(() => marked),
          dice.between(1, 40)
        ),
        requestOffer: (voice) => {
          later(60, () => {
            const publisher = sounds.publisher(voice.publisher)
            if (publisher !== undefined)
              receive(() => runner.tell({ _tag: "Offered", voice, sid: `${now()}`, sdp: publisher.sdp() }))
          })
        },
        sendTranscript: (to, transcript) => {
          if (runner.isDead) return true
          if (cut !== undefined || fence.isMuted()) return false
          judgeRivals(runner)
          note(
            `  ${runner.name} says of ${transcript.speakerSessionId} "${transcript.message}"${transcript.final ? "." : ""}`
          )
          return scripted.session.sendTranscript(to, transcript)
        }
      }
      places.set(self, { runner, fence, receive })
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          if (runner.isDead) return
          places.delete(self)
          tellRoster()
        })
      )
      fence.doubt()
      runner.tell({ _tag: "Joined", self, again: false })
      tellRoster()
      return session
    })

    const scope = yield* Scope.make()
    const built = yield* Layer.build(
      Layer.mergeAll(
        Layer.succeed(Signaling, { join: (_, rank) => join(rank ?? (() => undefined)), refusal: () => undefined }),
        EngineTranscriber.layer.pipe(Layer.provide(ConfiguredEngines.single), Layer.provide(engines)),
        engines,
        TalkTranscriptSink.layer(),
        Layer.succeed(PeerConnection, {
          open: (options) =>
            peers.open({
              ...options,
              onPacket: (packet) => {
                if (runner.isDead) return
                const view = new DataView(packet.payload.buffer, packet.payload.byteOffset)
                came.get(names[view.getUint32(0)] ?? "")?.add(view.getUint32(4))
                const own: RtpPacket = {
                  sequenceNumber: (packet.sequenceNumber + shift.number) & 0xffff,
                  timestamp: (packet.timestamp + shift.ticks) >>> 0,
                  ssrc: packet.ssrc + shift.ssrc,
                  payload: packet.payload
                }
                if (delayMs === 0) options.onPacket(own)
                else later(delayMs, () => options.onPacket(own))
              }
            })
        }),
        sounds.decoder,
        NoNextcloud.layer,
        Layer.succeed(SpeechJournal, journalOf(`i${index}`))
      )
    ).pipe(Scope.provide(scope))
    const runner: Runner = {
      name: `runner ${index}`,
      rank: { epoch: index + 1, incarnation: Incarnation.make(`i${index}`) },
      engine: Context.get(built, ScriptedEngine.ScriptedEngine),
      tell: (event) => {
        if (!runner.isDead) receive(() => Queue.offerUnsafe(events, event))
      },
      cut: () => {
        runner.tell({ _tag: "Dropped" })
        cut = Deferred.makeUnsafe()
        Deferred.doneUnsafe(back, Effect.void)
      },
      comeBack: () => {
        cut = undefined
        back = Deferred.makeUnsafe()
        places.get(self)?.fence.doubt()
        runner.tell({ _tag: "Resumed" })
        for (const run of missed.splice(0)) run()
      },
      kill: () => {
        note(`${runner.name} dies`)
        runner.isDead = true
        runner.isOver = true
        fiber.interruptUnsafe()
      },
      running: undefined,
      isDead: false,
      isOver: false
    }
    runners.push(runner)
    const program = yield* TalkCall.make(TalkCall.defaultOptions).pipe(Effect.provideContext(built))
    const call = program(intents, {
      report: () => {},
      heardElsewhere: () => 0,
      seat: {
        rank: runner.rank,
        onOutranked: () => {},
        onRunning: (running) => {
          runner.running = running
        },
        ...(giver === undefined ? {} : { before: giver.rank.incarnation }),
        ...(asks === undefined ? {} : { takeOver: { ask: Effect.suspend(() => asks(runner)) } })
      }
    })
    const ended = Effect.sync(() => {
      note(`${runner.name} is over`)
      runner.isOver = true
    })
    const fiber = yield* Effect.forkScoped(
      call.pipe(Effect.ensuring(ended), Effect.ensuring(Scope.close(scope, Exit.void)))
    )
    note(`${runner.name} begins, ${delayMs} ms behind`)
    return { runner, fiber }
  })

  const askOf =
    (giver: Runner, fault: HandOverFault) =>
    (taker: Runner): Effect.Effect<Answer> => {
      const give = Effect.suspend(() =>
        giver.running === undefined || giver.isDead
          ? Effect.fail(new HandOverRefused({ reason: "Over" }))
          : giver.running.handOver
      ).pipe(
        Effect.tap((left) =>
          Effect.sync(() =>
            note(
              `${giver.name} gives ${left.voices.map(({ id, position, said }) => `${id} from ${(position / 24_000).toFixed(2)} "${said}"`)}; ${JSON.stringify(left.unsaid)}`
            )
          )
        ),
        Effect.map(
          (left): Answer => ({
            _tag: "Given",
            left: Schema.decodeSync(wire)(Schema.encodeSync(wire)(left))
          })
        ),
        Effect.catch((refused) => {
          note(`refused: ${refused.reason}`)
          return Effect.succeed<Answer>({ _tag: "Stays" })
        }),
        Effect.delay(dice.between(0, 30)),
        Effect.tap(() => Effect.sleep(dice.between(0, 30)))
      )
      switch (fault) {
        case "who gives dies before it is asked":
          giver.kill()
          return Effect.delay(Effect.succeed<Answer>({ _tag: "Gone" }), dice.between(0, 500))
        case "who takes dies before it asks":
          return Effect.andThen(Effect.sync(taker.kill), Effect.never)
        case "who takes dies with what it was given":
          return Effect.andThen(give, Effect.andThen(Effect.sync(taker.kill), Effect.never))
        case "the answer is lost":
          return Effect.andThen(give, Effect.never)
        case "who gives dies when it has given":
          return Effect.tap(give, ({ _tag }) => Effect.sync(() => (_tag === "Given" ? giver.kill() : undefined)))
        default:
          return give
      }
    }

  const faults: Array<HandOverFault> = []
  let moved = 0
  const { runner: first } = yield* launch()
  const journey = Effect.gen(function* () {
    let current = first
    const count = dice.between(2, 5)
    for (let nth = 0; nth < count; nth++) {
      yield* Effect.sleep(dice.between(nth === 0 ? 1_500 : 400, 3_000) + dice.between(0, 19))
      if (now() > sounds.endMs()) return
      const fault = dice.pick(possible)
      faults.push(fault)
      note(`hand-over of ${current.name}: ${fault}`)
      const giver = current
      if (fault === "the engine's sessions are cut") {
        later(dice.between(300, 700), () => {
          for (const one of giver.engine.sessions()) if (!one.closed()) one.fail("Closed")
        })
      }
      if (fault === "the HPB is cut from who gives") {
        later(dice.between(300, 600), () => {
          note(`${giver.name} is cut`)
          giver.cut()
          later(dice.between(100, 3_000), () => {
            note(`${giver.name} is back`)
            giver.comeBack()
          })
        })
      }
      const { runner: taker } = yield* launch(giver, askOf(giver, fault))
      while (!giver.isOver && !taker.isOver) yield* Effect.sleep(STEP_MS)
      if (giver.isOver) moved++
      current = giver.isOver ? taker : giver
    }
  })
  const travelling = yield* Effect.forkScoped(journey)
  const endMs = sounds.endMs()
  for (let atMs = 0; atMs < endMs + AFTERWARDS_MS; atMs += STEP_MS) {
    const partMs = dice.between(1, STEP_MS - 1)
    yield* TestClock.adjust(partMs)
    sounds.send(STEP_MS)
    yield* TestClock.adjust(STEP_MS - partMs)
  }
  yield* Fiber.interrupt(travelling)
  intents.clear()
  yield* TestClock.adjust(15_000)

  const alive = runners.filter(({ isOver }) => !isOver)
  if (alive.length > 0) complaints.add(`${alive.map(({ name }) => name).join(", ")} did not end`)
  const saidBy = (name: string) =>
    sounds.said(name).map(({ packets: [from, to], word }): Judge.Said => {
      const isMissed = Array.from({ length: to - from }, (_, n) => from + n).some(
        (n) => came.get(name)?.has(n) !== true
      )
      return isMissed ? { word, optional: true } : { word }
    })
  for (const reader of readers)
    for (const name of names) {
      const text = scripted
        .page(reader)
        .blocks()
        .flatMap((block) => (block.speaker === name ? [block.text] : []))
        .join(" ")
      const verdict = Judge.judge(saidBy(name), Judge.wordsOf(text))
      if (!Judge.isClean(verdict)) complaints.add(`${name} read by ${reader}: ${Judge.complaint(verdict)}`)
    }
  const said = names.flatMap(saidBy)
  return {
    seed,
    faults,
    moved,
    words: said.length,
    excused: said.filter(({ optional }) => optional === true).length,
    complaints: [...complaints],
    story: [
      ...story,
      ...names.map(
        (name) =>
          `${name} said ${sounds
            .said(name)
            .map(({ fromMs, word }) => `${word}@${(fromMs / 1000).toFixed(2)}`)
            .join(" ")}`
      ),
      ...readers.map((reader) => `${reader} reads ${scripted.page(reader).text()}`)
    ]
  }
})
