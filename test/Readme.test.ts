import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { type Variable, variables } from "../src/layers/AppConfig.ts"

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")

const code = (text: string | undefined) => (text === undefined ? "" : `\`${text}\``)
const rowOf = (variable: Variable): string =>
  `| \`${variable.name}\` | ${variable.description} | ${code(variable.default)} | ${variable.unit ?? ""} | ${code(variable.example)} |`

/** The table as the README has to show it, those AppAPI sets behind those an admin sets. */
const tableOf = (setBy: Variable["setBy"]): string =>
  [
    "| variable | meaning | default | unit | example |",
    "| --- | --- | --- | --- | --- |",
    ...variables.filter((variable) => variable.setBy === setBy).map(rowOf)
  ].join("\n")

describe("the README", () => {
  it("lists every variable with its default, unit and example", () => {
    assert.include(readme, tableOf("admin"))
  })

  it("lists what AppAPI sets", () => {
    assert.include(readme, tableOf("AppAPI"))
  })

  it("links only to files that exist", () => {
    const links = [...readme.matchAll(/\]\(((?:src|docs|examples|appinfo|test)[^)]*)\)/g)].map(
      (match) => match[1] ?? ""
    )
    assert.isAbove(links.length, 10)
    for (const link of links)
      assert.doesNotThrow(() => readFileSync(new URL(`../${link}`, import.meta.url)).length, link)
  })
})
