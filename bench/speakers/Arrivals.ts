/**
 * When the engine had what was said: finds each frame that came to an engine again among the packets that were sent, by how loud its parts are.
 */
import { type Material, QUIETEST } from "./Material.ts"
import type { HeardSession, Sent } from "./Wire.ts"

export interface Arrivals {
  /**
   * Of frames of running speech: ms from the moment the last packet in it was sent to the moment the engine had it. The first ones of a stretch
   * of speech are not among them: a gate that has just opened sends what it had kept. Nor are those of which it cannot be told what they are.
   */
  readonly delaysMs: ReadonlyArray<number>
  /** When each of these was sent. */
  readonly sentMs: ReadonlyArray<number>
  /** Frames with sound of each speaker that came between the two times, ms. */
  readonly heardMsOf: ReadonlyArray<number>
  /** Speech that was sent, and frames with sound that came, ms. More comes than is speech: what lies just before, between and behind it. */
  readonly spokenMs: number
  readonly heardMs: number
  /** Sessions of which nobody can say whose they are. */
  readonly strangers: number
}

export interface ArrivalsOptions {
  readonly material: Material
  /** What each speaker says. */
  readonly parts: ReadonlyArray<Uint16Array>
  readonly sent: Pick<Sent, "atMs" | "untilPacket">
  readonly sessions: ReadonlyArray<HeardSession>
  /** Only what was sent between the two, ms since 1970. */
  readonly fromMs: number
  readonly untilMs: number
}

const PACKETS = 4
const PACKET_MS = 20
/** Half decibels, in sum over a frame: a decoder that was told something else before hears the next packets a little differently. */
const TOLERANCE = 8
/** What was sent longer ago than this is not looked for. */
const REACH_MS = 15_000
/** Clocks of two processes differ by that much. */
const EARLY_MS = 2
/** 640 ms: more than a gate's pre-roll. */
const FIRST_FRAMES = 8
/** In half decibels: so much louder than the silence that is sent is a frame of which it can be told what it is. */
const ABOVE_SILENCE = 12
/** Of the frames that were found, so many must fit whoever is taken for the speaker. */
const SURE = 0.6
const LOOKED_AT = 200

interface Found {
  readonly atMs: number
  /** Number in the material of the last packet in it. */
  readonly packet: number
  readonly isRunning: boolean
}

export const find = (options: ArrivalsOptions): Arrivals => {
  const { fromMs, material, parts, sessions, untilMs } = options
  const clock = clockOf(options)
  const places = parts.map((part) => placesIn(material, part))
  const delaysMs: Array<number> = []
  const sentMs: Array<number> = []
  const heardMsOf = parts.map(() => 0)
  let heardMs = 0
  let strangers = 0
  for (const session of sessions) {
    const sounding = soundingMs(session, fromMs, untilMs)
    heardMs += sounding
    const found = locate(material, session)
    const speaker = speakerOf(found, places, clock)
    if (speaker === undefined) {
      if (found.length > 0) strangers++
      continue
    }
    heardMsOf[speaker] = (heardMsOf[speaker] ?? 0) + sounding
    for (const { atMs, isRunning, packet } of found) {
      const sent = clock.lastSentMs(speaker, places[speaker]?.get(packet) ?? [], atMs)
      if (!isRunning || sent === undefined || sent < fromMs || sent >= untilMs) continue
      delaysMs.push(atMs - sent)
      sentMs.push(sent)
    }
  }
  return { delaysMs, sentMs, heardMsOf, spokenMs: spokenMs(options, clock), heardMs, strangers }
}

/** When packet `n` of a speaker was sent; packets of all of them go out in turn. */
const clockOf = ({ parts, sent: { atMs, untilPacket } }: ArrivalsOptions) => {
  const sentMs = (speaker: number, n: number): number | undefined => {
    const packet = n * parts.length + speaker
    let [low, high] = [0, untilPacket.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((untilPacket[middle] ?? 0) > packet) high = middle
      else low = middle + 1
    }
    return atMs[low]
  }
  return {
    sentMs,
    /** The last time before `beforeMs` that one of these packets was sent. */
    lastSentMs: (speaker: number, packets: ReadonlyArray<number>, beforeMs: number): number | undefined => {
      for (const n of packets.toReversed()) {
        const at = sentMs(speaker, n)
        if (at !== undefined && at <= beforeMs + EARLY_MS) return at < beforeMs - REACH_MS ? undefined : at
      }
      return undefined
    }
  }
}
type SendingClock = ReturnType<typeof clockOf>

/** By number in the material: where in the part it is said. Only of speech. */
const placesIn = ({ phrasePackets, phrases }: Material, part: Uint16Array): Map<number, Array<number>> => {
  const places = new Map<number, Array<number>>()
  for (const [n, packet] of part.entries()) {
    if (packet >= phrases * phrasePackets) continue
    const known = places.get(packet)
    if (known === undefined) places.set(packet, [n])
    else known.push(n)
  }
  return places
}

/**
 * The frames of a session that lie within one phrase, and which part of it they are. Some that lie across two are like a third by chance, sent many
 * seconds before: only what goes on in the frame before or behind is taken for what it looks like.
 */
const locate = (material: Material, { atMs, loudness }: HeardSession): ReadonlyArray<Found> => {
  const quiet = loudestSilence(material) - ABOVE_SILENCE
  const places: Array<number | undefined> = []
  const inStretch: Array<number> = []
  let expected: number | undefined
  for (let frame = 0; frame < atMs.length; frame++) {
    const heard = loudness.subarray(frame * PACKETS, (frame + 1) * PACKETS)
    // Between two stretches an engine is flushed, which is zeros.
    inStretch.push(isSilent(heard) ? 0 : (inStretch.at(-1) ?? 0) + 1)
    const place = expected !== undefined && fits(material, heard, expected) ? expected : nearest(material, heard)
    expected = place === undefined ? undefined : place + PACKETS
    // A pause is like any other, and like what follows speech: found anywhere, at any time.
    places.push(heard.every((one) => one > quiet) ? undefined : place)
  }
  const goesOn = (frame: number) => (places[frame] ?? Number.NaN) + PACKETS === places[frame + 1]
  return places.flatMap((place, frame) =>
    place === undefined || !(goesOn(frame - 1) || goesOn(frame))
      ? []
      : {
          atMs: atMs[frame] ?? 0,
          packet: place + PACKETS - 1,
          isRunning: (inStretch[frame] ?? 0) >= FIRST_FRAMES
        }
  )
}

/** The level of what is sent between two stretches of speech. */
const loudestSilence = ({ loudness, phrasePackets, phrases }: Material) =>
  loudness.subarray(phrases * phrasePackets).reduce((loudest, one) => Math.min(loudest, one), QUIETEST)

const isSilent = (heard: Uint8Array) => heard.every((one) => one === QUIETEST)

const fits = ({ phrasePackets, phrases, ...material }: Material, heard: Uint8Array, at: number) =>
  at < phrases * phrasePackets &&
  (at % phrasePackets) + PACKETS <= phrasePackets &&
  distance(material, heard, at) <= TOLERANCE

const nearest = (material: Material, heard: Uint8Array): number | undefined => {
  const { phrasePackets, phrases } = material
  let best: number | undefined
  let least = TOLERANCE + 1
  for (let phrase = 0; phrase < phrases; phrase++) {
    const until = (phrase + 1) * phrasePackets - PACKETS
    for (let at = phrase * phrasePackets; at <= until; at++) {
      const apart = distance(material, heard, at)
      if (apart >= least) continue
      best = at
      least = apart
    }
  }
  return best
}

const distance = ({ loudness }: Pick<Material, "loudness">, heard: Uint8Array, at: number): number => {
  let sum = 0
  for (let n = 0; n < PACKETS && sum <= TOLERANCE; n++) sum += Math.abs((heard[n] ?? 0) - (loudness[at + n] ?? 0))
  return sum
}

/** Who had sent most of these shortly before they came; of several who say the same, whoever said it last. */
const speakerOf = (
  found: ReadonlyArray<Found>,
  places: ReadonlyArray<Map<number, ReadonlyArray<number>>>,
  clock: SendingClock
): number | undefined => {
  const step = Math.max(1, Math.floor(found.length / LOOKED_AT))
  const sample = found.filter((_, n) => n % step === 0)
  let best: number | undefined
  let most = 0
  for (const [speaker, said] of places.entries()) {
    let fitting = 0
    let lateMs = 0
    for (const { atMs, packet } of sample) {
      const sentMs = clock.lastSentMs(speaker, said.get(packet) ?? [], atMs)
      if (sentMs === undefined) continue
      fitting++
      lateMs += atMs - sentMs
    }
    const likely = fitting - lateMs / REACH_MS
    if (fitting <= sample.length * SURE || likely <= most) continue
    best = speaker
    most = likely
  }
  return best
}

const soundingMs = ({ atMs, loudness }: HeardSession, fromMs: number, untilMs: number): number => {
  let frames = 0
  for (const [frame, at] of atMs.entries()) {
    if (at < fromMs || at >= untilMs) continue
    if (!isSilent(loudness.subarray(frame * PACKETS, (frame + 1) * PACKETS))) frames++
  }
  return frames * PACKETS * PACKET_MS
}

const spokenMs = ({ fromMs, material, parts, untilMs }: ArrivalsOptions, clock: SendingClock): number => {
  const silentFrom = material.phrases * material.phrasePackets
  let packets = 0
  for (const [speaker, part] of parts.entries()) {
    for (const [n, packet] of part.entries()) {
      if (packet >= silentFrom) continue
      const at = clock.sentMs(speaker, n)
      if (at !== undefined && at >= fromMs && at < untilMs) packets++
    }
  }
  return packets * PACKET_MS
}
