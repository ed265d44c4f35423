import { existsSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")

describe("the README", () => {
  it("links only to files that exist", () => {
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map((match) => match[1] ?? "")
    assert.isAbove(links.length, 10)
    for (const link of links) assert.isTrue(existsSync(new URL(`../${link}`, import.meta.url)), link)
  })
})
