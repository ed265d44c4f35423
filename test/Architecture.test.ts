import { readdirSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"

const importsOf = (folder: string): ReadonlyArray<{ readonly file: string; readonly from: string }> =>
  readdirSync(new URL(`../src/${folder}/`, import.meta.url)).flatMap((file) =>
    [...readFileSync(new URL(`../src/${folder}/${file}`, import.meta.url), "utf8").matchAll(/from "([^"]+)"/g)].map(
      (match) => ({ file, from: match[1] ?? "" })
    )
  )

describe("the tree", () => {
  it("keeps the domain free of everything but effect", () => {
    const foreign = importsOf("domain").filter(({ from }) => from !== "effect" && !from.startsWith("./"))
    assert.deepStrictEqual(foreign, [])
  })

  it("keeps contracts free of implementations", () => {
    const foreign = importsOf("services").filter(({ from }) => from.includes("/layers/") || from.includes("/http/"))
    assert.deepStrictEqual(foreign, [])
  })

  it("reads the environment in one place only", () => {
    const readers = ["domain", "services", "layers", "http"].flatMap((folder) =>
      readdirSync(new URL(`../src/${folder}/`, import.meta.url)).filter((file) =>
        /process\.env|Config\.(String|Int|Boolean|Redacted|Port|URL|all)\b/.test(
          readFileSync(new URL(`../src/${folder}/${file}`, import.meta.url), "utf8")
        )
      )
    )
    assert.deepStrictEqual(
      readers.filter((file) => !["AppConfig.ts", "Setting.ts"].includes(file)),
      []
    )
    const imports = importsOf("layers").concat(importsOf("http"))
    const askers = imports.filter(({ from }) => from.endsWith("/Setting.ts")).map(({ file }) => file)
    const lists = askers.filter((file) => file !== "AppConfig.ts")
    assert.include(askers, "AppConfig.ts")
    // Each list of settings is one of its parts.
    for (const { file, from } of imports) {
      if (lists.some((list) => from.endsWith(`/${list}`))) assert.strictEqual(file, "AppConfig.ts")
    }
    for (const list of lists) assert.isTrue(list.endsWith("Settings.ts"), list)
  })
})
