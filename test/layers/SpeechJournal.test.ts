/** What is kept of speech while it is not said, and what another process makes of it. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Logger, Redacted, Scope } from "effect"
import type { AudioFrame } from "../../src/domain/Audio.ts"
import { RoomToken, SessionId } from "../../src/domain/Call.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import type { VoiceKey } from "../../src/domain/Speaker.ts"
import * as EarlierVoice from "../../src/layers/EarlierVoice.ts"
import * as FileSpeechJournal from "../../src/layers/FileSpeechJournal.ts"
import * as JournalBook from "../../src/layers/JournalBook.ts"
import * as JournalEntries from "../../src/layers/JournalEntries.ts"
import * as JournalSeal from "../../src/layers/JournalSeal.ts"
import * as LeftSpeech from "../../src/layers/LeftSpeech.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import * as Voice from "../../src/layers/Voice.ts"
import { Decoder } from "../../src/services/Decoder.ts"
import { keepsNothing, type Left, type LeftVoice } from "../../src/services/SpeechJournal.ts"
import { diskThat } from "../support/FullDisk.ts"
import { difference, payloads, send } from "../support/OpusRecordings.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { until } from "../support/Until.ts"

const room = RoomToken.make("room1")
const speaker = SessionId.make("ann")
const key: VoiceKey = { publisher: speaker, roomType: "video" }
const language = () => LanguageId.make("en")
const secret = Redacted.make("shared with the HPB")
const text = (words: string) => ({ voice: "video:ann:0", speaker, texts: [words], ahead: "" })

/** What the bytes of a book come to. */
const leftBy = (...bytes: ReadonlyArray<Uint8Array>): Left => {
  const left = LeftSpeech.make()
  for (const some of bytes) for (const entry of JournalEntries.read(some)) left.take(entry)
  return left.rooms().get(room) ?? { voices: [], unsaid: [] }
}
/** What a file would be begun with. */
const allOf = (book: JournalBook.JournalBook): Uint8Array => {
  const { isLast, part } = book.rewrite().next(Number.POSITIVE_INFINITY)
  assert.isTrue(isLast)
  return Uint8Array.from(part)
}
const onlyVoice = ({ voices }: Left): LeftVoice => {
  const [voice] = voices
  if (voice === undefined || voices.length > 1) throw new Error(`${voices.length} voices were left`)
  return voice
}
const again = (left: LeftVoice, decoder: Decoder["Service"]): ReadonlyArray<AudioFrame> => {
  const options = { id: "again", left, segments: 0, ahead: "", language, privacy: "any", now: () => 0 } as const
  const { voice } = EarlierVoice.make({ ...options, decoder, listener: keepsNothing.voice("again", key, () => {}) })
  return [...voice.replay(left.position)]
}

const isLoud = (pcm: Float32Array): boolean => pcm.some((sample) => Math.abs(sample) > 0.01)

/** A voice that says phrases; `listen` sees the book while packets come. */
const speak = Effect.fnUntraced(function* (listen: (packets: number, book: JournalBook.JournalBook) => void) {
  const decoder = yield* Decoder
  const book = JournalBook.make(() => {})
  const journal = book.call(room).voice("video:ann:0", key, (position, listener) => voice.tell(position, listener))
  const voice: Voice.HeardVoice = yield* Voice.make({
    id: "video:ann:0",
    language,
    decoder,
    now: () => 1e6,
    queueCapacity: 10_000,
    listener: journal
  })
  for (const [n, { atMs, packet }] of send(payloads("phrases20")).entries()) {
    voice.tick(atMs)
    voice.onPacket(packet, atMs)
    listen(n, book)
  }
  return { book, decoder, journal, voice }
})

describe("speech that is not said", () => {
  it.effect("is told, packet by packet, so that another process hears what this one heard from the mark on", () =>
    Effect.gen(function* () {
      const batches: Array<Uint8Array> = []
      const { decoder, voice } = yield* speak((_, book) => batches.push(Uint8Array.from(book.take())))
      const heard = [...voice.voice.replay(0)]
      const left = onlyVoice(leftBy(...batches))
      assert.isTrue(left.hasSpeech)
      const frames = again(left, decoder)
      assert.isAtLeast(frames.length, heard.length)
      for (const [n, frame] of heard.entries()) {
        const other = frames[n]
        assert.strictEqual(other?.position, frame.position)
        assert.deepStrictEqual(other?.pcm, frame.pcm)
      }
      // the frame that was not full yet, at most
      assert.isAtMost(frames.length, heard.length + 1)
    }).pipe(Effect.provide(OpusDecoder.layer), Effect.scoped)
  )

  it.effect("is the same where the file was written anew, from the mark on", () =>
    Effect.gen(function* () {
      const { book, decoder, journal, voice } = yield* speak(() => {})
      const heard = [...voice.voice.replay(0)]
      const middle = heard[Math.floor(heard.length / 2)]?.position ?? 0
      const whole = allOf(book).length
      journal.mark({ position: middle, said: "so far" })
      const bytes = allOf(book)
      assert.isBelow(bytes.length, whole * 0.7)
      const left = onlyVoice(leftBy(bytes))
      assert.deepStrictEqual([left.position, left.said], [middle, "so far"])
      const expected = heard.filter(({ position }) => position >= middle)
      const frames = again(left, decoder)
      for (const [n, { pcm, position }] of expected.entries()) {
        assert.strictEqual(frames[n]?.position, position)
        if (isLoud(pcm)) assert.isBelow(difference(pcm, frames[n]?.pcm ?? new Float32Array(0)), -30)
      }
    }).pipe(Effect.provide(OpusDecoder.layer), Effect.scoped)
  )

  it.effect("is no more when all before the mark was said, or the voice is forgotten", () =>
    Effect.gen(function* () {
      const { book, journal, voice } = yield* speak(() => {})
      const all = Uint8Array.from(book.take())
      const end = [...voice.voice.replay(0)].at(-1)?.position ?? 0
      journal.mark({ position: end + 24_000, said: "" })
      const marked = Uint8Array.from(book.take())
      assert.isFalse(onlyVoice(leftBy(all, marked)).hasSpeech)
      journal.forget()
      assert.deepStrictEqual(leftBy(all, marked, Uint8Array.from(book.take())).voices, [])
      assert.isTrue(book.isEmpty())
    }).pipe(Effect.provide(OpusDecoder.layer), Effect.scoped)
  )

  it("is told by what is new of it when it is much: the text of somebody who makes no pause is not written again with every word", () => {
    const book = JournalBook.make(() => {})
    const journal = book.call(room).voice("video:ann:0", key, (_, listener) => listener.begin(0, 0))
    journal.begin(0, 0)
    const batches: Array<Uint8Array> = []
    const draft: Array<Uint8Array> = []
    let said = ""
    const mark = (next: string) => {
      said = next
      journal.mark({ position: 0, said })
      const taken = Uint8Array.from(book.take())
      batches.push(taken)
      assert.strictEqual(onlyVoice(leftBy(...batches)).said, said)
      return taken.length
    }
    for (let n = 0; n < 1000; n++) assert.isBelow(mark(`${said} word${n}`), 200)
    // what was said may turn out otherwise
    mark(`${said.slice(0, 5000)} other`)
    mark(`${said} words`)
    const rewrite = book.rewrite()
    draft.push(Uint8Array.from(rewrite.next(1).part))
    // both files go on, whatever either of them has
    mark(`${said.slice(0, 4000)} another`)
    mark(`${said} and more`)
    const last = rewrite.next(1)
    assert.isTrue(last.isLast)
    draft.push(Uint8Array.from(last.part))
    assert.strictEqual(onlyVoice(leftBy(...draft)).said, said)
    batches.splice(0, batches.length, ...draft)
    mark(`${said} behind it`)
  })

  it("is all in a file that is written anew in parts, with what comes meanwhile; the file before has that too", () => {
    const book = JournalBook.make(() => {})
    const call = book.call(room)
    const heard = new Map<string, Array<number>>()
    const begin = (id: string) => {
      const positions: Array<number> = []
      heard.set(id, positions)
      const journal = call.voice(id, key, (position, listener) => {
        listener.begin(0, 0)
        for (const one of positions) if (one >= position) listener.hear(one, new Uint8Array(10))
      })
      journal.begin(0, 0)
      return {
        ...journal,
        hear: (position: number) => {
          positions.push(position)
          journal.hear(position, new Uint8Array(10))
        }
      }
    }
    const [ann, bob, eve] = [begin("ann"), begin("bob"), begin("eve")]
    for (const voice of [ann, bob, eve]) voice.hear(1)
    call.unsaid([text("one")])
    const before = [Uint8Array.from(book.take())]
    const rewrite = book.rewrite()
    const parts: Array<Uint8Array> = []
    const next = () => {
      const { isLast, part } = rewrite.next(1)
      parts.push(Uint8Array.from(part))
      return isLast
    }
    next()
    for (const voice of [ann, bob]) voice.hear(2)
    ann.mark({ position: 1, said: "a" })
    before.push(Uint8Array.from(book.take()))
    next()
    const ian = begin("ian")
    for (const voice of [ian, bob, ann]) voice.hear(3)
    bob.mark({ position: 2, said: "b" })
    eve.forget()
    call.unsaid([text("one"), text("two")])
    before.push(Uint8Array.from(book.take()))
    ian.hear(4)
    before.push(Uint8Array.from(book.take()))
    while (!next());
    const spoken = (...bytes: ReadonlyArray<Uint8Array>) => {
      const { unsaid, voices } = leftBy(...bytes)
      const told = voices.map(({ id, position, said, tell }) => {
        const positions: Array<number> = []
        tell({ begin: () => {}, hear: (one) => positions.push(one), end: () => {} })
        return { id, position, said, positions }
      })
      return { unsaid, told }
    }
    const after = spoken(...parts)
    assert.deepStrictEqual(after.unsaid, [text("one"), text("two")])
    assert.deepStrictEqual(after.told, [
      { id: "ann", position: 1, said: "a", positions: [1, 2, 3] },
      { id: "bob", position: 2, said: "b", positions: [1, 2, 3] },
      { id: "ian", position: 0, said: "", positions: [3, 4] }
    ])
    assert.deepStrictEqual(spoken(...before), after)
    // and goes on behind it
    ian.hear(5)
    parts.push(Uint8Array.from(book.take()))
    assert.deepStrictEqual(spoken(...parts).told[2]?.positions, [3, 4, 5])
  })

  it("is kept for a call that has not taken it, and once", () => {
    const first = JournalBook.make(() => {})
    const journal = first.call(room).voice("video:ann:0", key, () => {})
    journal.begin(100, 0)
    journal.hear(100, payloads("mono20")[0] ?? new Uint8Array(0))
    first.call(room).unsaid([text("and then")])
    const second = JournalBook.make(() => {})
    second.restore(new Map([[room, leftBy(first.take())]]))
    const third = leftBy(allOf(second))
    assert.deepStrictEqual(third.unsaid, [text("and then")])
    assert.isTrue(onlyVoice(third).hasSpeech)
    assert.strictEqual(second.call(room).take().voices.length, 1)
    assert.strictEqual(second.call(room).take().voices.length, 0)
    assert.isTrue(second.isEmpty())
  })

  it("keeps what one has of a call while another closes it: whoever captions it, and a part that is heard for others", () => {
    const book = JournalBook.make(() => {})
    const lead = book.call(room)
    const part = book.call(room)
    lead.unsaid([text("and then")])
    lead.voice("video:ann:0", key, () => {})
    const heard = part.voice("video:ann:a.1.0", key, () => {})
    heard.forget()
    book.close(room)
    const left = leftBy(allOf(book))
    assert.deepStrictEqual(left.unsaid, [text("and then")])
    assert.deepStrictEqual(
      left.voices.map(({ id }) => id),
      ["video:ann:0"]
    )
    book.close(room)
    assert.isTrue(book.isEmpty())
  })

  it("is written as soon as readers have got a part of it, or a caption begins", () => {
    const urgent: Array<boolean> = []
    const call = JournalBook.make((isUrgent) => urgent.push(isUrgent)).call(room)
    call.unsaid([text("one two")])
    call.unsaid([text("one two three")])
    call.unsaid([text("one two three")])
    call.unsaid([])
    assert.deepStrictEqual(urgent, [true, false, true])
  })

  it("is nothing where bytes are torn or were never entries", () => {
    const book = JournalBook.make(() => {})
    book.call(room).voice("video:ann:0", key, () => {})
    book.call(room).unsaid([text("and then")])
    const bytes = Uint8Array.from(book.take())
    for (let length = 0; length < bytes.length; length++) leftBy(bytes.subarray(0, length))
    assert.deepStrictEqual(leftBy(bytes.subarray(0, bytes.length - 1)).unsaid, [])
    assert.deepStrictEqual(leftBy(new Uint8Array(500).fill(255)).voices, [])
  })
})

describe("the seal of a journal", () => {
  const sealed = () => {
    const seal = JournalSeal.make("secret")
    const batches = [1, 2, 3].map((n) => Buffer.from(seal.batch(n, Buffer.from(`batch ${n}`))))
    return { bytes: Buffer.concat([seal.header, ...batches]), last: batches[2]?.length ?? 0 }
  }
  const read = (secret: string, bytes: Uint8Array) =>
    [...JournalSeal.open(secret, bytes)].map(({ atMs, entries }) => [atMs, Buffer.from(entries).toString()])

  it("gives back what was sealed, to nobody else", () => {
    const { bytes } = sealed()
    assert.deepStrictEqual(read("secret", bytes), [
      [1, "batch 1"],
      [2, "batch 2"],
      [3, "batch 3"]
    ])
    assert.deepStrictEqual(read("another", bytes), [])
    assert.strictEqual(bytes.includes("batch"), false)
  })

  it("gives what lies before a batch that is torn or was changed", () => {
    const { bytes, last } = sealed()
    assert.strictEqual(read("secret", bytes.subarray(0, bytes.length - 1)).length, 2)
    const changed = Buffer.from(bytes)
    changed.writeUInt8(changed.readUInt8(changed.length - last - 3) ^ 1, changed.length - last - 3)
    assert.strictEqual(read("secret", changed).length, 1)
    assert.deepStrictEqual(read("secret", Buffer.from("no journal at all, but long enough to be one")), [])
  })
})

const processIn = (storage: string) => FileSpeechJournal.make({ storage, secret })

describe("the file of a journal", () => {
  it.live("outlives the process, can be read by nobody else, and is gone at an orderly end", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const file = join(folder, FileSpeechJournal.FILE)
      const killed = join(folder, "killed")
      mkdirSync(killed)
      const first = yield* Scope.make()
      const calls = yield* Scope.make()
      const journal = yield* processIn(folder).pipe(Scope.provide(first))
      const call = yield* journal.open(room).pipe(Scope.provide(calls))
      call.unsaid([text("what nobody has read")])
      yield* until(() => existsSync(file))
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      assert.strictEqual(readFileSync(file).includes("nobody"), false)
      copyFileSync(file, join(killed, FileSpeechJournal.FILE))
      yield* Scope.close(calls, Exit.void)
      yield* Scope.close(first, Exit.void)
      assert.isFalse(existsSync(file))

      const next = yield* (yield* processIn(killed)).open(room)
      assert.deepStrictEqual(next.take().unsaid, [text("what nobody has read")])
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("grows by what is new, and is written anew before it is large", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const file = join(folder, FileSpeechJournal.FILE)
      const call = yield* (yield* processIn(folder)).open(room)
      const voice = call.voice("video:ann:0", key, () => {})
      const sizes: Array<number> = []
      for (let n = 0; n < 40; n++) {
        const before = existsSync(file) ? statSync(file).size : 0
        for (let packet = 0; packet < 100; packet++) voice.hear(n * 100 + packet, new Uint8Array(600))
        yield* until(() => existsSync(file) && statSync(file).size !== before)
        sizes.push(statSync(file).size)
      }
      assert.isAtMost(Math.max(...sizes), 1_500_000)
      assert.isTrue(sizes.some((size, n) => size < (sizes[n - 1] ?? 0)))
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("of people who make no pause is not written again and again: only when it is four times what it was", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const file = join(folder, FileSpeechJournal.FILE)
      const call = yield* (yield* processIn(folder)).open(room)
      const packets: Array<number> = []
      const journal = call.voice("video:ann:0", key, (_, listener) => {
        for (const position of packets) listener.hear(position, new Uint8Array(1000))
      })
      const files = new Set<number>()
      let size = 0
      for (let n = 0; n < 80; n++) {
        for (let packet = 0; packet < 100; packet++) {
          packets.push(packets.length)
          journal.hear(packets.length, new Uint8Array(1000))
        }
        yield* until(() => existsSync(file) && statSync(file).size !== size)
        const { ino, size: now } = statSync(file)
        size = now
        files.add(ino)
      }
      // 8 MB: one, then four times as much, and so on
      assert.isAtMost(files.size, 4)
      assert.isAtMost(size, 17_000_000)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("is left alone by a process that runs no call, and forgotten when it is old", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const file = join(folder, FileSpeechJournal.FILE)
      const book = JournalBook.make(() => {})
      book.call(room).unsaid([text("of yesterday")])
      const seal = JournalSeal.make(Redacted.value(secret))
      writeFileSync(file, Buffer.concat([seal.header, seal.batch(Date.now() - 3_600_000, allOf(book))]))
      yield* Effect.scoped(processIn(folder))
      assert.isTrue(existsSync(file))
      const call = yield* (yield* processIn(folder)).open(room)
      assert.deepStrictEqual(call.take().unsaid, [])
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("that cannot be written is said once; the call goes on, and what is not said is there when it can be", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const disk = { isFull: true }
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => {
        lines.push(String(message))
      })
      yield* Effect.gen(function* () {
        const call = yield* (yield* processIn(folder)).open(room)
        call.unsaid([text("one")])
        yield* until(() => lines.length > 0)
        call.unsaid([text("one"), text("two")])
        disk.isFull = false
        yield* until(() => existsSync(join(folder, FileSpeechJournal.FILE)), 20)
        assert.deepStrictEqual(
          lines.map((line) => line.replace(folder, "")),
          [
            "/speech.journal cannot be written: the disk is full. Captions go on; if the process is killed, the last words are lost.",
            "/speech.journal can be written now"
          ]
        )
      }).pipe(Effect.scoped, Effect.provide([diskThat(disk), Logger.layer([logger])]))
    }).pipe(Effect.scoped)
  )
})
