/**
 * Publishers whose sound says which word it is, and layers that carry it without WebRTC and without Opus: every packet is counted, so that it
 * is known which words could be heard, and an engine can tell which came to it whole.
 */
import { Effect, Layer } from "effect"
import { type AudioFrame, samplesOfMs } from "../../src/domain/Audio.ts"
import type { ScriptedSession } from "../../src/layers/ScriptedEngine.ts"
import { Decoder } from "../../src/services/Decoder.ts"
import { PeerConnection, type PeerOptions } from "../../src/services/PeerConnection.ts"
import type { Stretch } from "../../tools/chaos/deterministic/Utterances.ts"

export interface Speech {
  readonly name: string
  readonly stretches: ReadonlyArray<Stretch>
}

/** One word of a speaker, and whether all of it came to one peer. */
export interface CountedWord {
  readonly word: string
  readonly fromMs: number
  readonly isHeard: boolean
  /** The packets with a part of it, from the first up to the one behind the last. */
  readonly packets: readonly [number, number]
}

const PACKET_MS = 20
const PACKET = samplesOfMs(PACKET_MS)
/** Loud, and different for each word by what a float32 keeps exactly. */
const LOUDNESS = 0.125
const STEP = 2 ** -14
/** Half a wave, samples: 1 kHz. */
const HALF_WAVE = 12

interface Word {
  readonly word: string
  readonly from: number
  readonly to: number
  /** Which peer got each packet with a part of it. */
  readonly peers: Set<object | undefined>
}

interface Peer {
  readonly options: PeerOptions
  isConnected: boolean
}

export const make = (speeches: ReadonlyArray<Speech>) => {
  const words: Array<Word> = []
  const publishers = new Map(
    speeches.map(({ name, stretches }, speaker) => {
      const first = words.length
      for (const { from, to, word } of stretches.flatMap((stretch) => stretch.words))
        words.push({ word, from, to, peers: new Set() })
      return [name, makePublisher(name, speaker, words, { first, last: words.length })] as const
    })
  )
  const soundOf = (payload: Uint8Array): Float32Array | undefined => {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
    if (payload.length !== 8) return undefined
    const publisher = [...publishers.values()][view.getUint32(0)]
    return publisher?.sound(view.getUint32(4))
  }
  /** How much of which word a session heard last. */
  const ears = new WeakMap<ScriptedSession, { word: number; heard: number }>()

  return {
    publisher: (name: string) => publishers.get(name),
    publishAnew: (...names: ReadonlyArray<string>) => {
      for (const name of names) publishers.get(name)?.publishAnew()
    },
    /** Everybody sends what the next `ms` bring. */
    send: (ms: number) => {
      for (const publisher of publishers.values()) publisher.send(ms / PACKET_MS)
    },
    /** The same, while nothing is passed on. */
    skip: (ms: number) => {
      for (const publisher of publishers.values()) publisher.skip(ms / PACKET_MS)
    },
    endMs: () => Math.max(...words.map(({ to }) => to)) / 24,
    said: (name: string): ReadonlyArray<CountedWord> =>
      publishers
        .get(name)
        ?.words()
        .map(({ from, peers, to, word }) => ({
          word,
          fromMs: from / 24,
          isHeard: peers.size === 1 && !peers.has(undefined),
          packets: [Math.floor(from / PACKET), Math.ceil(to / PACKET)]
        })) ?? [],
    /** What an engine does with a frame: says the words that end in it and came whole. */
    hear: ({ pcm }: AudioFrame, session: ScriptedSession): void => {
      const ear = ears.get(session) ?? { word: -1, heard: 0 }
      ears.set(session, ear)
      for (const sample of pcm) {
        const number = sample === 0 ? -1 : Math.round((Math.abs(sample) - LOUDNESS) / STEP)
        ear.heard = number === ear.word ? ear.heard + 1 : 1
        ear.word = number
        const word = words[number]
        if (word !== undefined && ear.heard === word.to - word.from) session.say(word.word)
      }
    },
    peers: Layer.succeed(PeerConnection, {
      open: (options) =>
        Effect.gen(function* () {
          const [name = "", generation] = options.sdp.split("#")
          const publisher = publishers.get(name)
          const peer: Peer = { options, isConnected: false }
          const isCurrent = publisher?.sdp() === `${name}#${generation}`
          yield* Effect.acquireRelease(
            Effect.sync(() => {
              if (isCurrent) publisher.subscribe(peer)
            }),
            () =>
              Effect.sync(() => {
                publisher?.unsubscribe(peer)
                options.onState("closed")
              })
          )
          yield* Effect.sleep("80 millis")
          peer.isConnected = true
          options.onState("connected")
          return {
            answer: "answer",
            addCandidate: () => {},
            renegotiate: () => Effect.succeed("answer"),
            state: () => "connected" as const,
            isRelayed: () => false
          }
        })
    }),
    decoder: Layer.succeed(Decoder, {
      library: "none",
      makeCodec: () => ({ decode: soundOf, close: () => {} }),
      make: (onAudio) => {
        const counters = { packets: 0, lost: 0, reordered: 0, late: 0, concealedSamples: 0, undecodable: 0 }
        let ssrc: number | undefined
        let base = 0
        let end = 0
        let endAtMs = 0
        return {
          decode: (packet, atMs) => {
            const pcm = soundOf(packet.payload)
            if (pcm === undefined) return
            counters.packets += 1
            if (ssrc === undefined) base = -packet.timestamp / 2
            // a sender that starts anew goes on where the clock on the wall says
            else if (packet.ssrc !== ssrc) base = end + samplesOfMs(Math.max(0, atMs - endAtMs)) - packet.timestamp / 2
            ssrc = packet.ssrc
            const position = packet.timestamp / 2 + base
            end = position + pcm.length
            endAtMs = atMs
            onAudio(position, pcm, { atMs, audioLevel: undefined, packet: packet.payload })
          },
          tick: () => {},
          passOver: () => {},
          isSilent: () => true,
          isWaiting: () => false,
          isDecoding: () => false,
          next: () => undefined,
          settle: () => undefined,
          counters,
          close: () => {}
        }
      }
    })
  }
}

const makePublisher = (
  name: string,
  speaker: number,
  all: ReadonlyArray<Word>,
  { first, last }: { readonly first: number; readonly last: number }
) => {
  const own = all.slice(first, last)
  const peers = new Set<Peer>()
  let generation = 0
  let sent = 0
  let begun = 0
  const sound = (packet: number): Float32Array => {
    const pcm = new Float32Array(PACKET)
    for (const [index, { from, to }] of own.entries()) {
      const start = Math.max(0, from - packet * PACKET)
      const end = Math.min(PACKET, to - packet * PACKET)
      for (let at = start; at < end; at++)
        pcm[at] = (LOUDNESS + (first + index) * STEP) * (Math.floor(at / HALF_WAVE) % 2 === 0 ? 1 : -1)
    }
    return pcm
  }
  const count = (packet: number, peer: object | undefined) => {
    for (const word of own) if (word.from < (packet + 1) * PACKET && word.to > packet * PACKET) word.peers.add(peer)
  }
  return {
    words: () => own,
    sdp: () => `${name}#${generation}`,
    sound,
    subscribe: (peer: Peer) => peers.add(peer),
    unsubscribe: (peer: Peer) => peers.delete(peer),
    /** The microphone is published anew: those who hear the old publication hear nothing any more. */
    publishAnew: () => {
      generation += 1
      begun = sent
      peers.clear()
    },
    send: (packets: number) => {
      for (const end = sent + packets; sent < end; sent++) {
        const listening = [...peers].filter((peer) => peer.isConnected)
        if (listening.length === 0) count(sent, undefined)
        for (const { options } of listening) {
          const payload = new Uint8Array(8)
          const view = new DataView(payload.buffer)
          view.setUint32(0, speaker)
          view.setUint32(4, sent)
          options.onPacket({
            sequenceNumber: (sent - begun) & 0xffff,
            timestamp: (sent - begun) * PACKET_MS * 48,
            ssrc: speaker * 1_000 + generation,
            payload
          })
        }
        for (const peer of listening) count(sent, peer)
      }
    },
    skip: (packets: number) => {
      for (const end = sent + packets; sent < end; sent++) count(sent, undefined)
    }
  }
}
