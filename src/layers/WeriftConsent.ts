/**
 * What werift keeps behind the consent of a publisher's side (RFC 7675). It is private there: whoever asks has another way where it is missing, and
 * `test/layers/IceConsents.test.ts` fails where another werift has changed it.
 */
import { Message, type RTCIceTransport } from "werift"

export type IceConnection = RTCIceTransport["connection"]

export interface WeriftConsent {
  /** werift asks no more, and sends on as if it were answered for good. */
  readonly takeOver: () => void
  /** The attributes of a check of the chosen way, as werift would send it, without proof; `undefined`: there is no such way. */
  readonly attributes: () => Buffer | undefined
  /** werift sends nothing more, but answers, and hears on; until it is renewed. */
  readonly lapse: () => void
  readonly renew: () => void
  /** Nobody is there any more. */
  readonly expire: () => void
}

const HEADER_BYTES = 20

export const of = (ice: IceConnection): WeriftConsent | undefined => {
  const stop: unknown = Reflect.get(ice, "stopConsentLifecycle")
  const build: unknown = Reflect.get(ice, "buildRequest")
  const become: unknown = Reflect.get(ice, "setState")
  const isFresh: unknown = Reflect.get(ice, "consentFresh")
  if (typeof stop !== "function" || typeof build !== "function" || typeof become !== "function") return undefined
  // Nobody was asked yet, or nobody answered: not ours to say otherwise.
  if (isFresh !== true) return undefined
  const lapse = () => void Reflect.set(ice, "consentFresh", false)
  const renew = () => void Reflect.set(ice, "consentFresh", true)
  return {
    takeOver: () => {
      Reflect.apply(stop, ice, [])
      renew()
    },
    lapse,
    renew,
    attributes: () => {
      const { iceControlling, localUsername, nominated, remoteIsLite, remoteUsername } = ice
      if (nominated === undefined) return undefined
      const { localCandidate } = nominated
      // A server of the simple kind is told each time which way was chosen, as werift does it.
      const nominate = iceControlling && remoteIsLite
      const given = [{ nominate, localUsername, remoteUsername, iceControlling, localCandidate }]
      const message: unknown = Reflect.apply(build, ice, given)
      return message instanceof Message ? message.bytes.subarray(HEADER_BYTES) : undefined
    },
    expire: () => {
      lapse()
      Reflect.apply(become, ice, ["failed"])
    }
  }
}
