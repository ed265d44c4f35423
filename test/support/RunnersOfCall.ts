/**
 * Runners of one call on the test clock: each with the real call, its fence, its engine and its journal, at a scripted HPB that all share.
 */
import { Context, Deferred, Effect, Exit, Layer, Queue, Redacted, Scope, Stream } from "effect"
import type { SessionId } from "../../src/domain/Call.ts"
import { emptyRoster } from "../../src/domain/Roster.ts"
import { Incarnation, type Rank } from "../../src/domain/Seat.ts"
import type * as CallIntents from "../../src/layers/CallIntents.ts"
import type { CallParts } from "../../src/layers/CallPart.ts"
import type { Answer, RunningCall } from "../../src/layers/CallSeat.ts"
import * as ConfiguredEngines from "../../src/layers/ConfiguredEngines.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as NoNextcloud from "../../src/layers/NoNextcloud.ts"
import * as RoomFence from "../../src/layers/RoomFence.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import * as TalkCall from "../../src/layers/TalkCall.ts"
import * as TalkTranscriptSink from "../../src/layers/TalkTranscriptSink.ts"
import { PeerConnection, type RtpPacket } from "../../src/services/PeerConnection.ts"
import { Signaling, type SignalingEvent, type SignalingSession } from "../../src/services/Signaling.ts"
import { SpeechJournal } from "../../src/services/SpeechJournal.ts"
import type * as Dice from "../../tools/chaos/Dice.ts"
import type * as CountedSound from "./CountedSound.ts"
import * as RunnersDisk from "./RunnersDisk.ts"
import * as ScriptedSession from "./ScriptedSession.ts"

export interface Runner {
  readonly name: string
  readonly rank: Rank
  readonly engine: ScriptedEngine.ScriptedEngine["Service"]
  readonly tell: (event: SignalingEvent) => void
  readonly cut: () => void
  readonly comeBack: () => void
  /** The process is gone: what it does reaches nobody. */
  readonly kill: () => void
  running: RunningCall | undefined
  /** Another is about to take its call. */
  isGoing: boolean
  status: TalkCall.ReadStatus | undefined
  isDead: boolean
  isOver: boolean
}

export interface Place {
  readonly runner: Runner
  readonly fence: RoomFence.RoomFence
  readonly receive: (run: () => void) => void
}

/** What all runners of a call share. */
export interface World {
  readonly now: () => number
  readonly dice: Dice.Dice
  readonly note: (what: string) => void
  /** Runs it after so many ms. */
  readonly later: (ms: number, run: () => void) => void
  readonly scripted: ScriptedSession.ScriptedSession
  readonly confirmMs: number
  readonly names: ReadonlyArray<string>
  readonly sounds: ReturnType<typeof CountedSound.make>
  readonly peers: PeerConnection["Service"]
  /** By publisher: packets that came to somebody who was alive. */
  readonly came: ReadonlyMap<string, Set<number>>
  readonly intents: CallIntents.CallIntents
  readonly complain: (what: string) => void
  /** Where runners get parts of the call from. */
  readonly partsFor?: (runner: Runner) => CallParts
  /** Voices that one runner hears of a call. */
  readonly most?: number
}

/** What runs on it instead of the call. */
export type Program = (runner: Runner, incarnation: Incarnation) => Effect.Effect<void, never, TalkCall.Dependencies>

const secret = Redacted.make("the secret of services")

export const make = (world: World) => {
  const { came, complain, confirmMs, dice, intents, later, names, note, now, peers, scripted, sounds } = world
  const { room } = scripted.session
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
      complain(`${speaking.name} captions while ${runner.name} may`)
    }
  }

  const runners: Array<Runner> = []
  const journalOf = RunnersDisk.make((who) => runners.some(({ isDead, rank }) => isDead && rank.incarnation === who))
  /** `asks`: what it does to take the call from `giver`; `other`: what runs there that is not the call. */
  const launch = Effect.fnUntraced(function* (
    giver?: Runner,
    asks?: (taker: Runner) => Effect.Effect<Answer>,
    other?: Program
  ) {
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
      runner.tell({ _tag: "Joined", roster: emptyRoster, again: false })
      // The HPB says first who is in the room, and then who of them is in the call; by then that may be known.
      const nobody = [...rosterOf(self).participants.values()].map(
        (one) => [one.session, { ...one, inCall: 0 }] as const
      )
      runner.tell({ _tag: "RosterChanged", roster: { self, participants: new Map(nobody) } })
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
      ...{ running: undefined, status: undefined, isGoing: false, isDead: false, isOver: false }
    }
    runners.push(runner)
    const options =
      world.most === undefined ? TalkCall.defaultOptions : { ...TalkCall.defaultOptions, voicesOfPart: world.most }
    const program = yield* TalkCall.make(options).pipe(Effect.provideContext(built))
    const parts = world.partsFor?.(runner)
    const talk = program(intents, {
      report: (read) => {
        runner.status = read
      },
      heardElsewhere: () => 0,
      ...(parts === undefined ? {} : { parts }),
      seat: {
        rank: runner.rank,
        onOutranked: () => {},
        isGoing: () => runner.isGoing,
        onRunning: (running) => {
          runner.running = running
        },
        ...(giver === undefined ? {} : { before: giver.rank.incarnation }),
        ...(asks === undefined ? {} : { takeOver: { ask: Effect.suspend(() => asks(runner)) } })
      }
    })
    const call = other === undefined ? talk : Effect.provideContext(other(runner, runner.rank.incarnation), built)
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

  return { launch, all: (): ReadonlyArray<Runner> => runners }
}
