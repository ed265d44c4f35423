/**
 * Copies and files of what was said, and the recordings made in this tab so far.
 */
import { clock, element, make } from "./Elements.js"
import { linesOf, mediaTypes, write } from "./Formats.js"

/** @typedef {import("./Formats.js").Recorded} Recorded */
/** @typedef {import("./Formats.js").Format} Format */

/** @type {ReadonlyArray<Format>} */
const formats = ["txt", "srt", "vtt", "json"]
const key = "parlance.recordings"
/** Tabs may keep about five million characters. */
const maxCharacters = 2_000_000

/** @param {Recorded} recorded @param {Format} format */
export const download = (recorded, format) => {
  const address = URL.createObjectURL(new Blob([write(recorded, format)], { type: mediaTypes[format] }))
  const stamp = recorded.startedAt.slice(0, 19).replaceAll(":", "").replace("T", "-")
  make("a", [], { href: address, download: `transcript-${stamp}.${format}` }).click()
  // The browser reads it in its own time.
  setTimeout(() => URL.revokeObjectURL(address), 60_000)
}

/** @param {Recorded} recorded @returns {Promise<boolean>} `false`: the browser does not allow it */
export const copy = async (recorded) => {
  try {
    await navigator.clipboard.writeText(write(recorded, "txt"))
    return true
  } catch {
    return false
  }
}

/** The buttons below the words. @param {() => Recorded | undefined} current @param {(told: string) => void} tell */
export const attach = (current, tell) => {
  element("copy", HTMLButtonElement).addEventListener("click", async () => {
    const recorded = current()
    if (recorded === undefined) return
    tell((await copy(recorded)) ? "Copied" : "The browser does not allow copying. Save it as text instead.")
  })
  for (const format of formats) {
    element(`save-${format}`, HTMLButtonElement).addEventListener("click", () => {
      const recorded = current()
      if (recorded !== undefined) download(recorded, format)
    })
  }
}

/** @param {boolean} isThere */
export const enable = (isThere) => {
  for (const id of ["copy", ...formats.map((format) => `save-${format}`)]) {
    element(id, HTMLButtonElement).disabled = !isThere
  }
}

/** @returns {Array<Recorded>} newest first */
const known = () => {
  try {
    const kept = JSON.parse(sessionStorage.getItem(key) ?? "[]")
    return Array.isArray(kept) ? kept : []
  } catch {
    return []
  }
}

/** @param {ReadonlyArray<Recorded>} recordings */
const keep = (recordings) => {
  let count = recordings.length
  while (count > 0 && JSON.stringify(recordings.slice(0, count)).length > maxCharacters) count--
  try {
    sessionStorage.setItem(key, JSON.stringify(recordings.slice(0, count)))
  } catch {
    // Storage is switched off: what is on the page can still be saved.
  }
  showHistory()
}

/** @param {Recorded} recorded */
export const addToHistory = (recorded) => keep([recorded, ...known()])

export const showHistory = () => {
  const recordings = known()
  element("history", HTMLElement).hidden = recordings.length === 0
  element("recordings", HTMLOListElement).replaceChildren(...recordings.map(entry))
}

/** @param {Recorded} recorded @param {number} at */
const entry = (recorded, at) => {
  const words = linesOf(recorded)
    .map(({ text }) => text)
    .join(" ")
  const begin = new Date(recorded.startedAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
  const shown = words.length > 90 ? `${words.slice(0, 90).trimEnd()}…` : words
  const about = `${begin}, ${clock(recorded.durationMs)}`
  const format = make(
    "select",
    formats.map((one) => make("option", [`.${one}`], { value: one })),
    {
      "aria-label": `File format for the recording of ${about}`
    }
  )
  const save = make("button", ["Save"], {
    type: "button",
    class: "quiet",
    "aria-label": `Save the recording of ${about}`
  })
  save.addEventListener("click", () => download(recorded, formats.find((one) => one === format.value) ?? "txt"))
  const remove = make("button", ["Remove"], {
    type: "button",
    class: "quiet",
    "aria-label": `Remove the recording of ${about}`
  })
  remove.addEventListener("click", () => {
    keep(known().filter((_, index) => index !== at))
    element("history-title", HTMLElement).focus()
  })
  return make("li", [
    make("p", [shown, make("span", [about])], { class: "words" }),
    make("div", [format, save, remove], { class: "with-button" })
  ])
}
