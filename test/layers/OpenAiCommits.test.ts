import { assert, describe, it } from "@effect/vitest"
import type { SpeechEvent } from "../../src/domain/Speech.ts"
import * as EngineMark from "../../src/layers/EngineMark.ts"
import * as OpenAiCommits from "../../src/layers/OpenAiCommits.ts"

/** Commits named `a`, `b`, … that end at 1000, 2000, … and say one word each. */
const session = (names: string, markless = "") => {
  const commits = OpenAiCommits.make(EngineMark.make())
  const story: Array<string> = []
  const note = (events: ReadonlyArray<SpeechEvent>) => {
    for (const event of events) {
      if (event._tag === "Marked") story.push(`| ${event.position}`)
      else if ("item" in event) story.push(`${event.item} ${event._tag}`)
    }
  }
  const cut = (name: string, index: number) => ({
    cause: "Silence" as const,
    durationMs: 2000,
    ...(markless.includes(name) ? {} : { markAt: 1000 * (index + 1) })
  })
  const ids = [...names].map((name, index) => commits.add(cut(name, index), 0))
  for (const name of names) commits.named(name, false)
  return {
    commits,
    story,
    ids,
    word: (item: string) =>
      note(commits.tell(item, [{ _tag: "Appended", item, words: [{ text: "x", joiner: "space" }] }])),
    completed: (item: string, atMs = 0) =>
      note([...commits.tell(item, [{ _tag: "Completed", item, cause: "Silence" }]), ...commits.end(item, atMs)]),
    failed: (item: string, atMs = 0) => note(commits.end(item, atMs, "no reason"))
  }
}

describe("OpenAiCommits", () => {
  it("words wait for the item before theirs; the mark stands between them", () => {
    const { completed, story, word } = session("ab")
    word("a")
    word("b")
    completed("b")
    assert.deepStrictEqual(story, ["a Appended"])
    completed("a")
    assert.deepStrictEqual(story, ["a Appended", "a Completed", "| 1000", "b Appended", "b Completed", "| 2000"])
  })

  it("words come before their item is committed, and before it is named, but not before their turn", () => {
    const { commits, completed, story, word } = session("a")
    word("a")
    word("b")
    commits.add({ cause: "Silence", durationMs: 2000, markAt: 2000 }, 0)
    word("b")
    completed("a")
    word("b")
    commits.named("b", false)
    completed("b")
    const own = ["b Appended", "b Appended", "b Appended", "b Completed", "| 2000"]
    assert.deepStrictEqual(story, ["a Appended", "a Completed", "| 1000", ...own])
    assert.isTrue(commits.areOver(2))
  })

  it("a commit that may have cut a word moves no mark; the next one does", () => {
    const { completed, story } = session("ab", "a")
    completed("a")
    completed("b")
    assert.deepStrictEqual(story, ["a Completed", "b Completed", "| 2000"])
  })

  it("an item that fails first of all is passed over; later the session breaks, with nothing told of what is behind it", () => {
    const first = session("ab")
    first.word("b")
    first.failed("a")
    first.completed("b")
    assert.deepStrictEqual(first.story, ["a Failed", "b Appended", "b Completed", "| 2000"])
    assert.isFalse(first.commits.isBroken())
    const later = session("abc")
    later.failed("b")
    later.completed("c")
    assert.isFalse(later.commits.isBroken())
    later.completed("a")
    assert.deepStrictEqual(later.story, ["a Completed", "| 1000"])
    assert.isTrue(later.commits.isBroken())
  })

  it("an item that does not end within 3 s after one behind it is stuck", () => {
    const { commits, completed } = session("abc")
    assert.isUndefined(commits.stuck(60_000))
    completed("c", 1000)
    completed("b", 2000)
    assert.isUndefined(commits.stuck(3999))
    assert.strictEqual(commits.stuck(4000), "a")
  })

  it("so many words wait, and no more", () => {
    const { commits, word } = session("ab")
    for (let index = 0; index < 4096; index++) word("b")
    assert.isUndefined(commits.stuck(0))
    word("b")
    assert.strictEqual(commits.stuck(0), "a")
  })

  it("a commit must be acknowledged within 2 s, and a text must come in 6 s or as long as it was spoken", () => {
    const commits = OpenAiCommits.make(EngineMark.make())
    commits.add({ cause: "MaxLength", durationMs: 20_000 }, 1000)
    assert.isFalse(commits.isOverdue(2999, 10_000))
    assert.isTrue(commits.isOverdue(3000, 10_000))
    assert.isFalse(commits.isOverdue(3000, 1999))
    commits.named("a", false)
    assert.isFalse(commits.isOverdue(20_999, 30_000))
    assert.isTrue(commits.isOverdue(21_000, 30_000))
    commits.end("a", 0)
    commits.add({ cause: "Silence", durationMs: 500 }, 0)
    commits.named("b", false)
    assert.isFalse(commits.isOverdue(5999, 30_000))
    assert.isTrue(commits.isOverdue(6000, 30_000))
  })

  it("a commit that is refused is over: with a mark where there was nothing to commit, else with the next one's", () => {
    const { commits, ids, story } = session("")
    assert.deepStrictEqual(ids, [])
    const [first, second] = [commits.add({ cause: "Silence", durationMs: 200, markAt: 7 }, 0), ""]
    assert.deepStrictEqual(commits.refused(first, true), [{ _tag: "Marked", position: 7 }])
    assert.isUndefined(commits.refused(second, true))
    const third = commits.add({ cause: "Silence", durationMs: 200, markAt: 9 }, 0)
    assert.deepStrictEqual(commits.refused(third, false), [])
    assert.isTrue(commits.areOver(2))
    assert.deepStrictEqual(story, [])
  })
})
