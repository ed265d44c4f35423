/**
 * What this browser remembers: the token and how its user likes the page. Nothing that was said.
 */

/** @typedef {"token" | "language" | "engine" | "path" | "microphone" | "size" | "theme"} Preference */

const prefix = "parlance."

/** @param {Preference} name @returns {string} empty where nothing is known */
export const recall = (name) => {
  try {
    return localStorage.getItem(prefix + name) ?? ""
  } catch {
    // Storage is switched off in this browser: everything works, nothing is remembered.
    return ""
  }
}

/** @param {Preference} name @param {string} value */
export const remember = (name, value) => {
  try {
    if (value === "") localStorage.removeItem(prefix + name)
    else localStorage.setItem(prefix + name, value)
  } catch {
    // As above, or the storage is full.
  }
}

/**
 * A select that keeps its choice; `apply` is called with the choice now and whenever it changes.
 *
 * @param {Preference} name
 * @param {HTMLSelectElement} select
 * @param {(value: string) => void} [apply]
 */
export const keepChoice = (name, select, apply = () => {}) => {
  const known = recall(name)
  if ([...select.options].some(({ value }) => value === known)) select.value = known
  apply(select.value)
  select.addEventListener("change", () => {
    remember(name, select.value)
    apply(select.value)
  })
}
