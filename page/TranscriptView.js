/**
 * The words on the page. Finished lines are added and never touched again, inside a live region: a screen reader says each once. The open
 * text stands outside of it and is not announced while it changes.
 */
import { clock, element, gapMark, make } from "./Elements.js"
import { isGap, isNote } from "./Transcript.js"

/** @typedef {import("./Transcript.js").Entry} Entry */

/** Nearer to the end of the page than this, one reads along. */
const nearPx = 120

const lines = () => element("lines", HTMLElement)

/** @param {{ readonly added?: Entry, readonly open: string }} change */
export const show = ({ added, open }) => {
  const readsAlong = document.documentElement.scrollHeight - innerHeight - scrollY < nearPx || isInSight()
  if (added !== undefined) lines().append(item(added))
  element("empty", HTMLElement).hidden = true
  const place = element("open", HTMLElement)
  place.textContent = open
  place.hidden = open === ""
  if (readsAlong) follow()
}

/** Nothing is said yet. @param {string} hint */
export const clear = (hint) => {
  lines().replaceChildren()
  const empty = element("empty", HTMLElement)
  empty.textContent = hint
  empty.hidden = false
  element("open", HTMLElement).hidden = true
}

const last = () => {
  const open = element("open", HTMLElement)
  return open.hidden ? lines().lastElementChild : open
}

const isInSight = () => {
  const end = last()?.getBoundingClientRect().bottom
  return end !== undefined && end > 0 && end < innerHeight + nearPx
}

/** The controls cover the lower end of the window. */
const follow = () => {
  const end = last()?.getBoundingClientRect().bottom ?? 0
  const hidden = end - (innerHeight - element("dock", HTMLElement).offsetHeight - 32)
  if (hidden > 0) scrollBy(0, hidden)
}

/** @param {Entry} entry */
const item = (entry) => {
  if (isNote(entry)) return make("p", [make("span", [entry.note], { class: "note" })])
  if (isGap(entry))
    return make("p", [make("time", [clock(entry.atMs)], { "aria-hidden": "true" }), ...gapMark(entry.missingMs)])
  const words = make("span", [entry.text])
  if (entry.isCut) words.append(make("span", [" (the connection was lost here)"], { class: "note" }))
  return make("p", [make("time", [clock(entry.startMs)], { "aria-hidden": "true" }), words])
}
