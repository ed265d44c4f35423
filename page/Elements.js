/**
 * Elements of the page by their id, with the type that the script relies on.
 *
 * All modules of the page are plain JavaScript with types in comments, checked by `tsc -p page`: browsers run them as they stand, in
 * development and from the package, with nothing to build.
 */

/**
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export const element = (id, type) => {
  const found = document.getElementById(id)
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`)
  return found
}

/**
 * A new element with text or children in it.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {ReadonlyArray<Node | string>} [children]
 * @param {Readonly<Record<string, string>>} [attributes]
 * @returns {HTMLElementTagNameMap[K]}
 */
export const make = (tag, children = [], attributes = {}) => {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  made.append(...children)
  return made
}

/**
 * A mark where words are missing, for the eye and for the ear.
 *
 * @param {number} missingMs
 */
export const gapMark = (missingMs) => {
  const seconds = wholeSeconds(missingMs)
  const heard = `${seconds === 1 ? "1 second was" : `${seconds} seconds were`} not heard`
  const [shown, spoken] = [`… ${seconds} s not heard …`, heard]
  return [
    make("span", [shown], { class: "note", "aria-hidden": "true" }),
    make("span", [spoken], { class: "note unseen" })
  ]
}

/** @param {number} ms at least one: nothing is lost in no time */
export const wholeSeconds = (ms) => Math.max(1, Math.round(ms / 1000))

/**
 * Minutes and seconds, with hours where there are some.
 *
 * @param {number} ms
 */
export const clock = (ms) => {
  const seconds = Math.floor(ms / 1000)
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0")
  const hours = Math.floor(seconds / 3600)
  const minutes = Math.floor(seconds / 60) % 60
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`
}
