/**
 * Asks the other sides of many peers, every five seconds, whether they still want what we send, and answers what they ask of us; werift, which makes
 * some twenty objects and two timers of each such question, does so until a way is chosen. (RFC 7675, RFC 8445 §7.3)
 *
 * Only the usual is done here: checks of the chosen way by UDP, by the names and passwords of now. Anything else is werift's, as before.
 *
 * docs/decisions/0023-consent-is-asked-here.md
 */
import { randomBytes } from "node:crypto"
import { type CandidatePair, StunProtocol } from "werift"
import * as StunMessage from "./StunMessage.ts"
import * as WeriftConsent from "./WeriftConsent.ts"

export interface IceConsents {
  /**
   * Keeps the consent of a way that is chosen, for as long as it is; `undefined`: werift goes on with it. `heardMs`: when media came last that is
   * authentic. Nobody who still sends is left because no answer comes: we send nothing then, and listen on.
   */
  readonly keep: (ice: WeriftConsent.IceConnection, heardMs: () => number) => IceConsent | undefined
}

export interface IceConsent {
  /** Whether a datagram that came by the chosen way's socket is done with; `false`: it is werift's. */
  readonly take: (datagram: Buffer, from: readonly [address: string, port: number]) => boolean
}

export interface IceConsentsOptions {
  /** Monotonic, in ms. */
  readonly now: () => number
  /** Runs `look` so often, until what it answers with is called. */
  readonly every?: (look: () => void, ms: number) => () => void
}

/** RFC 7675 §5.1: every 5 s, by up to a fifth more or less, and none for 30 s. */
const ASK_MS = 5_000
const SPREAD = 0.2
const EXPIRED_MS = 30_000
/** One clock for all. */
const LOOK_MS = 100
/** Whoever is not asked is looked at in every tenth look: whether its way is still the one is far away in memory. */
const TURNS = 10
/** Looks that come so late were missed by this process, and so was what came meanwhile. */
const STALLED_MS = 1_000

/** What a check may say; more than that, as far as it must be understood (below 0x8000), is werift's to judge. */
const understood: ReadonlySet<number> = new Set([StunMessage.USERNAME, StunMessage.PRIORITY, StunMessage.USE_CANDIDATE])
const MUST_BE_UNDERSTOOD_BELOW = 0x8000

interface Kept {
  readonly ice: WeriftConsent.IceConnection
  readonly consent: WeriftConsent.WeriftConsent
  readonly pair: CandidatePair
  readonly remotePassword: string
  readonly ask: () => void
  /** When media came last. */
  readonly heardMs: () => number
  /** When it was last answered, and when it is asked next. */
  answeredMs: number
  dueMs: number
}

const byTimer = (look: () => void, ms: number) => {
  const timer = setInterval(look, ms)
  return () => clearInterval(timer)
}

/** One for all peers that share a clock. */
export const make = ({ every = byTimer, now }: IceConsentsOptions): IceConsents => {
  const all: Array<Kept> = []
  let lookedMs = 0
  let stop: (() => void) | undefined
  let turn = 0

  const remove = (n: number) => {
    const last = all.pop()
    if (last !== undefined && n < all.length) all[n] = last
  }
  const look = () => {
    const atMs = now()
    const missedMs = atMs - lookedMs - LOOK_MS
    lookedMs = atMs
    turn++
    const turns = Math.min(TURNS, all.length)
    // backwards: the last takes the place of one that is removed
    for (let n = all.length - 1; n >= 0; n--) {
      const one = all[n]
      if (one === undefined) continue
      // an answer that was waiting may have been heard before this look
      if (missedMs >= STALLED_MS) one.answeredMs = Math.min(atMs, one.answeredMs + missedMs)
      const isExpired = atMs - one.answeredMs >= EXPIRED_MS
      if (atMs < one.dueMs && (n + turn) % turns !== 0) continue
      if (!isChosen(one)) remove(n)
      else if (isExpired && atMs - one.heardMs() >= EXPIRED_MS) {
        remove(n)
        one.consent.expire()
      } else {
        if (isExpired) one.consent.lapse()
        if (atMs < one.dueMs) continue
        one.dueMs = atMs + nextMs()
        one.ask()
      }
    }
    if (all.length > 0) return
    stop?.()
    stop = undefined
  }

  return {
    keep: (ice, heardMs) => {
      const { localPassword, nominated: pair, remotePassword } = ice
      const consent = WeriftConsent.of(ice)
      if (consent === undefined || pair === undefined || !(pair.protocol instanceof StunProtocol)) return undefined
      const { protocol } = pair
      const [address, port] = pair.remoteAddr
      let { iceControlling } = ice
      const said = consent.attributes()
      if (said === undefined) return undefined
      let attributes = said
      const keys = { local: StunMessage.keyOf(localPassword), remote: StunMessage.keyOf(remotePassword) }
      const send = (message: Buffer) => void protocol.sendData(message, [address, port]).catch(() => undefined)
      let asked = Buffer.alloc(0)

      const one: Kept = {
        ice,
        consent,
        pair,
        remotePassword,
        heardMs,
        answeredMs: now(),
        dueMs: now() + nextMs(),
        ask: () => {
          if (ice.iceControlling !== iceControlling) {
            iceControlling = ice.iceControlling
            attributes = consent.attributes() ?? attributes
          }
          asked = randomBytes(12)
          send(StunMessage.write(StunMessage.BINDING_REQUEST, asked, attributes, keys.remote))
        }
      }
      const mapped = StunMessage.mappedAddress(address, port)
      /** As this side's checks begin, so do those of the other: both names, in the other order. */
      const username = Buffer.from(`${ice.localUsername}:${ice.remoteUsername}`)
      const isUsual = ({ attributes: said }: StunMessage.StunMessage): boolean => {
        for (const type of said.keys()) if (type < MUST_BE_UNDERSTOOD_BELOW && !understood.has(type)) return false
        const otherRole = ice.iceControlling ? StunMessage.ICE_CONTROLLED : StunMessage.ICE_CONTROLLING
        const named = said.get(StunMessage.USERNAME)
        return named !== undefined && username.equals(named) && said.has(otherRole)
      }
      const answer = (message: StunMessage.StunMessage, datagram: Buffer): boolean => {
        if (mapped === undefined || !isUsual(message) || !StunMessage.isProven(datagram, message, keys.local)) {
          return false
        }
        send(StunMessage.write(StunMessage.BINDING_RESPONSE, message.transaction, mapped, keys.local))
        return true
      }
      const hear = (message: StunMessage.StunMessage, datagram: Buffer): boolean => {
        if (!asked.equals(message.transaction) || !StunMessage.isProven(datagram, message, keys.remote)) return false
        asked = Buffer.alloc(0)
        one.answeredMs = now()
        consent.renew()
        return true
      }

      consent.takeOver()
      all.push(one)
      lookedMs = stop === undefined ? now() : lookedMs
      stop ??= every(look, LOOK_MS)
      return {
        take: (datagram, from) => {
          if (from[1] !== port || from[0] !== address || !isChosen(one)) return false
          const message = StunMessage.read(datagram)
          if (message?.type === StunMessage.BINDING_REQUEST) return answer(message, datagram)
          return message?.type === StunMessage.BINDING_RESPONSE && hear(message, datagram)
        }
      }
    }
  }
}

/** Whether its way is still the one, by the same password; with another, werift asks by itself. */
const isChosen = ({ ice, pair, remotePassword }: Kept): boolean =>
  ice.nominated === pair && ice.remotePassword === remotePassword && ice.state !== "closed" && ice.state !== "failed"

const nextMs = (): number => ASK_MS * (1 - SPREAD + 2 * SPREAD * Math.random())
