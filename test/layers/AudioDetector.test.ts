import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as AudioDetector from "../../src/layers/AudioDetector.ts"
import * as ClientAudio from "../support/ClientAudio.ts"

const bytesOf = (text: string) => Buffer.from(text, "latin1")
/** What is found, and after how many bytes. */
const found = (bytes: Uint8Array) => {
  for (let length = 1; length <= bytes.length; length++) {
    const kind = AudioDetector.detect(bytes.subarray(0, length))
    if (kind !== undefined) return { kind, length }
  }
  return undefined
}
const refused = (name: string) => ({ _tag: "Refused" as const, name })
/** 320 kbit/s at 44.1 kHz: 1044 bytes a frame. */
const mp3 = Buffer.concat(
  Array.from({ length: 3 }, () => Buffer.concat([Buffer.from([0xff, 0xfb, 0xe0, 0x00]), Buffer.alloc(1040, 0x55)]))
)

/** Frames of 200 bytes. */
const adts = Buffer.concat(
  Array.from({ length: 3 }, () =>
    Buffer.concat([Buffer.from([0xff, 0xf1, 0x50, 0x80, 0x19, 0x1f, 0xfc]), Buffer.alloc(193, 0x21)])
  )
)
const recordings = JSON.parse(readFileSync(new URL("../fixtures/recordings.json", import.meta.url), "utf8"))
const blobsOf = (name: string): ReadonlyArray<Buffer> =>
  recordings[name].blobs.map((blob: string) => Buffer.from(blob, "base64"))

describe("AudioDetector", () => {
  it("knows each kind from its first bytes, one by one", () => {
    assert.deepStrictEqual(found(ClientAudio.webmHeader()), { kind: "WebM", length: 4 })
    assert.deepStrictEqual(found(ClientAudio.oggPage([], { granule: 0, sequence: 0 })), { kind: "Ogg", length: 4 })
    assert.deepStrictEqual(found(ClientAudio.wav(Buffer.alloc(9), { sampleRate: 8000 })), { kind: "Wav", length: 12 })
    assert.deepStrictEqual(found(bytesOf("RF64....WAVE")), { kind: "Wav", length: 12 })
    assert.deepStrictEqual(found(bytesOf("\0\0\0\u0018ftypM4A ")), { kind: refused("MP4"), length: 8 })
    assert.deepStrictEqual(found(bytesOf("fLaC\0\0")), { kind: refused("FLAC"), length: 4 })
    assert.deepStrictEqual(found(bytesOf("ID3\u0004")), { kind: refused("MP3"), length: 3 })
    assert.deepStrictEqual(found(mp3), { kind: refused("MP3"), length: 1046 })
    assert.deepStrictEqual(found(adts), { kind: refused("AAC"), length: 202 })
    // What Chromium records as audio/mp4: Opus, in MP4.
    assert.deepStrictEqual(found(blobsOf("mp4")[0] ?? mp3), { kind: refused("MP4"), length: 8 })
  })

  it("takes everything else for samples at once", () => {
    assert.deepStrictEqual(found(Buffer.alloc(1000)), { kind: "Raw", length: 5 })
    assert.deepStrictEqual(found(Buffer.alloc(1000, 0xff)), { kind: "Raw", length: 2 })
    assert.deepStrictEqual(found(Buffer.from([3, 0, 254, 255, 1, 0])), { kind: "Raw", length: 1 })
    for (const start of ["RIFF....AVI ", "RI", "RF", "Og", "OggX", "fLa", "ID", "\u001aE", "\u001aEABC"]) {
      const bytes = Buffer.concat([bytesOf(start), Buffer.alloc(40, 7)])
      assert.deepStrictEqual(found(bytes)?.kind, "Raw", start)
      assert.isAtMost(found(bytes)?.length ?? 99, 12)
    }
    // A header of MP3 that no other follows is a sample.
    assert.strictEqual(AudioDetector.detect(Buffer.concat([mp3.subarray(0, 1044), Buffer.alloc(4)])), "Raw")
    assert.strictEqual(AudioDetector.detect(Buffer.concat([adts.subarray(0, 200), Buffer.alloc(4)])), "Raw")
  })

  it("does not find recordings in noise, and does not wait long", () => {
    let state = 9
    const random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state >>> 24
    }
    let waited = 0
    for (let n = 0; n < 500; n++) {
      const noise = Uint8Array.from({ length: 9000 }, random)
      assert.strictEqual(AudioDetector.detect(noise), "Raw")
      assert.isFalse(AudioDetector.beginsRecording(noise))
      if (AudioDetector.detect(noise.subarray(0, 1024)) === undefined) waited++
    }
    assert.isBelow(waited, 50)
  })

  it("knows the middle of a recording whose blocks are longer than what came yet", () => {
    const middle = Buffer.concat(
      Array.from({ length: 4 }, () => ClientAudio.element("a3", ClientAudio.block([Buffer.alloc(1900, 0x37)], 60)))
    )
    for (const from of [0, 1]) {
      const pieces = ClientAudio.cut(middle.subarray(from), 1024)
      const verdicts = pieces.map((_, n) => AudioDetector.detect(Buffer.concat(pieces.slice(0, n + 1))))
      assert.strictEqual(
        verdicts.find((verdict) => verdict !== undefined),
        "Headerless"
      )
    }
  })

  it("knows the middle of a recording by Chromium wherever that cuts", () => {
    const blobs = blobsOf("mono")
    for (const blob of blobs.slice(1, -1)) assert.strictEqual(AudioDetector.detect(blob), "Headerless")
    assert.strictEqual(AudioDetector.detect(blobs[0] ?? Buffer.alloc(0)), "WebM")
  })

  it("knows where another recording begins", () => {
    const begins = (bytes: Uint8Array) => AudioDetector.beginsRecording(bytes)
    assert.isTrue(begins(ClientAudio.webmHeader()))
    assert.isTrue(begins(ClientAudio.oggPage([], { granule: 0, flags: 2, sequence: 0 })))
    assert.isFalse(begins(ClientAudio.oggPage([], { granule: 0, sequence: 3 })))
    assert.isTrue(begins(ClientAudio.wav(Buffer.alloc(9), { sampleRate: 8000 })))
    assert.isFalse(begins(Buffer.alloc(50)))
    assert.isFalse(begins(Buffer.alloc(1)))
  })
})
