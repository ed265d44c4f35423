import { assert, describe, it } from "@effect/vitest"
import { AudioTrouble } from "../../src/domain/AudioTrouble.ts"
import * as OpusTrack from "../../src/layers/OpusTrack.ts"
import * as ClientAudio from "../support/ClientAudio.ts"

/** 20 ms of CELT; what is in it is the codec's. */
const packet = Uint8Array.of(0xf8, 1, 2)
const play = (head: OpusTrack.OpusHead, decode: (n: number) => Float32Array | undefined, packets = 4) => {
  const heard: Array<number> = []
  let silence = 0
  let troubles = 0
  let decoded = 0
  const track = OpusTrack.make(head, { decode: () => decode(decoded++), close: () => undefined }, () => 960, {
    onSound: (pcm) => heard.push(...pcm),
    onSilence: (samples) => {
      silence += samples
    },
    onTrouble: () => {
      troubles++
    }
  })
  for (let n = 0; n < packets; n++) track.play(packet, {})
  return { heard, silence, troubles }
}
const half = new Float32Array(480).fill(0.5)

describe("OpusTrack", () => {
  it("leaves out what the encoder put before the first sample, however long that is", () => {
    assert.strictEqual(play({ preSkipTicks: 312, gain: 1 }, () => half).heard.length, 4 * 480 - 156)
    assert.strictEqual(play({ preSkipTicks: 2000, gain: 1 }, () => half).heard.length, 4 * 480 - 1000)
    assert.strictEqual(play({ preSkipTicks: 9600, gain: 1 }, () => half).heard.length, 0)
  })

  it("keeps the time of a packet that the codec does not take", () => {
    const { heard, silence, troubles } = play({ preSkipTicks: 0, gain: 1 }, (n) => (n === 2 ? undefined : half))
    assert.deepStrictEqual({ heard: heard.length, silence, troubles }, { heard: 3 * 480, silence: 480, troubles: 1 })
  })

  it("makes the sound as loud as the header wants it, at most full scale", () => {
    assert.isTrue(play({ preSkipTicks: 0, gain: 0.5 }, () => half).heard.every((sample) => sample === 0.25))
    assert.isTrue(play({ preSkipTicks: 0, gain: 3 }, () => half).heard.every((sample) => sample === 1))
    assert.isTrue(half.every((sample) => sample === 0.5))
  })

  it("reads the header, and tells one that is damaged or of more than two channels", () => {
    const head = ClientAudio.opusHead(2, 3840)
    // −6.02 dB in Q7.8.
    head.writeInt16LE(-1541, 16)
    const parsed = OpusTrack.parseHead(head, "Ogg")
    assert.isFalse(parsed instanceof AudioTrouble)
    if (parsed instanceof AudioTrouble) return
    assert.strictEqual(parsed.preSkipTicks, 3840)
    assert.approximately(parsed.gain, 0.5, 0.001)
    const reasonOf = (bytes: Uint8Array) => {
      const trouble = OpusTrack.parseHead(bytes, "Ogg")
      return trouble instanceof AudioTrouble ? trouble.reason : undefined
    }
    assert.strictEqual(reasonOf(ClientAudio.opusHead(6)), "Unsupported")
    assert.strictEqual(reasonOf(head.subarray(0, 18)), "Undecodable")
    assert.strictEqual(reasonOf(new Uint8Array(0)), "Undecodable")
  })
})
