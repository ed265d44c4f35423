/**
 * The first view: Start, Stop, files, and what the page says about it.
 */
import * as Backlog from "./Backlog.js"
import * as Dictation from "./Dictation.js"
import { clock, element, make } from "./Elements.js"
import * as Keeping from "./Keeping.js"
import { recall } from "./Preferences.js"
import * as Problems from "./Problems.js"
import * as Sound from "./Sound.js"
import * as Spectrum from "./Spectrum.js"
import { makeTranscript } from "./Transcript.js"
import * as TranscriptView from "./TranscriptView.js"

/** Decoded, an hour takes half a gigabyte of the browser's memory. */
const maxFileBytes = 200 * 1024 * 1024

const hint = "Press Start and speak. The words appear here."

/** @typedef {"microphone" | "file"} Kind */
/** @type {Readonly<Record<Kind, Readonly<Record<string, string>>>>} */
const words = {
  microphone: {
    connecting: "Connecting…",
    listening: "Listening",
    waiting: "No connection. What you say is kept; trying again…",
    finishing: "Waiting for the last words…",
    waitingAtEnd: "No connection. Waiting for the last words; Stop ends without them."
  },
  file: {
    connecting: "Connecting…",
    listening: "Reading the file",
    waiting: "No connection. Trying again…",
    finishing: "Waiting for the last words…",
    waitingAtEnd: "No connection. Trying again; Stop ends without the last words."
  }
}

/**
 * @typedef {object} Recording
 * @property {() => void} stop
 * @property {() => import("./Formats.js").Recorded} recorded
 */
/** @type {Recording | undefined} */
let running
/** @type {import("./Formats.js").Recorded | undefined} */
let latest
let isOpening = false

export const attach = () => {
  const start = element("start", HTMLButtonElement)
  start.addEventListener("click", () => {
    if (running !== undefined) running.stop()
    else if (!isOpening) void opening(fromMicrophone)
  })
  const file = element("file", HTMLInputElement)
  file.addEventListener("change", () => {
    const chosen = file.files?.[0]
    if (chosen !== undefined && running === undefined && !isOpening) void opening(() => fromFile(chosen))
    file.value = ""
  })
  Keeping.attach(() => running?.recorded() ?? latest, tell)
  Keeping.showHistory()
  Spectrum.showRest()
  addEventListener("beforeunload", (event) => {
    if (running !== undefined) event.preventDefault()
  })
}

/** @param {string} text */
const tell = (text) => {
  const status = element("status", HTMLElement)
  if (status.textContent !== text) status.textContent = text
}

/** @param {string} text @param {string} [code] */
const complain = (text, code) => {
  const problem = element("problem", HTMLElement)
  problem.hidden = false
  problem.textContent = text
  if (code !== "Unauthorized" && code !== "Unauthenticated") return
  element("settings", HTMLDetailsElement).open = true
  element("token", HTMLInputElement).focus()
}

/** @param {boolean} isActive */
const showButton = (isActive) => {
  const start = element("start", HTMLButtonElement)
  start.dataset["active"] = String(isActive)
  element("start-label", HTMLElement).textContent = isActive ? "Stop" : "Start"
  for (const id of ["file", "path", "microphone"]) {
    const field = document.getElementById(id)
    if (field instanceof HTMLInputElement || field instanceof HTMLSelectElement) field.disabled = isActive
  }
}

/** @param {() => Promise<void>} open */
const opening = async (open) => {
  isOpening = true
  element("problem", HTMLElement).hidden = true
  try {
    await open()
  } finally {
    isOpening = false
  }
}

const fromMicrophone = async () => {
  tell("Waiting for the microphone…")
  /** @type {Sound.Microphone | undefined} */
  let microphone
  /** @type {ReturnType<typeof Backlog.makeLive> | undefined} */
  let backlog
  /** @type {ReturnType<typeof record> | undefined} */
  let recording
  let heardMs = 0
  /** @type {Sound.Source} */
  let source
  try {
    microphone = await Sound.openMicrophone({
      path: recall("path") || "auto",
      deviceId: recall("microphone"),
      onLost: () => {
        complain("The microphone is gone. What was said is kept.")
        running?.stop()
      }
    })
    source = await microphone.record((chunk) => {
      heardMs += chunk.ms
      backlog?.add(chunk)
      recording?.pump()
    })
  } catch (error) {
    microphone?.close()
    tell("Ready")
    return complain(Problems.ofMicrophone(error instanceof Error ? error.name : "unknown"))
  }
  const opened = microphone
  void listMicrophones()
  const live = Backlog.makeLive(source)
  backlog = live
  const clear = Spectrum.show(opened.analyser)
  recording = record({
    backlog: live,
    format: source.format,
    durationMs: () => heardMs,
    kind: "microphone",
    stop: async () => {
      await source.stop()
      opened.close()
      clear()
      live.end()
    }
  })
}

/** @param {File} file */
const fromFile = async (file) => {
  if (file.size > maxFileBytes) return complain("The file is too large for the browser: at most 200 MB.")
  tell("Opening the file…")
  try {
    const { sampleRate, samples } = await Sound.readFile(file)
    const backlog = Backlog.makeWhole(samples, sampleRate)
    record({
      backlog,
      format: { format: "pcm16", sample_rate: sampleRate },
      durationMs: backlog.sentMs,
      kind: "file",
      lengthMs: backlog.durationMs,
      stop: async () => backlog.stop()
    })
  } catch {
    tell("Ready")
    complain(`The browser cannot read “${file.name}” as sound.`)
  }
}

/**
 * @param {object} options
 * @param {Backlog.Backlog} options.backlog
 * @param {{ readonly format: string, readonly sample_rate?: number }} options.format
 * @param {() => number} options.durationMs
 * @param {Kind} options.kind
 * @param {number} [options.lengthMs]
 * @param {() => Promise<void>} options.stop
 */
const record = ({ backlog, durationMs, format, kind, lengthMs, stop }) => {
  const startedAt = new Date().toISOString()
  let about = { language: element("language", HTMLSelectElement).value, engine: "", model: "" }
  let isStopping = false
  TranscriptView.clear(kind === "file" ? "Words of the file appear here." : "Speak. The words appear here.")
  Keeping.enable(false)
  const transcript = makeTranscript((change) => {
    if (change.added !== undefined || change.open !== "") TranscriptView.show(change)
    else element("open", HTMLElement).hidden = true
    if (transcript.lines().length > 0) Keeping.enable(true)
  })
  const recorded = () => ({
    startedAt,
    durationMs: Math.round(durationMs()),
    ...about,
    entries: [...transcript.entries()]
  })
  const showDuration = () => {
    element("duration", HTMLElement).textContent = clock(durationMs())
    if (lengthMs !== undefined) element("progress", HTMLProgressElement).value = durationMs() / Math.max(lengthMs, 1)
    if (lengthMs !== undefined && backlog.isComplete()) finish()
  }
  const ticking = setInterval(showDuration, 200)
  const finish = () => {
    if (isStopping) return
    isStopping = true
    void stop().then(() => dictation.finish())
  }
  element("progress", HTMLProgressElement).hidden = kind !== "file"
  element("level", HTMLElement).hidden = kind === "file"
  element("spectrum", HTMLCanvasElement).hidden = kind === "file"

  const over = () => {
    clearInterval(ticking)
    showDuration()
    running = undefined
    latest = recorded()
    if (transcript.lines().length > 0) Keeping.addToHistory(latest)
    else TranscriptView.clear(hint)
    element("progress", HTMLProgressElement).hidden = true
    element("level", HTMLElement).hidden = false
    element("spectrum", HTMLCanvasElement).hidden = false
    showButton(false)
  }

  const dictation = Dictation.begin({
    backlog,
    transcript,
    start: () => ({
      token: recall("token"),
      language: element("language", HTMLSelectElement).value,
      engine: element("engine", HTMLSelectElement).value,
      format
    }),
    onReady: (ready) => {
      about = ready
    },
    onState: (state) => {
      if (state.name !== "over") return tell(words[kind][state.name] ?? "")
      if (!isStopping) void stop()
      isStopping = true
      over()
      tell(transcript.lines().length > 0 ? "Done" : "Done. No words were heard.")
      if (state.problem !== undefined) {
        tell("Stopped")
        complain(state.problem, state.code)
      }
    }
  })
  running = { stop: () => (isStopping ? dictation.abandon() : finish()), recorded }
  showButton(true)
  return dictation
}

/** Names of microphones are known only once one was allowed. */
const listMicrophones = async () => {
  const select = element("microphone", HTMLSelectElement)
  const devices = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "audioinput")
  const options = devices
    .filter(({ deviceId }) => deviceId !== "default" && deviceId !== "")
    .map(({ deviceId, label }) => make("option", [label === "" ? "Microphone" : label], { value: deviceId }))
  select.replaceChildren(make("option", ["Default"], { value: "" }), ...options)
  const known = recall("microphone")
  if (options.some(({ value }) => value === known)) select.value = known
}
