/**
 * Second view: which calls run, and what is said in one of them, a lane per speaker.
 */
import { element, gapMark, make } from "./Elements.js"
import * as Problems from "./Problems.js"
import * as Service from "./Service.js"

/**
 * @typedef {object} Caption
 * @property {string} speaker
 * @property {string} [speakerName]
 * @property {string} segment
 * @property {string} text
 * @property {boolean} final
 */

/**
 * @typedef {object} Gap Words of a speaker are missing there.
 * @property {string} speaker
 * @property {string} [speakerName]
 * @property {string} segment
 * @property {number} lengthMs
 */

/** @type {Readonly<Record<string, string>>} */
const states = {
  Connecting: "connecting",
  Captioning: "captions are on",
  Reconnecting: "connecting again",
  Leaving: "nobody reads",
  Refused: "refused"
}
const refreshEveryMs = 5000
const retryEveryMs = 3000
/** Finished lines in a lane; older ones go, as this is for reading along. */
const maxLines = 50

let isShown = false
/** @type {AbortController | undefined} */
let watching
let watched = ""

/** Begins and ends with the view. @param {boolean} isNow */
export const setShown = (isNow) => {
  if (isShown === isNow) return
  isShown = isNow
  if (isNow) void refreshForever()
  else unwatch()
}

export const attach = () => {
  element("calls-refresh", HTMLButtonElement).addEventListener("click", () => void refresh())
  element("watching-stop", HTMLButtonElement).addEventListener("click", () => {
    unwatch()
    element("calls-refresh", HTMLButtonElement).focus()
  })
}

const refreshForever = async () => {
  while (isShown) {
    await refresh()
    await new Promise((resolve) => setTimeout(resolve, refreshEveryMs))
  }
}

const refresh = async () => {
  try {
    const calls = await Service.calls()
    tell("calls-status", calls.length === 0 ? "No call is captioned at the moment." : "")
    showList(calls)
  } catch (error) {
    tell("calls-status", Problems.ofAnswer(error instanceof Service.AnswerError ? error.status : 0))
    showList([])
  }
}

/** A status is announced when it changes, not when it is said again. @param {string} id @param {string} text */
const tell = (id, text) => {
  const place = element(id, HTMLElement)
  if (place.textContent !== text) place.textContent = text
}

/** Buttons stay the same elements, so that nobody loses the place they are at. @param {ReadonlyArray<Service.Call>} calls */
const showList = (calls) => {
  const list = element("call-list", HTMLUListElement)
  const known = new Map([...list.querySelectorAll("button")].map((button) => [button.dataset["room"] ?? "", button]))
  for (const [room, button] of known) {
    if (!calls.some(({ roomToken }) => roomToken === room)) button.parentElement?.remove()
  }
  for (const call of calls) {
    const button = known.get(call.roomToken) ?? addButton(list, call.roomToken)
    const facts = `${states[call.state] ?? call.state}, ${count(call.speakers, "speaker")}, ${count(call.viewers, "reader")}, ${call.languageId}`
    const shown = call.advice === undefined ? facts : `${facts}. ${call.advice}`
    const place = button.querySelector(".facts")
    if (place !== null && place.textContent !== shown) place.textContent = shown
    button.setAttribute("aria-pressed", String(call.roomToken === watched))
  }
}

/** @param {HTMLUListElement} list @param {string} room */
const addButton = (list, room) => {
  const button = make("button", [make("strong", [room]), make("span", [], { class: "facts" })], { type: "button" })
  button.dataset["room"] = room
  button.addEventListener("click", () => void watch(room))
  list.append(make("li", [button]))
  return button
}

/** @param {number} many @param {string} of */
const count = (many, of) => `${many} ${of}${many === 1 ? "" : "s"}`

const unwatch = () => {
  watching?.abort()
  watching = undefined
  watched = ""
  element("watching", HTMLElement).hidden = true
  mark()
}

const mark = () => {
  for (const button of element("call-list", HTMLUListElement).querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset["room"] === watched))
  }
}

/** Reads until the call ends or somebody has enough of it; a connection that breaks is made again. @param {string} room */
const watch = async (room) => {
  unwatch()
  const control = new AbortController()
  watching = control
  watched = room
  mark()
  element("lanes", HTMLElement).replaceChildren()
  element("said", HTMLElement).replaceChildren()
  element("watching-title", HTMLElement).textContent = `Captions of ${room}`
  element("watching", HTMLElement).hidden = false
  const lanes = makeLanes()
  while (!control.signal.aborted) {
    const isOver = await readOnce(room, control.signal, lanes)
    if (isOver || control.signal.aborted) return
    await new Promise((resolve) => setTimeout(resolve, retryEveryMs))
  }
}

/** @param {string} room @param {AbortSignal} signal @param {ReturnType<typeof makeLanes>} lanes @returns {Promise<boolean>} whether that was all */
const readOnce = async (room, signal, lanes) => {
  let isOver = false
  try {
    tell("watching-status", "Connecting…")
    const answer = await Service.get(`/api/v1/calls/${encodeURIComponent(room)}/captions`, signal)
    tell("watching-status", "Reading along")
    await Service.readEvents(answer, ({ data, event }) => {
      const said = JSON.parse(data)
      if (event === "caption") lanes.show(said)
      if (event === "interrupted") lanes.miss(said)
      if (event !== "end") return
      isOver = said.reason === "CallEnded"
      if (isOver) tell("watching-status", "The call has ended.")
    })
    if (!isOver && !signal.aborted) tell("watching-status", "The connection was lost. Trying again…")
  } catch (error) {
    if (signal.aborted) return true
    const status = error instanceof Service.AnswerError ? error.status : 0
    tell("watching-status", Problems.ofAnswer(status))
    return status >= 400 && status < 500
  }
  return isOver
}

const makeLanes = () => {
  /** @type {Map<string, { readonly list: HTMLOListElement, readonly open: HTMLElement, openSegment: string }>} */
  const lanes = new Map()
  /** Finals that stand on the page: after a break the newest are told again. @type {Set<string>} */
  const seen = new Set()

  /** @param {Pick<Caption, "speaker" | "speakerName">} caption */
  const laneOf = ({ speaker, speakerName }) => {
    const known = lanes.get(speaker)
    if (known !== undefined) return known
    const name = speakerName ?? `Speaker ${lanes.size + 1}`
    const list = make("ol", [], { tabindex: "0", "aria-label": `Said by ${name}` })
    const open = make("p", [], { class: "open", "aria-live": "off" })
    open.hidden = true
    const lane = make("section", [make("h4", [name]), list, open], { class: "lane card", "aria-label": name })
    lane.dataset["name"] = name
    element("lanes", HTMLElement).append(lane)
    const made = { list, open, openSegment: "", name }
    lanes.set(speaker, made)
    return made
  }

  /** @param {Caption} caption */
  const show = (caption) => {
    const key = `${caption.speaker} ${caption.segment}`
    if (seen.has(key)) return
    const lane = laneOf(caption)
    const text = caption.text.trim()
    if (!caption.final) {
      lane.open.textContent = text
      lane.open.hidden = text === ""
      lane.openSegment = caption.segment
      return
    }
    if (lane.openSegment === caption.segment) lane.open.hidden = true
    seen.add(key)
    if (text !== "") add(lane.list, () => [text])
  }

  /** To the lane, and to what is read out. @param {HTMLOListElement} list @param {() => ReadonlyArray<Node | string>} content */
  const add = (list, content) => {
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40
    list.append(make("li", content()))
    while (list.childElementCount > maxLines) list.firstElementChild?.remove()
    if (isAtEnd) list.scrollTop = list.scrollHeight
    const said = element("said", HTMLElement)
    said.append(make("p", [`${list.closest("section")?.dataset["name"]}: `, ...content()]))
    while (said.childElementCount > maxLines) said.firstElementChild?.remove()
  }

  /** @param {Gap} gap */
  const miss = (gap) => {
    const key = `${gap.speaker} ${gap.segment}`
    if (seen.has(key)) return
    seen.add(key)
    add(laneOf(gap).list, () => gapMark(gap.lengthMs))
  }
  return { show, miss }
}
