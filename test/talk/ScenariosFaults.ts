/**
 * The call under faults that are nobody's restart: people in a hurry, pages that are loaded anew, networks that change, an HPB that is gone
 * for minutes.
 */
import { Effect } from "effect"
import type { RtpPacket } from "werift"
import { captionsAgain, drill, rejoined } from "./Drill.ts"
import { machineMs } from "./HpbClient.ts"
import { failure, until } from "./ProofError.ts"
import { engineSessions, saidSince, settle } from "./Reading.ts"
import type { Scenario } from "./Scenario.ts"
import * as Scene from "./Scene.ts"
import * as WeriftSpeaker from "./WeriftSpeaker.ts"

const hpbGone = drill(
  { name: "hpb-gone-2-minutes", about: "the HPB is gone for two minutes", when: "all", seconds: 240 },
  (drilled) =>
    Effect.gen(function* () {
      const { ann, scene, vera } = drilled
      yield* scene.stack.hpb.stop()
      yield* Effect.sleep("2 minutes")
      scene.stack.nextcloud.forget()
      yield* scene.stack.hpb.start
      yield* vera.comeBack
      const joined = yield* rejoined(drilled)
      yield* ann.comeBack
      const { figures, ...again } = yield* captionsAgain(drilled)
      return { ...again, figures: { "rejoined after s": joined, ...figures } }
    })
)

/** Twice in and out of the call, and twice in and out of the room, while somebody of the same name speaks. */
const hurry = drill(
  { name: "same-name-in-a-hurry", about: "somebody of the same name joins and leaves twice in a second" },
  ({ ann, scene, vera }) =>
    Effect.gen(function* () {
      const { ledger, nextcloud } = scene.stack
      const people = { nextcloud, ledger, room: Scene.ROOM }
      const namesake = (number: number) =>
        WeriftSpeaker.make({ ...people, name: `ann-${number}`, displayName: "ann", number })
      const from = machineMs()
      const comesAndGoes = Effect.gen(function* () {
        yield* Effect.delay(Effect.scoped(namesake(1)), "300 millis").pipe(Effect.repeat({ times: 1 }))
        const again = yield* namesake(2)
        for (let times = 0; times < 2; times++) {
          yield* again.leaveCall
          yield* Effect.sleep("200 millis")
          yield* again.enterCall
          yield* Effect.sleep("200 millis")
        }
        yield* again.publish
        yield* Effect.sleep("2 seconds")
        yield* again.say(8)
      })
      yield* Effect.all([ann.say(36), comesAndGoes], { concurrency: 2 })
      const verdict = yield* settle(ledger, vera, () => saidSince(ledger, from), 10_000)
      const faults = yield* engineSessions(scene, 2, 20_000).pipe(
        Effect.as([]),
        Effect.catch(({ message }) => Effect.succeed([message]))
      )
      return { verdicts: [verdict], faults, figures: { "places in the room": vera.bots().length } }
    })
)

/** The page's socket goes with a bye, as when a page is loaded anew; the new one asks without a language. */
const reload: Scenario = {
  name: "viewer-reloads",
  about: "a viewer's page is loaded anew: the old intent ends, the new page reads on in the language of the old",
  generation: "2",
  when: "always",
  run: (corner) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(corner)
      const { ledger, nextcloud } = scene.stack
      const before = yield* scene.viewer("vera")
      const ann = yield* scene.speaker("ann", 0)
      yield* scene.captions(before, true, "fr")
      yield* Effect.sleep("2 seconds")
      yield* ann.say(4)
      yield* until("the first page to read", () => before.received.length > 0, 5000)
      yield* before.client.bye
      yield* nextcloud.setInCall(Scene.ROOM, before.ncSession, 0)
      const page = yield* scene.viewer("vera")
      yield* scene.captions(page, true)
      const left = performance.now()
      const ended = yield* scene.service.status.pipe(
        Effect.delay("50 millis"),
        Effect.repeat({ until: ({ viewers }) => viewers === 1 }),
        Effect.map(() => (performance.now() - left) / 1000),
        Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.succeed(Number.POSITIVE_INFINITY) })
      )
      yield* Effect.sleep("1 second")
      const from = machineMs()
      yield* ann.say(6)
      const verdict = yield* settle(ledger, page, () => saidSince(ledger, from))
      const others = page.received.filter(({ langId }) => langId !== "fr").length
      return {
        verdicts: [verdict],
        faults: [
          ...(Number.isFinite(ended) ? [] : ["the old page is still a viewer"]),
          ...(others > 0 ? [`${others} captions in another language than the old page's`] : [])
        ],
        figures: { "old intent ended after s": ended }
      }
    })
}

/** Less before their end than one outage skips, and more than is sent before the first (36 s). */
const FIRST_NUMBER = 0x1_0000 - 1800

/**
 * Between the microphone and Janus: nothing for a while; then the sender goes on, with numbers that have gone on too. In the first outage they
 * come to their end and begin again: what protects a packet depends on how often they did, and that nobody is told.
 */
const outage = () => {
  let isOut = false
  let offset: number | undefined
  let skipped = 0
  return {
    set: (out: boolean) => {
      isOut = out
    },
    through: (write: (packet: RtpPacket) => void) => (packet: RtpPacket) => {
      if (isOut) {
        skipped += 7
        return
      }
      offset ??= FIRST_NUMBER - packet.header.sequenceNumber
      packet.header.sequenceNumber = (packet.header.sequenceNumber + offset + skipped) & 0xffff
      write(packet)
    }
  }
}

const network: Scenario = {
  name: "speaker-changes-network",
  about: "nothing comes from a speaker for 8 s, twice, then it goes on with other numbers",
  generation: "2",
  when: "always",
  run: (corner) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(corner)
      const { ledger, nextcloud } = scene.stack
      const vera = yield* scene.viewer("vera")
      const way = outage()
      const people = { nextcloud, ledger, room: Scene.ROOM }
      const ann = yield* WeriftSpeaker.make({ ...people, name: "ann", number: 0, through: way.through })
      yield* scene.captions(vera, true)
      yield* Effect.sleep("2 seconds")
      const from = machineMs()
      yield* ann.say(4)
      for (let times = 0; times < 2; times++) {
        way.set(true)
        yield* Effect.sleep("8 seconds")
        way.set(false)
        yield* Effect.sleep("500 millis")
        yield* ann.say(6)
      }
      const verdict = yield* settle(ledger, vera, () => saidSince(ledger, from))
      return { verdicts: [verdict], figures: { "offers asked": scene.stack.offerRequests.length } }
    })
}

/** Of three relays the first that is tried is down: the next peer takes another, and so does everybody after it. */
const relays: Scenario = {
  name: "turn-by-tcp",
  about: "coturn is the only way to Janus, and only by TCP; another relay is down",
  generation: "2",
  when: "all",
  run: (corner) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(corner, {
        turnSeconds: 3600,
        turnUrls: (host) => [`turn:${host}:3478?transport=tcp`, `turn:${host}:3999?transport=udp`]
      })
      const { ledger } = scene.stack
      const vera = yield* scene.viewer("vera")
      const ann = yield* scene.speaker("ann", 0)
      yield* scene.captions(vera, true)
      const speakers = (count: number) =>
        scene.service.status.pipe(
          Effect.delay("100 millis"),
          Effect.repeat({ until: (status) => status.speakers === count }),
          Effect.timeout("40 seconds"),
          Effect.mapError(() => failure(`not ${count} speaker(s) within 40 s`))
        )
      const asked = performance.now()
      yield* speakers(1)
      const first = (performance.now() - asked) / 1000
      const bob = yield* scene.speaker("bob", 1)
      const joined = performance.now()
      yield* speakers(2)
      const second = (performance.now() - joined) / 1000
      const from = machineMs()
      yield* ann.say(5)
      yield* Effect.sleep("1 second")
      yield* bob.say(5)
      const verdict = yield* settle(ledger, vera, () => saidSince(ledger, from))
      return { verdicts: [verdict], figures: { "first heard after s": first, "second heard after s": second } }
    })
}

export const faults: ReadonlyArray<Scenario> = [relays, hurry, reload, network, hpbGone]
