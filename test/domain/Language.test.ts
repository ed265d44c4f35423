import { assert, describe, it } from "@effect/vitest"
import { known, kyutaiLanguages, languageOf, languagesOf } from "../../src/domain/Language.ts"

describe("Language", () => {
  it("is called in menus as its speakers call it", () => {
    assert.deepStrictEqual(kyutaiLanguages, {
      en: { name: "English", metadata: { separator: " ", rtl: false } },
      fr: { name: "Français", metadata: { separator: " ", rtl: false } }
    })
    assert.strictEqual(languageOf("en-US").name, "English (United States)")
    assert.strictEqual(languageOf("pt-BR").name, "Português (Brasil)")
    assert.strictEqual(languageOf("de").name, "Deutsch")
  })

  it("has no space between captions where its script has none, and a direction", () => {
    for (const tag of ["ja", "zh", "zh-TW", "yue", "th", "lo", "km", "my"])
      assert.strictEqual(languageOf(tag).metadata.separator, "", tag)
    for (const tag of ["ko", "hi", "de", "vi"]) assert.strictEqual(languageOf(tag).metadata.separator, " ", tag)
    for (const tag of ["ar", "he", "fa", "ur", "ar-SA"]) assert.isTrue(languageOf(tag).metadata.rtl, tag)
    assert.isFalse(languageOf("tr").metadata.rtl)
  })

  it("keeps the order of the tags, and a tag that means nothing as its own name", () => {
    assert.deepStrictEqual(Object.keys(languagesOf(["fr", "en", "de"])), ["fr", "en", "de"])
    assert.strictEqual(languageOf("not a tag").name, "not a tag")
  })
})

describe("a language somebody asks for", () => {
  const aws = languagesOf(["en-GB", "en-US", "zh-CN", "zh-TW", "sv-SE"])
  for (const [languages, asked, found] of [
    [kyutaiLanguages, "fr", "fr"],
    [kyutaiLanguages, "FR", "fr"],
    [kyutaiLanguages, "en-US", "en"],
    [kyutaiLanguages, "en_GB", "en"],
    [kyutaiLanguages, "de", undefined],
    [kyutaiLanguages, "", undefined],
    [kyutaiLanguages, "constructor", undefined],
    [kyutaiLanguages, undefined, undefined],
    [aws, "en-us", "en-US"],
    [aws, "sv", "sv-SE"],
    [aws, "en", "en-US"],
    [aws, "zh", "zh-CN"],
    [aws, "sv-FI", undefined],
    [aws, "x".repeat(100_000), undefined]
  ] as const)
    it(`${asked?.slice(0, 20)} is ${found} among ${Object.keys(languages)}`, () => {
      const meant: string | undefined = known(languages, asked)
      assert.strictEqual(meant, found)
    })
})
