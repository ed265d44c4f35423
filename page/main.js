/**
 * The page: its two views, its settings, and one recording at a time.
 */
import * as CallsView from "./CallsView.js"
import { element, make } from "./Elements.js"
import { keepChoice, recall, remember } from "./Preferences.js"
import * as Recorder from "./Recorder.js"
import * as Service from "./Service.js"

const root = document.documentElement

const showView = () => {
  const isCalls = location.hash === "#calls"
  element("speak", HTMLElement).hidden = isCalls
  element("calls", HTMLElement).hidden = !isCalls
  for (const [id, isHere] of /** @type {const} */ ([
    ["to-speak", !isCalls],
    ["to-calls", isCalls]
  ])) {
    if (isHere) element(id, HTMLAnchorElement).setAttribute("aria-current", "page")
    else element(id, HTMLAnchorElement).removeAttribute("aria-current")
  }
  element("problem", HTMLElement).hidden = true
  CallsView.setShown(isCalls)
}

const attachToken = () => {
  const field = element("token", HTMLInputElement)
  const show = element("token-show", HTMLButtonElement)
  field.value = recall("token")
  field.addEventListener("input", () => remember("token", field.value.trim()))
  field.addEventListener("change", () => void loadChoices())
  show.addEventListener("click", () => {
    const isShown = field.type === "text"
    field.type = isShown ? "password" : "text"
    show.textContent = isShown ? "Show" : "Hide"
    show.setAttribute("aria-pressed", String(!isShown))
  })
}

/** @type {ReadonlyArray<Service.Engine>} */
let engines = []
/** @type {Readonly<Record<string, { readonly name: string }>>} */
let languageNames = {}

/** What can be chosen is told to holders of a token only; without one the service's own choice is offered. */
const loadChoices = async () => {
  ;[engines, languageNames] = await Promise.all([
    Service.engines().catch(askForToken),
    Service.languages().catch(() => ({}))
  ])
  showEngines()
  showLanguages()
}

/** Nobody should have to look for where a token goes. @param {unknown} error @returns {[]} */
const askForToken = (error) => {
  if (error instanceof Service.AnswerError && error.status === 401) element("settings", HTMLDetailsElement).open = true
  return []
}

const showEngines = () => {
  const select = element("engine", HTMLSelectElement)
  const options = engines.map(({ model, name, state }) => {
    const label = model === undefined || model === name ? name : `${name}, ${model}`
    return make("option", [state === "failing" ? `${label} (does not answer)` : label], { value: name })
  })
  select.replaceChildren(make("option", ["Default"], { value: "" }), ...options)
  choose(select, recall("engine"))
}

const showLanguages = () => {
  const select = element("language", HTMLSelectElement)
  const chosen = engines.find(({ name }) => name === element("engine", HTMLSelectElement).value) ?? engines[0]
  const ofEngine = (chosen?.languages ?? []).filter((one) => typeof one === "string")
  const tags = ofEngine.length > 0 ? ofEngine : Object.keys(languageNames)
  const named = new Intl.DisplayNames(navigator.languages, { type: "language" })
  const nameOf = (/** @type {string} */ tag) => {
    try {
      return languageNames[tag]?.name ?? named.of(tag) ?? tag
    } catch {
      return tag
    }
  }
  select.replaceChildren(
    ...(tags.length > 0 ? tags : ["en"]).map((tag) => make("option", [nameOf(tag)], { value: tag }))
  )
  choose(select, recall("language") || (navigator.language.split("-")[0] ?? "en"))
}

/** @param {HTMLSelectElement} select @param {string} value */
const choose = (select, value) => {
  if ([...select.options].some((option) => option.value === value)) select.value = value
}

attachToken()
keepChoice("size", element("size", HTMLSelectElement), (size) => {
  root.dataset["size"] = size
})
keepChoice("theme", element("theme", HTMLSelectElement), (theme) => {
  root.dataset["theme"] = theme
})
keepChoice("path", element("path", HTMLSelectElement))
keepChoice("microphone", element("microphone", HTMLSelectElement))
keepChoice("language", element("language", HTMLSelectElement))
keepChoice("engine", element("engine", HTMLSelectElement), () => showLanguages())
CallsView.attach()
Recorder.attach()
addEventListener("hashchange", showView)
showView()
await loadChoices()
